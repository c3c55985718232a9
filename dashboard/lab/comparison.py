"""A comparison of the patterns as the bench tells it: intervals of 95 % for each of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from dashboard.lab.reading import Plain, amount, count, items, mapping, moment, number, ratio, text

MOST_ROWS = 16
LONGEST_NAME = 40

Ending = Literal["running", "finished", "cancelled", "failed"]
_ENDINGS = ("running", "finished", "cancelled", "failed")


@dataclass(frozen=True)
class Interval:
    """A figure and where it lies with 95 %: low <= value <= high."""

    value: float
    low: float
    high: float

    def meets(self, other: Interval) -> bool:
        """Whether the two may be the same figure."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Row:
    """What one pattern did. Rates are per second; stale_reads of reads_judged; bypasses: reads that the database
    answered, as the cache did not in time; lag_s is the longest that was seen."""

    pattern: str
    prevention: str
    requests: int | None
    hit_ratio: Interval | None
    p50_ms: Interval | None
    p99_ms: Interval | None
    queries: Interval | None
    duplicates: Interval | None
    duplicate_total: int | None
    stale_reads: int | None
    reads_judged: int | None
    bypasses: int | None
    lag_s: float | None
    lost: int | None
    errors: int | None
    dropped: int | None


@dataclass(frozen=True)
class Comparison:
    """One comparison, as far as it has come. seconds: of each pattern; progress: from 0 to 1."""

    state: Ending
    begun: float | None
    ended: float | None
    seconds: float | None
    seed: int | None
    progress: float
    sentence: str
    rows: tuple[Row, ...]

    @property
    def running(self) -> bool:
        return self.state == "running"


def parse_comparison(value: object, ahead: float) -> Comparison | None:
    """None where there is none, or where its state is none that we know. ahead: seconds of the demo's clock."""
    plain = mapping(value)
    state = plain.get("state")
    if state not in _ENDINGS:
        return None
    rows = (_row(mapping(one)) for one in items(plain.get("rows"), MOST_ROWS))
    return Comparison(
        state=cast("Ending", state),
        begun=moment(plain.get("begun"), ahead),
        ended=moment(plain.get("ended"), ahead),
        seconds=amount(plain.get("seconds")),
        seed=count(plain.get("seed")),
        progress=min(1.0, amount(plain.get("progress")) or 0.0),
        sentence=text(plain.get("sentence")),
        rows=tuple(row for row in rows if row.pattern),
    )


def _row(plain: Plain) -> Row:
    return Row(
        pattern=text(plain.get("pattern"), LONGEST_NAME),
        prevention=text(plain.get("prevention"), LONGEST_NAME),
        requests=count(plain.get("requests")),
        hit_ratio=_interval(plain.get("hit_ratio"), shares=True),
        p50_ms=_interval(plain.get("p50_ms")),
        p99_ms=_interval(plain.get("p99_ms")),
        queries=_interval(plain.get("queries")),
        duplicates=_interval(plain.get("duplicates")),
        duplicate_total=count(plain.get("duplicate_total")),
        stale_reads=count(plain.get("stale_reads")),
        reads_judged=count(plain.get("reads_judged")),
        bypasses=count(plain.get("bypasses")),
        lag_s=amount(plain.get("lag_s")),
        lost=count(plain.get("lost")),
        errors=count(plain.get("errors")),
        dropped=count(plain.get("dropped")),
    )


def _interval(value: object, *, shares: bool = False) -> Interval | None:
    """An interval around its value; ends that are missing or on the wrong side are moved to the value."""
    plain = mapping(value)
    read = ratio if shares else amount
    middle = read(plain.get("value"))
    if middle is None:
        return None
    low, high = number(plain.get("low")), number(plain.get("high"))
    least = middle if low is None else min(max(low, 0.0), middle)
    most = middle if high is None else max(high, middle)
    return Interval(middle, least, min(most, 1.0) if shares else most)
