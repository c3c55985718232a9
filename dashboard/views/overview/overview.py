"""Overview: findings in words, figures, primaries and charts of one cache.

What it shows comes from the worker's samples, so it answers at once however slow the server is. Only
where samples are missing does it look at the server itself, to say why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.capability import NOT_ALLOWED
from dashboard.cache.servers.connect import Cache
from dashboard.cache.statistics.picture import Level, Picture, window
from dashboard.cache.statistics.series import charts
from dashboard.jobs.knowing import with_known
from dashboard.jobs.seeing import gather
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.blocks import block, draw
from dashboard.views.deck import deck
from dashboard.views.finding_list import finding_list, worst
from dashboard.views.overview.figures import RANGES, asked_range, chart_points, drawn
from dashboard.views.overview.live_look import looks
from dashboard.views.render import Problem, fragment, page

blueprint = Blueprint("overview", __name__, url_prefix="/caches/<cache>")

# A finding's level -> the word and the level of the health badge.
HEALTH = {"critical": ("problem", "bad"), "warning": ("worth a look", "warn")}


@dataclass(frozen=True)
class Live:
    """The part of the page that is drawn anew every two seconds."""

    answer: str
    blocks: tuple[Markup, ...]
    picture: Picture | None = None


@blueprint.get("/")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """The page. Its address says the charts' range (`minutes`) and primary (`node`)."""
    span, node = asked_range(), request.args.get("node", "")
    return page(
        "overview/page.html",
        screen="overview",
        live=_live(current_cache()),
        span=span,
        ranges=RANGES,
        node=node,
    )


@blueprint.get("/overview")
@requires(Role.VIEWER, background=True)
def figures(cache: str) -> ResponseReturnValue:
    """Findings, figures and primaries as they are now."""
    return fragment("overview/_live.html", live=_live(current_cache()), again=True)


@blueprint.get("/health")
@requires(Role.VIEWER, background=True)
def health(cache: str) -> ResponseReturnValue:
    """One badge for the rail: the worst that there is to say, and is not silenced."""
    try:
        found: Level = worst(current_cache(), _picture(current_cache()))
    except StoreError:
        found = "critical"
    word, level = HEALTH.get(found, ("healthy", "ok"))
    return fragment("overview/_health.html", word=word, level=level)


@blueprint.get("/samples")
@requires(Role.VIEWER, background=True)
def samples(cache: str) -> ResponseReturnValue:
    """The charts as JSON, of all primaries together or of one (`node`)."""
    now, span = time.time(), asked_range()
    period = deck().settings.sample_seconds
    seen = chart_points(deck().store, current_cache().name, span, now, period, request.args.get("node", ""))
    return jsonify({"now": now, "series": [drawn(chart) for chart in charts(seen)]})


def _picture(cache: Cache) -> Picture:
    """From the store; where it is stale, with a look at the server. Raises StoreUnavailable."""
    seen = with_known(
        deck().store, cache.name, gather(deck().store, cache.name, time.time(), deck().settings.sample_seconds)
    )
    if seen.stale:
        return replace(seen, trouble=looks().trouble(cache))
    return replace(seen, denied=_denied(cache))


def _denied(cache: Cache) -> Mapping[str, str]:
    """Commands that the server keeps from us; asked for once a minute, while it answers."""
    try:
        denied = cache.capabilities().denied
    except CacheError:
        return {}
    return {command: reason for command, reason in denied.items() if reason == NOT_ALLOWED}


def _live(cache: Cache) -> Live:
    """Draw every block for itself: one that fails says so in its place, and the others stand."""
    try:
        seen = _picture(cache)
    except StoreError as error:
        problem = Problem(error.sentence, error.advice)
        return Live("The figures cannot be read now.", (draw("_problem.html", problem=problem),))
    said: list[str] = []

    def in_words() -> dict[str, Any]:
        found = finding_list(cache, seen)
        said.append(found.answer)
        return {"list": found, "name": cache.name}

    blocks = [block("_findings.html", in_words)]
    if seen.whole is not None:
        blocks.append(
            block("overview/_tiles.html", lambda: {"seen": seen, "lately": seen.recent and window(seen.recent)})
        )
    if len(seen.fresh) + len(seen.silent) > 1:
        blocks.append(block("overview/_nodes.html", lambda: {"seen": seen, "name": cache.name}))
    return Live("".join(said), tuple(blocks), seen)
