"""Statistics of a cache over time: charts, where its memory is, what its commands cost, and its slow log.

All but the slow log comes from the worker's samples, so it answers at once however slow the server is.
"""

from __future__ import annotations

import time

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.statistics.charts import charts
from dashboard.cache.statistics.command_series import command_charts
from dashboard.cache.statistics.slow_log import slow_log as ask_for_slow_log
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.deck import deck
from dashboard.views.overview.figures import RANGES, asked_range, drawn
from dashboard.views.render import fragment, of_cache_error, page, wants_fragment
from dashboard.views.statistics.figures import EVERY, command_points_of, figure_points_of, figures_of

blueprint = Blueprint("statistics", __name__, url_prefix="/caches/<cache>/statistics")


@blueprint.get("")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """The page. Its address says the range (`minutes`) and the primary (`node`)."""
    span, node = asked_range(), request.args.get("node", "")
    return page(
        "statistics/page.html",
        screen="eviction",
        tab="statistics",
        figures=figures_of(deck().store, current_cache().name, span, node, deck().settings.sample_seconds),
        span=span,
        ranges=RANGES,
        node=node,
        every=EVERY[span.minutes],
    )


@blueprint.get("/figures")
@requires(Role.VIEWER, background=True)
def figures(cache: str) -> ResponseReturnValue:
    """The tables as they are now."""
    span, node = asked_range(), request.args.get("node", "")
    found = figures_of(deck().store, current_cache().name, span, node, deck().settings.sample_seconds)
    return fragment("statistics/_figures.html", figures=found, span=span, node=node, again=True)


@blueprint.get("/samples")
@requires(Role.VIEWER, background=True)
def samples(cache: str) -> ResponseReturnValue:
    """The charts as JSON, of all primaries together or of one (`node`)."""
    now, span, node = time.time(), asked_range(), request.args.get("node", "")
    store, name, period = deck().store, current_cache().name, deck().settings.sample_seconds
    seen = figure_points_of(store, name, span, node, period, now)
    commands = command_points_of(store, name, span, node, period, now)
    found = (*command_charts(commands), *charts(seen))
    return jsonify({"now": now, "series": [drawn(chart) for chart in found]})


@blueprint.get("/slow-log")
@requires(Role.OPERATOR)
def slow_log(cache: str) -> ResponseReturnValue:
    """What took long lately, asked of every primary now. Arguments of commands can be secrets: not for viewers."""
    found, problem = None, None
    try:
        found = ask_for_slow_log(current_cache())
    except CacheError as error:
        problem = of_cache_error(error)
    if wants_fragment():
        return fragment("statistics/_slow_log.html", log=found, problem=problem)
    return page("statistics/slow_log.html", screen="eviction", tab="statistics", log=found, problem=problem)
