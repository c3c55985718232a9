"""What the Expiry screen draws of a report: cliffs, how long keys still live, what expires when, and the rules."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from flask import current_app, url_for

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.cliffs import smoothed_peak
from dashboard.cache.analysis.forecast import Series, forecast
from dashboard.cache.analysis.report import OTHER, Cliff, Group, NamespaceRow, Report, RuleRow
from dashboard.cache.estimate import Estimate
from dashboard.cache.selecting.fold import pattern_of
from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.store.errors import StoreError
from dashboard.views.bars import Cell, Columns, Row, columns, distribution, strip
from dashboard.views.deck import deck
from dashboard.views.filters import byte_size, duration, number
from dashboard.views.overview.figures import RANGES, chart_points
from dashboard.views.retimings.retimed import Retimed, retimed, since

NO_TTL = "no TTL"
JITTER_SECONDS = 300
NAMESPACES_SHOWN = 50
NAMESPACES_IN_ANY_CASE = 10
LEAST_PART = 0.001  # of all keys, that a namespace has to have for a row of its own beyond those
RATE_SECONDS = 300.0
WORTH_NAMING = 100  # keys of a cliff; fewer that expire together hurt nobody, and are counted only


@dataclass(frozen=True)
class Ahead:
    """A cliff that is still to come: what jitter would make of it, and where it can be looked at and spread.

    all_keys: whether the links are about all keys of that instant, because no pattern takes those of its namespace
    alone. retimed: what has been done about it since the analysis.
    """

    cliff: Cliff
    peak: float
    smoothed: float
    keys_href: str
    spread_href: str
    all_keys: bool = False
    retimed: Retimed | None = None


@dataclass(frozen=True)
class Chart:
    """One forecast, drawn: keys, and bytes below where the server tells sizes. marks: seconds to its quarters."""

    series: Series
    keys: Columns
    memory: Columns | None
    marks: tuple[float, ...]


@dataclass(frozen=True)
class Namespace:
    """One namespace's row: its strip of TTL buckets, and the same in numbers."""

    row: NamespaceRow
    cells: tuple[Cell, ...]
    parts: tuple[tuple[str, Estimate], ...]
    href: str


@dataclass(frozen=True)
class Rule:
    """One rule's row: where the keys of each place can be seen, and where those out of range can be put right."""

    row: RuleRow
    hrefs: dict[str, str]
    fixes: dict[str, str]


def figures(cache: str, selection: Selection, report: Report, now: float) -> dict[str, Any]:
    """What the templates of expiry/ draw at `now` (epoch seconds)."""
    ahead = forecast(report, now)
    every = _cliffs(cache, selection, report, now)
    coming = tuple(one for one in every if one.cliff.keys.value >= WORTH_NAMING)
    return {
        "at": now,
        "cliffs": coming,
        "steep": tuple(one.cliff for one in coming if not one.retimed),
        "small": len(every) - len(coming),
        "past": sum(cliff.at + cliff.seconds <= now for cliff in report.cliffs),
        "distribution": _distribution(cache, selection, report),
        "forecast": ahead,
        "charts": tuple(_chart(series, coming) for series in ahead.series),
        "rate": _rate_now(cache),
        "namespaces": tuple(_namespace(cache, selection, row) for row in _worth_a_row(report)),
        "rules": tuple(_rule(cache, row) for row in report.rules if _matches(row)),
        "idle_rules": tuple(row for row in report.rules if not _matches(row)),
        "jitter": JITTER_SECONDS,
        "worth_naming": WORTH_NAMING,
    }


def _link(cache: str, selection: Selection | None) -> str:
    return url_for("keys.index", cache=cache, **dict[str, Any](selection.to_query())) if selection else ""


def _narrowed(selection: Selection, *, ttl: str = "", pattern: str = "") -> Selection | None:
    """The selection with a TTL condition or a pattern more; None where a selection cannot say both."""
    if ttl and selection.ttl and ttl != selection.ttl:
        return None
    try:
        wanted = from_printable(pattern) if pattern else selection.pattern
        return replace(selection, pattern=wanted, ttl=ttl or selection.ttl)
    except BadSelection:
        return None


# Cliffs


def _cliffs(cache: str, selection: Selection, report: Report, now: float) -> tuple[Ahead, ...]:
    """Those that are not over yet, of a namespace rather than of the keyspace where both know of it."""
    coming = [cliff for cliff in report.cliffs if cliff.at + cliff.seconds > now]
    named = [cliff for cliff in coming if cliff.name]
    whole = [cliff for cliff in coming if not cliff.name and not _explained(cliff, named)]
    done = since(deck().store, cache, report.started_at)
    return tuple(
        _ahead(cache, selection, cliff, retimed(done, cliff, selection))
        for cliff in sorted([*named, *whole], key=lambda one: one.at)
    )


def _explained(whole: Cliff, named: list[Cliff]) -> bool:
    """Whether namespaces with a cliff at the same time account for most of one of the keyspace."""
    same = [one for one in named if one.at < whole.at + whole.seconds and whole.at < one.at + one.seconds]
    return sum(one.keys.value for one in same) >= whole.keys.value / 2


def _ahead(cache: str, selection: Selection, cliff: Cliff, done: Retimed | None) -> Ahead:
    wanted = Selection(
        from_printable(cliff.pattern) if cliff.pattern else selection.pattern,
        selection.type,
        f"@{cliff.at:.3f}-{cliff.at + cliff.seconds:.3f}",
        selection.size,
    )
    return Ahead(
        cliff,
        cliff.keys.value / cliff.seconds + cliff.usual,
        smoothed_peak(cliff, JITTER_SECONDS),
        _link(cache, wanted),
        _retiming(cache, wanted, jitter=JITTER_SECONDS),
        all_keys=bool(cliff.name) and wanted.pattern == b"*",
        retimed=done,
    )


def _retiming(cache: str, selection: Selection | None, **fields: Any) -> str:
    """Where a retiming of these keys is tried first; "" where there is no such screen."""
    if selection is None or "retimings.new" not in current_app.view_functions:
        return ""
    return url_for("retimings.new", cache=cache, **dict[str, Any](selection.to_query()), **fields)


# How long keys still live


def _distribution(cache: str, selection: Selection, report: Report) -> tuple[Row, ...]:
    forever = Group(NO_TTL, report.without_ttl, report.without_ttl_memory)
    groups = [*zip(report.ttl, (_ttl_condition(index) for index in range(len(report.ttl))), strict=True)]
    pairs = [(group, _link(cache, _narrowed(selection, ttl=ttl))) for group, ttl in (*groups, (forever, "none"))]
    return distribution(pairs, report.keys)


def _ttl_condition(bucket: int) -> str:
    """The TTL condition of a bucket of slots.TTL_LABELS."""
    if bucket == len(slots.TTL_BOUNDS):
        return f">{slots.TTL_BOUNDS[-1]}"
    low = slots.TTL_BOUNDS[bucket - 1] if bucket else 0
    return f"{low}-{slots.TTL_BOUNDS[bucket]}"


def _worth_a_row(report: Report) -> list[NamespaceRow]:
    """The largest namespaces, without a long tail of those that hold next to nothing."""
    least = report.keys.value * LEAST_PART
    return [
        row
        for index, row in enumerate(report.namespaces[:NAMESPACES_SHOWN])
        if index < NAMESPACES_IN_ANY_CASE or row.keys.value >= least
    ]


def _namespace(cache: str, selection: Selection, row: NamespaceRow) -> Namespace:
    parts = (*zip(slots.TTL_LABELS, row.ttl, strict=True), (NO_TTL, row.without_ttl)) if row.ttl else ()
    words = [(f"{label}: {number(keys.value)} keys", keys) for label, keys in parts]
    wanted = None if row.name == OTHER else _narrowed(selection, pattern=_glob(row.name))
    return Namespace(row, strip(words, row.keys.value), parts, _link(cache, wanted))


def _glob(name: str) -> str:
    """The pattern, as text for a query string, of a namespace's keys."""
    return printable(pattern_of(from_printable(name)))


# What expires when


def _chart(series: Series, coming: tuple[Ahead, ...]) -> Chart:
    marked = {index for index in range(len(series.bins)) if _has_cliff(series, index, coming)}
    words = [_words(series, index) + (": a cliff" if index in marked else "") for index in range(len(series.bins))]
    keys = columns([one.keys for one in series.bins], words, marked=marked)
    sizes = [one.memory for one in series.bins]
    memory = None
    if all(size is not None for size in sizes):
        known = [Estimate(size or 0.0, size or 0.0, size or 0.0) for size in sizes]
        memory = columns(known, words, step=1024.0, least=1024.0)
    quarter = len(series.bins) * series.seconds / 4
    return Chart(series, keys, memory, tuple(quarter * index for index in range(4)))


def _has_cliff(series: Series, index: int, coming: tuple[Ahead, ...]) -> bool:
    """Whether a bin holds a cliff; not in charts whose bins are so wide that one does not stand out there."""
    begin = series.bins[index].at
    cliffs = (ahead.cliff for ahead in coming if ahead.cliff.keys.value > series.bins[index].keys.value / 4)
    return any(cliff.at < begin + series.seconds and begin < cliff.at + cliff.seconds for cliff in cliffs)


def _words(series: Series, index: int) -> str:
    """What a column says: "in 3 min: 467 keys (440 to 495), 1.2 MB"."""
    one = series.bins[index]
    when = f"in {duration(index * series.seconds)}" if index else "now"
    between = "" if one.keys.exact else f" ({number(one.keys.low)} to {number(one.keys.high)})"
    size = "" if one.memory is None else f", {byte_size(one.memory)}"
    return f"{when}: {number(one.keys.value)} {'key' if one.keys.value == 1 else 'keys'}{between}{size}"


def _rate_now(cache: str) -> float | None:
    """Keys that expired per second in the last minutes, as the samples say; None where there are none."""
    now = time.time()
    try:
        seen = chart_points(deck().store, cache, RANGES[0], now, deck().settings.sample_seconds, "")
    except StoreError:
        return None
    rates = [point.rate("expired_keys") for point in seen if point.at >= now - RATE_SECONDS]
    known = [rate for rate in rates if rate is not None]
    return sum(known) / len(known) if known else None


# Rules


def _matches(row: RuleRow) -> bool:
    return any(keys.value for keys in (row.inside, row.below, row.above, row.without))


def _rule(cache: str, row: RuleRow) -> Rule:
    """Rules are about all keys of their pattern, whatever the screen's selection is."""
    conditions = {
        "inside": f"{row.low:g}-{row.high:g}",
        "below": f"0-{row.low:g}",
        "above": f">{row.high:.0f}",
        "without": "none",
    }
    found = {place: _selected(row.pattern, ttl) for place, ttl in conditions.items()}
    fixes = {
        place: _retiming(cache, found[place], low=f"{row.low:g}", high=f"{row.high:g}")
        for place in ("below", "above", "without")
    }
    return Rule(row, {place: _link(cache, selection) for place, selection in found.items()}, fixes)


def _selected(pattern: str, ttl: str) -> Selection | None:
    try:
        return Selection(from_printable(pattern), ttl=ttl)
    except BadSelection:
        return None
