"""What the overview shows, read from the store: the picture of now, and the points of its charts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.cache.info import Reading, restored
from dashboard.cache.picture import FORGET_SECONDS, WINDOW_SECONDS, Picture, picture
from dashboard.cache.rates import Rates, rates
from dashboard.cache.series import Point, points
from dashboard.store import samples
from dashboard.store.engine import Store
from dashboard.store.samples import Sample

# So many minutes of samples must be there before one a minute is enough to say what happened lately.
ENOUGH_MINUTES = 2


@dataclass(frozen=True)
class Range:
    """A range of the charts: minutes back from now, and seconds between its points (0: each sample)."""

    minutes: int
    label: str
    resolution: int

    @property
    def seconds(self) -> float:
        return self.minutes * 60.0


RANGES = (
    Range(15, "15 min", samples.RAW),
    Range(60, "1 h", samples.MINUTE),
    Range(1440, "24 h", samples.QUARTER),
)


def gather(store: Store, cache: str, now: float, period: float) -> Picture:
    """The picture of a cache from its samples: the newest of each primary, and rates of the last minutes.

    One sample a minute is read, and those since the last full minute. Raises StoreUnavailable.
    """
    taken = samples.load(store, cache, now - FORGET_SECONDS, resolution=samples.MINUTE, now=now)
    if taken and taken[-1].at - taken[0].at < ENOUGH_MINUTES * 60:
        taken = samples.load(store, cache, taken[0].at - 60, resolution=samples.RAW, now=now)
    taken = taken or samples.latest(store, cache)
    latest: list[Reading] = []
    recent: dict[str, Rates] = {}
    earlier: dict[str, Rates] = {}
    for node, readings in _by_node(taken).items():
        last = readings[-1]
        latest.append(last)
        start = _at(readings[:-1], last.at - WINDOW_SECONDS)
        if start is None:
            continue
        recent[node] = rates(start, last)
        before = _at([one for one in readings if one.at < start.at], start.at - WINDOW_SECONDS)
        if before is not None:
            earlier[node] = rates(before, start)
    return picture(now, period, latest, recent, earlier)


def chart_points(store: Store, cache: str, span: Range, now: float, period: float, node: str) -> list[Point]:
    """The points of a range, of all primaries together or of the one that `node` names. Raises StoreUnavailable."""
    taken = samples.load(store, cache, now - span.seconds, resolution=span.resolution, now=now)
    resolution = _fitting(now - taken[0].at, span) if taken else span.resolution
    if resolution != span.resolution:
        taken = samples.load(store, cache, taken[0].at - span.resolution, resolution=resolution, now=now)
    chosen = [sample for sample in taken if node in ("", sample.node)]
    by_node: dict[str, list[tuple[float, Reading]]] = defaultdict(list)
    for sample in chosen:
        # Without the facts that restored() adds: charts draw numbers, and there are thousands of these.
        moment = sample.values.get("sampled_at", sample.at)
        by_node[sample.node].append((sample.at, Reading(moment, sample.node, sample.values)))
    return points(by_node, float(resolution) or period)


def _fitting(age: float, span: Range) -> int:
    """The resolution for a history that is `age` seconds old: a young one is drawn as finely as a shorter range."""
    return next((shorter.resolution for shorter in RANGES if age <= shorter.seconds), span.resolution)


def _by_node(taken: Sequence[Sample]) -> Mapping[str, list[Reading]]:
    found: dict[str, list[Reading]] = defaultdict(list)
    for sample in taken:
        found[sample.node].append(restored(sample.at, sample.node, sample.values))
    return found


def _at(readings: Sequence[Reading], moment: float) -> Reading | None:
    """The reading nearest to a moment."""
    return min(readings, key=lambda one: abs(one.at - moment), default=None)
