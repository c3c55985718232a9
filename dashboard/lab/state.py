"""What the bench tells, as frozen values: tolerant of what is missing, bounded in what is there. Pure.

A figure that is missing or no figure is None. Times are epoch seconds by our clock, rates are per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from dashboard.lab.comparison import Comparison, parse_comparison
from dashboard.lab.reading import Plain, amount, count, items, mapping, moment, ratio, switch, text

SERIES = ("requests", "hit_ratio", "p50_ms", "p99_ms", "queries", "duplicates", "stale_reads", "errors", "lag_s")
MOST_POINTS = 600
MOST_CHOICES = 12
LONGEST_NAME = 40
CLOCKS_AGREE = 5.0  # seconds: less than that is not told from the way of an answer


@dataclass(frozen=True)
class Knobs:
    """What is turned in the shop. latency_ms is added to each query; all TTLs are multiplied by ttl_scale."""

    pattern: str = ""
    prevention: str = ""
    jitter: bool = False
    copies: bool = False
    events: bool = False
    latency_ms: float | None = None
    ttl_scale: float | None = None


@dataclass(frozen=True)
class Traffic:
    """What visitors do. rate: requests a second; skew: Zipf's exponent; write_share and hot_share from 0 to 1."""

    rate: float | None = None
    skew: float | None = None
    users: int | None = None
    products: int | None = None
    write_share: float | None = None
    burst_factor: float | None = None
    hot_share: float | None = None


@dataclass(frozen=True)
class Scenario:
    """One that can be chosen."""

    name: str
    title: str
    sentence: str


@dataclass(frozen=True)
class Running:
    """The scenario that runs. ends: None where it has no end of its own."""

    name: str = ""
    sentence: str = ""
    since: float | None = None
    ends: float | None = None


@dataclass(frozen=True)
class Memory:
    """The shop's cache. maxmemory: bytes, 0 where there is no limit. risk: how it may lose a write-behind queue."""

    maxmemory: int | None = None
    used: int | None = None
    policy: str = ""
    risk: str = ""


@dataclass(frozen=True)
class Figures:
    """The last ten seconds. stale_total and lost are counts since the start, lag_s and queue are of this moment."""

    requests: float | None = None
    hit_ratio: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    queries: float | None = None
    duplicates: float | None = None
    stale_reads: float | None = None
    stale_total: int | None = None
    errors: float | None = None
    dropped: float | None = None
    lag_s: float | None = None
    queue: int | None = None
    dead: int | None = None
    lost: int | None = None
    copies: float | None = None
    ack_ms: float | None = None


@dataclass(frozen=True)
class Series:
    """The last minutes: for each name of SERIES as many values as there are times."""

    at: tuple[float, ...]
    values: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class State:
    """All that the bench tells in one answer."""

    shop: Literal["up", "away"]
    knobs: Knobs
    traffic: Traffic
    patterns: tuple[str, ...]
    preventions: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    scenario: Running
    memory: Memory | None
    now: Figures
    series: Series
    comparison: Comparison | None


def parse(body: object, now: float) -> State:
    """A bench's answer, taken at `now`. Whatever it is, it becomes a State; is_bench() says whether it was one."""
    plain = mapping(body)
    choices = mapping(plain.get("choices"))
    ahead = (moment(plain.get("at")) or now) - now
    if abs(ahead) < CLOCKS_AGREE:
        ahead = 0.0
    return State(
        shop="up" if plain.get("shop") == "up" else "away",
        knobs=_knobs(mapping(plain.get("knobs"))),
        traffic=_traffic(mapping(plain.get("traffic"))),
        patterns=_names(choices.get("pattern")),
        preventions=_names(choices.get("prevention")),
        scenarios=_scenarios(plain.get("scenarios")),
        scenario=_running(mapping(plain.get("scenario")), ahead),
        memory=_memory(plain.get("cache")),
        now=_figures(mapping(plain.get("now"))),
        series=_series(mapping(plain.get("series")), ahead),
        comparison=parse_comparison(plain.get("comparison"), ahead),
    )


def is_bench(body: object) -> bool:
    """Whether an answer has what every bench tells."""
    return {"knobs", "traffic", "now"} <= set(mapping(body))


def _names(value: object) -> tuple[str, ...]:
    found = (text(one, LONGEST_NAME) for one in items(value, MOST_CHOICES))
    return tuple(dict.fromkeys(name for name in found if name))


def _knobs(plain: Plain) -> Knobs:
    return Knobs(
        pattern=text(plain.get("pattern"), LONGEST_NAME),
        prevention=text(plain.get("prevention"), LONGEST_NAME),
        jitter=switch(plain.get("jitter")),
        copies=switch(plain.get("copies")),
        events=switch(plain.get("events")),
        latency_ms=amount(plain.get("latency_ms")),
        ttl_scale=amount(plain.get("ttl_scale")),
    )


def _traffic(plain: Plain) -> Traffic:
    return Traffic(
        rate=amount(plain.get("rate")),
        skew=amount(plain.get("skew")),
        users=count(plain.get("users")),
        products=count(plain.get("products")),
        write_share=ratio(plain.get("write_share")),
        burst_factor=amount(plain.get("burst_factor")),
        hot_share=ratio(plain.get("hot_share")),
    )


def _scenarios(value: object) -> tuple[Scenario, ...]:
    found = {}
    for one in map(mapping, items(value, MOST_CHOICES)):
        if name := text(one.get("name"), LONGEST_NAME):
            found[name] = Scenario(name, text(one.get("title"), LONGEST_NAME) or name, text(one.get("sentence")))
    return tuple(found.values())


def _running(plain: Plain, ahead: float) -> Running:
    return Running(
        text(plain.get("name"), LONGEST_NAME),
        text(plain.get("sentence")),
        moment(plain.get("since"), ahead),
        moment(plain.get("ends"), ahead),
    )


def _memory(value: object) -> Memory | None:
    plain = mapping(value)
    if not plain:
        return None
    return Memory(
        maxmemory=count(plain.get("maxmemory")),
        used=count(plain.get("used")),
        policy=text(plain.get("policy"), LONGEST_NAME),
        risk=text(plain.get("risk")),
    )


_COUNTS = frozenset({"stale_total", "queue", "dead", "lost"})


def _figures(plain: Plain) -> Figures:
    def of(name: str) -> float | None:
        value = plain.get(name)
        return ratio(value) if name == "hit_ratio" else count(value) if name in _COUNTS else amount(value)

    return Figures(**{one.name: of(one.name) for one in fields(Figures)})  # type: ignore[arg-type]


def _series(plain: Plain, ahead: float) -> Series:
    """Times that go up, and the values beside them; a column that is not as long as the times is empty."""
    told = plain.get("at")
    length = len(told) if isinstance(told, list) else 0
    newest = slice(max(0, length - MOST_POINTS), length)
    times = [moment(one, ahead) for one in (told[newest] if isinstance(told, list) else [])]
    places, last = [], -1.0
    for place, at in enumerate(times):
        if at is not None and at > last:
            places.append(place)
            last = at
    values = {}
    for name in SERIES:
        column = plain.get(name)
        found = column[newest] if isinstance(column, list) and len(column) == length else [None] * len(times)
        read = ratio if name == "hit_ratio" else amount
        values[name] = tuple(read(found[place]) for place in places)
    return Series(tuple(times[place] or 0.0 for place in places), values)
