"""What the statistics page draws, read from the store: how far back, how finely, of which primary."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dashboard.cache.statistics.charts import DRAWN, answer
from dashboard.cache.statistics.command_series import CommandPoint, Written, command_points, table
from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.memory_parts import parts
from dashboard.cache.statistics.picture import Picture
from dashboard.cache.statistics.rates import Rates
from dashboard.cache.statistics.series import Point
from dashboard.jobs import latency
from dashboard.jobs.seeing import gather
from dashboard.store import command_samples
from dashboard.store.command_samples import CommandSample
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.thinned import SLACK_SECONDS
from dashboard.views.blocks import block, draw
from dashboard.views.overview.figures import Range, chart_points, fitting
from dashboard.views.render import Problem

STEP_SECONDS = 10.0
"""Between two points of the shortest range: with 13 charts, each sample would be five times as much to send."""

COMMAND_POINTS = 42
"""Points of a chart of commands: of 7 d, one in four hours. Their samples are dearer to read than those of figures."""

TABLE_PARTS = 4
"""Stretches that the table of commands adds up: each is exact, and more of them would add up to the same."""

EVERY: Mapping[int, int] = {15: 10, 60: 30, 1440: 60, 7 * 1440: 120}
"""Minutes of a range -> seconds after which its charts and tables are drawn anew."""


@dataclass(frozen=True)
class Figures:
    """The tables, each drawn for itself; `nodes`: primaries to choose from, where there are several."""

    answer: str
    blocks: tuple[Markup, ...]
    nodes: tuple[str, ...] = ()


def figures_of(store: Store, cache: str, span: Range, node: str, period: float) -> Figures:
    """Where memory is now, and what commands cost over the range."""
    now = time.time()
    try:
        seen = gather(store, cache, now, period)
    except StoreError as error:
        problem = Problem(error.sentence, error.advice)
        return Figures("The figures cannot be read now.", (draw("_problem.html", problem=problem),))
    reading, lately = _chosen(seen, node)
    names = tuple(sorted(one.name for one in (*seen.fresh, *seen.silent)))
    blocks = (
        block("statistics/_memory.html", lambda: {"parts": parts(reading) if reading else ()}),
        block(
            "statistics/_commands.html",
            lambda: _commands(store, cache, span, node, now),
        ),
    )
    return Figures(answer(reading, lately), blocks, names if len(names) > 1 or node else ())


def _chosen(seen: Picture, node: str) -> tuple[Reading | None, Rates | None]:
    """The newest reading and what happened lately: of one primary, or of all that are sampled now."""
    if not node:
        return seen.whole, seen.recent
    found = next((one for one in seen.spans if one.name == node), None)
    return (found.latest, found.recent) if found else (None, None)


def _commands(store: Store, cache: str, span: Range, node: str, now: float) -> dict[str, object]:
    seconds, rows = table(_costs(store, cache, span, node, now, TABLE_PARTS)[1])
    return {
        "rows": rows,
        "seconds": seconds,
        "told": any(row.told for row in rows),
        "timed": any(row.percentiles and not row.told for row in rows),
    }


def figure_points_of(store: Store, cache: str, span: Range, node: str, period: float, now: float) -> list[Point]:
    """The points of the charts of figures. Raises StoreUnavailable."""
    return chart_points(store, cache, span, now, period, node, every=STEP_SECONDS, names=DRAWN)


def command_points_of(
    store: Store, cache: str, span: Range, node: str, period: float, now: float
) -> list[CommandPoint]:
    """What commands cost over the range, as finely as it is drawn. Raises StoreUnavailable."""
    every, written = _costs(store, cache, span, node, now, COMMAND_POINTS, max(latency.SECONDS, period))
    return command_points(written, every)


def _costs(
    store: Store, cache: str, span: Range, node: str, now: float, parts: int, least: float = 0.0
) -> tuple[float, Mapping[str, list[Written]]]:
    """(seconds between two, samples by node): so many `parts` of the range; of a young history, of a shorter range."""
    every = max(span.seconds / parts, least)
    # What was there before the range counts from its beginning; samples as fine are kept a little longer than it.
    since = now - span.seconds - min(every, SLACK_SECONDS)
    taken = command_samples.load(store, cache, since, now=now, every=every, node=node)
    if taken and (shorter := fitting(now - taken[0].at - every, span)) != span:
        return _costs(store, cache, shorter, node, now, parts, least)
    found = _by_node(taken)
    if any(len(samples) < 2 for samples in found.values()):  # a primary that is new: whatever there is
        found = _by_node(command_samples.load(store, cache, since, now=now, node=node))
    return every, found


def _by_node(taken: Sequence[CommandSample]) -> Mapping[str, list[Written]]:
    found: dict[str, list[Written]] = defaultdict(list)
    for sample in taken:
        found[sample.node].append((sample.at, sample.values))
    return found
