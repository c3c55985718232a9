"""Readings over time as the lines of charts: of one primary, or of several together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.picture import STALE_PERIODS
from dashboard.cache.statistics.rates import Rates, rates
from dashboard.cache.wording import count, percent, size

# The counters whose rates are drawn.
DRAWN = ("total_commands_processed", "keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys")

Format = Literal["number", "bytes", "percent", "seconds"]


@dataclass(frozen=True)
class Line:
    """One line of a chart; None where nothing is known."""

    label: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Chart:
    """One chart. `x`: epoch seconds; `limit`: maxmemory, drawn across, or None; `caption`: what it shows, in words."""

    id: str
    title: str
    unit: str
    format: Format
    caption: str
    x: tuple[float, ...]
    lines: tuple[Line, ...]
    limit: float | None = None


@dataclass(frozen=True)
class Point:
    """What all primaries together showed at one moment; `parts` is empty in a gap."""

    at: float
    parts: Sequence[tuple[Reading, Rates | None]] = ()

    def rate(self, name: str) -> float | None:
        """Per second, summed; None as soon as one primary's is unknown."""
        found = [part.per_second(name) for _, part in self.parts if part is not None]
        return sum(found) if self.parts and len(found) == len(self.parts) else None

    def gauge(self, name: str) -> float | None:
        """The sum; 0 where no server tells it."""
        return sum(one.get(name) for one, _ in self.parts) if self.parts else None

    @property
    def hit_ratio(self) -> float | None:
        known = [part for _, part in self.parts if part is not None]
        reads = sum(part.reads for part in known)
        hits = sum(part.change.get("keyspace_hits", 0.0) for part in known)
        return hits / reads if reads and len(known) == len(self.parts) else None


def points(
    by_node: Mapping[str, Iterable[tuple[float, Reading]]], step: float, names: Sequence[str] = DRAWN
) -> list[Point]:
    """One point for each bucket of `step` seconds, from (at, reading) pairs of each primary, ordered by time.

    names: the counters whose rates are wanted.

    A primary that misses up to three buckets leaves the total unknown there; after that it is left
    out of it. Where no primary has any reading for longer, one empty point makes the gap visible.
    """
    patience = STALE_PERIODS * step
    found: dict[float, dict[str, _Seen]] = {}
    for node, pairs in by_node.items():
        before: tuple[float, Reading] | None = None
        for at, now in pairs:
            slot = at // step * step
            change = rates(before[1], now, names) if before and slot - before[0] <= patience else None
            found.setdefault(slot, {})[node] = _Seen(at, now, change)
            before = (slot, now)
    return list(_complete(found, step, patience))


@dataclass(frozen=True, slots=True)
class _Seen:
    at: float
    reading: Reading
    change: Rates | None


def _complete(found: Mapping[float, Mapping[str, _Seen]], step: float, patience: float) -> Iterable[Point]:
    last_slot: dict[str, float] = {}
    previous = Point(0.0)
    for slot in sorted(found):
        here = found[slot]
        at = max(one.at for one in here.values())
        if previous.at and at - previous.at > patience + step:
            yield Point(previous.at + step)
        last_slot.update(dict.fromkeys(here, slot))
        missing = any(slot - seen <= patience for node, seen in last_slot.items() if node not in here)
        previous = Point(at, () if missing else tuple((one.reading, one.change) for one in here.values()))
        yield previous


def charts(seen: Sequence[Point]) -> tuple[Chart, ...]:
    """The five charts of the overview."""
    x = tuple(int(point.at) if point.at % 1 == 0 else point.at for point in seen)
    operations = [point.rate("total_commands_processed") for point in seen]
    ratios = [point.hit_ratio for point in seen]
    memory = [point.gauge("used_memory") for point in seen]
    evicted = [point.rate("evicted_keys") for point in seen]
    expired = [point.rate("expired_keys") for point in seen]
    connected = [point.gauge("connected_clients") for point in seen]
    blocked = [point.gauge("blocked_clients") for point in seen]
    limit = limit_of(seen)
    return (
        Chart("ops", "Operations", "ops/s", "number", latest("{}/s", operations), x, (line("commands", operations),)),
        Chart("hit_ratio", "Hit ratio", "", "percent", latest("{}", ratios, percent), x, (line("hit ratio", ratios),)),
        Chart("memory", "Memory", "", "bytes", _memory(memory, limit), x, (line("used", memory),), limit),
        Chart(
            "evictions",
            "Evictions and expirations",
            "keys/s",
            "number",
            f"Evicted: {latest('{}/s', evicted)} Expired: {latest('{}/s', expired)}",
            x,
            (line("evicted", evicted), line("expired", expired)),
        ),
        Chart(
            "clients",
            "Clients",
            "",
            "number",
            latest("{} connected", connected),
            x,
            (line("connected", connected), line("blocked", blocked)),
        ),
    )


def line(label: str, values: Iterable[float | None]) -> Line:
    """Six significant digits: more would only make the answer longer."""
    return Line(label, tuple(None if value is None else float(f"{value:.6g}") for value in values))


def limit_of(seen: Sequence[Point]) -> float | None:
    """maxmemory of all primaries together at the newest point; None where one has none."""
    last = next((point for point in reversed(seen) if point.parts), None)
    limits = [one.get("maxmemory") for one, _ in last.parts] if last else []
    return sum(limits) if limits and all(limits) else None


def latest(form: str, values: Sequence[float | None], words: Callable[[float], str] = count) -> str:
    """'Latest 340/s; from 12 to 1.2 k.': form has a place for the newest value."""
    known = [value for value in values if value is not None]
    if not known:
        return "Nothing known in this time."
    last = values[-1]
    shown = "unknown" if last is None else form.format(words(last))
    return f"Latest {shown}; from {words(min(known))} to {words(max(known))}."


def _memory(values: Sequence[float | None], limit: float | None) -> str:
    of = f" of {size(limit)}" if limit else ", no maxmemory is set"
    return latest("{}" + of, values, size)
