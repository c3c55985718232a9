"""A comparison as it is drawn: for each figure the patterns below one another, with intervals on one scale. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.cache.estimate import share_from_sample
from dashboard.cache.wording import count, percent
from dashboard.lab.comparison import Interval, Row
from dashboard.views.lab.words import THIN, label

UNITS = (f"{THIN}%", f"{THIN}ms", "/s")


@dataclass(frozen=True)
class Bar:
    """One pattern's figure in words, and its bar in per cent of the scale: `width`, and the interval's ends."""

    pattern: str
    told: str
    reach: str
    width: float
    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """One figure of all patterns. says: who is ahead, as far as chance allows to say that."""

    title: str
    says: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class _Kind:
    title: str
    read: Callable[[Row], Interval | None]
    told: Callable[[float], str]
    more_is_better: bool = False
    most: float | None = None


def _milliseconds(value: float) -> str:
    return f"{count(value)}{THIN}ms"


def _a_second(value: float) -> str:
    return f"{count(value)}/s"


def _share(value: float) -> str:
    return f"{value * 100:.2f}{THIN}%" if 0 < value < 0.01 else percent(value)


def stale_share(row: Row) -> Interval | None:
    """The share of judged reads that were stale, with Wilson's interval; None where none was judged."""
    if not row.reads_judged or row.stale_reads is None:
        return None
    return Interval(*share_from_sample(row.stale_reads, row.reads_judged))


KINDS = (
    _Kind("Hit ratio", lambda row: row.hit_ratio, percent, more_is_better=True, most=1.0),
    _Kind("Latency, p50", lambda row: row.p50_ms, _milliseconds),
    _Kind("Latency, p99", lambda row: row.p99_ms, _milliseconds),
    _Kind("Database queries", lambda row: row.queries, _a_second),
    _Kind("Duplicate loads", lambda row: row.duplicates, _a_second),
    _Kind("Stale reads", stale_share, _share),
)


def figures(rows: tuple[Row, ...]) -> tuple[Figure, ...]:
    """Every figure that is known of one pattern at least."""
    found = (_figure(kind, rows) for kind in KINDS)
    return tuple(one for one in found if one.bars)


def told(interval: Interval | None, kind: str) -> tuple[str, str]:
    """A cell of the table: the figure and its interval, in words. kind: the title of one of KINDS."""
    if interval is None:
        return "", ""
    words = next(one.told for one in KINDS if one.title == kind)
    return words(interval.value), _reach(interval, words)


def _figure(kind: _Kind, rows: tuple[Row, ...]) -> Figure:
    known = [(row, found) for row in rows if (found := kind.read(row)) is not None]
    scale = kind.most or max([found.high for _, found in known] + [0.0]) or 1.0

    def length(value: float) -> float:
        return round(min(100.0 * value / scale, 100.0), 2)

    bars = (
        Bar(
            label(row.pattern),
            kind.told(one.value),
            _reach(one, kind.told),
            length(one.value),
            length(one.low),
            length(one.high),
        )
        for row, one in known
    )
    return Figure(kind.title, _ahead(kind, known), tuple(bars))


def _reach(interval: Interval, words: Callable[[float], str]) -> str:
    if interval.low == interval.high:
        return ""
    low, high = words(interval.low), words(interval.high)
    unit = next((unit for unit in UNITS if low.endswith(unit) and high.endswith(unit)), "")
    return f"{low.removesuffix(unit)} to {high}"


def _ahead(kind: _Kind, known: list[tuple[Row, Interval]]) -> str:
    """Intervals that do not touch differ by more than chance; ones that do may differ, too, which is not told here."""
    if len(known) < 2:
        return ""
    ranked = sorted(known, key=lambda pair: pair[1].value, reverse=kind.more_is_better)
    (first, best), rest = ranked[0], ranked[1:]
    word = "highest" if kind.more_is_better else "lowest"
    near = [label(row.pattern) for row, one in rest if one.meets(best)]
    if len(near) == len(rest):
        return "None is certainly ahead."
    if near:
        return f"{label(first.pattern)} is {word}, not certainly before {_listed(near)}."
    return f"{label(first.pattern)} is {word}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
