"""The points of the charts, read from the store: how far back, how finely, of which primary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import abort, request

from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.series import DRAWN, Chart, Point, points
from dashboard.store import samples
from dashboard.store.engine import Store


@dataclass(frozen=True)
class Range:
    """A range of the charts: minutes back from now. resolution: of the samples that are read (store/samples.py).

    every: seconds between its points, where that is more.
    """

    minutes: int
    label: str
    resolution: int
    every: float = 0.0

    @property
    def seconds(self) -> float:
        return self.minutes * 60.0


RANGES = (
    Range(15, "15 min", samples.RAW),
    Range(60, "1 h", samples.MINUTE),
    Range(1440, "24 h", samples.QUARTER),
    Range(7 * 1440, "7 d", samples.QUARTER, 7200.0),
)


def asked_range() -> Range:
    """The range that the request's `minutes` names, the first without it; else 400."""
    text = request.args.get("minutes", str(RANGES[0].minutes))
    found = next((one for one in RANGES if str(one.minutes) == text), None)
    if found is None:
        abort(400, f"minutes is one of {', '.join(str(one.minutes) for one in RANGES)}.")
    return found


def drawn(chart: Chart) -> dict[str, Any]:
    """A chart as static/js/chart.js reads it."""
    lines = [{"label": line.label, "values": line.values} for line in chart.lines]
    return vars(chart) | {"lines": lines, "limit_label": "maxmemory"}


def chart_points(
    store: Store,
    cache: str,
    span: Range,
    now: float,
    period: float,
    node: str,
    *,
    every: float = 0.0,
    names: Sequence[str] = DRAWN,
) -> list[Point]:
    """The points of a range, of all primaries together or of the one that `node` names. Raises StoreUnavailable.

    every: seconds between two points at least. names: the counters whose rates are wanted.
    """
    shown = span
    since = now - span.seconds
    taken = samples.load(store, cache, since, None, span.resolution, now, every=max(every, span.every), node=node)
    if taken and (shown := fitting(now - taken[0].at, span)) != span:
        since = taken[0].at - span.resolution - span.every
        taken = samples.load(store, cache, since, None, shown.resolution, now, every=max(every, shown.every), node=node)
    by_node: dict[str, list[tuple[float, Reading]]] = defaultdict(list)
    for sample in taken:
        # Without the facts that restored() adds: charts draw numbers, and there are thousands of these.
        moment = sample.values.get("sampled_at", sample.at)
        by_node[sample.node].append((sample.at, Reading(moment, sample.node, sample.values)))
    return points(by_node, max(shown.resolution or period, shown.every, every), names)


def fitting(age: float, span: Range) -> Range:
    """The range as which a history that is `age` seconds old is drawn: a young one as finely as a shorter range."""
    return next((shorter for shorter in RANGES if age <= shorter.seconds), span)
