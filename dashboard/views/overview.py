"""Overview: findings in words, figures, primaries and charts of one cache.

What it shows comes from the worker's samples, so it answers at once however slow the server is. Only
where samples are missing does it look at the server itself, to say why.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, abort, current_app, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from dashboard.cache.capability import NOT_ALLOWED
from dashboard.cache.connect import Cache
from dashboard.cache.errors import CacheError
from dashboard.cache.findings import Finding, Picture, answer, findings
from dashboard.cache.picture import window
from dashboard.cache.series import Chart, charts
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.deck import deck
from dashboard.views.live_look import looks
from dashboard.views.overview_figures import RANGES, Range, chart_points, gather
from dashboard.views.render import Problem, fragment, page

blueprint = Blueprint("overview", __name__, url_prefix="/caches/<cache>")

_log = logging.getLogger(__name__)

# Where a finding leads: its screen -> endpoint, what the address says, the link's words.
SCREENS: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "keys": ("keys.index", {"ttl": "none"}, "Keys without TTL"),
    "eviction": ("eviction.show", {}, "Eviction"),
}
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
    span, node = _span(), request.args.get("node", "")
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
    """One badge for the rail: the worst that there is to say."""
    try:
        worst = findings(_picture(current_cache()))[0].level
    except StoreError:
        worst = "critical"
    word, level = HEALTH.get(worst, ("healthy", "ok"))
    return fragment("overview/_health.html", word=word, level=level)


@blueprint.get("/samples")
@requires(Role.VIEWER, background=True)
def samples(cache: str) -> ResponseReturnValue:
    """The charts as JSON, of all primaries together or of one (`node`)."""
    now, span = time.time(), _span()
    period = deck().settings.sample_seconds
    seen = chart_points(deck().store, current_cache().name, span, now, period, request.args.get("node", ""))
    return jsonify({"now": now, "series": [_drawn(chart) for chart in charts(seen)]})


def _drawn(chart: Chart) -> dict[str, Any]:
    """A chart as static/js/chart.js reads it."""
    lines = [{"label": line.label, "values": line.values} for line in chart.lines]
    return vars(chart) | {"lines": lines, "limit_label": "maxmemory"}


def _span() -> Range:
    text = request.args.get("minutes", str(RANGES[0].minutes))
    found = next((one for one in RANGES if str(one.minutes) == text), None)
    if found is None:
        abort(400, f"minutes is one of {', '.join(str(one.minutes) for one in RANGES)}.")
    return found


def _picture(cache: Cache) -> Picture:
    """From the store; where it is stale, with a look at the server. Raises StoreUnavailable."""
    seen = gather(deck().store, cache.name, time.time(), deck().settings.sample_seconds)
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
        return Live("The figures cannot be read now.", (_draw("_problem.html", problem=problem),))
    said: list[str] = []

    def in_words() -> dict[str, Any]:
        found = findings(seen)
        said.append(answer(found))
        return {"findings": [(one, *_link(cache, one)) for one in found]}

    blocks = [_block("overview/_findings.html", in_words)]
    if seen.whole is not None:
        blocks.append(
            _block("overview/_tiles.html", lambda: {"seen": seen, "lately": seen.recent and window(seen.recent)})
        )
    if len(seen.fresh) + len(seen.silent) > 1:
        blocks.append(_block("overview/_nodes.html", lambda: {"seen": seen, "name": cache.name}))
    return Live("".join(said), tuple(blocks), seen)


def _link(cache: Cache, finding: Finding) -> tuple[str, str]:
    """(address, words) of the screen that shows more; empty where there is no such screen."""
    endpoint, query, words = SCREENS.get(finding.screen or "", ("", {}, ""))
    if endpoint not in current_app.view_functions:
        return "", ""
    return url_for(endpoint, cache=cache.name, **query), words


def _block(template: str, context: Callable[[], dict[str, Any]]) -> Markup:
    try:
        return _draw(template, **context())
    except Exception:  # noqa: BLE001 (whatever it is, it is logged, and the rest of the page stands)
        _log.exception("%s cannot be drawn", template)
        problem = Problem("This part of the page cannot be drawn.", "The log of the web process says why.")
        return _draw("_problem.html", problem=problem)


def _draw(template: str, **context: Any) -> Markup:
    """A template of ours by itself, without the shell's context, which asks the server."""
    # Autoescaped as every template is: what comes out of it is markup.
    return Markup(current_app.jinja_env.get_template(template).render(context))  # noqa: S704
