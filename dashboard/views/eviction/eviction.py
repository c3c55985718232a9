"""Eviction: what memory pressure does to a cache, and the form of the settings that decide about it.

The head comes from the worker's samples and answers however slow the server is; the form asks every node for what it
has, and says in its place why it cannot.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.setting import shown
from dashboard.cache.statistics.picture import Picture
from dashboard.cache.tuning.node_settings import NodeSettings
from dashboard.jobs import tuning
from dashboard.jobs.knowing import with_known
from dashboard.jobs.seeing import gather
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.blocks import block
from dashboard.views.deck import deck
from dashboard.views.eviction.editor import editor
from dashboard.views.eviction.pressure import pressure
from dashboard.views.finding_list import finding_list
from dashboard.views.render import Problem, fragment, of_cache_error, page

blueprint = Blueprint("eviction", __name__, url_prefix="/caches/<cache>/eviction")

TOPICS = ("memory", "eviction", "settings")
"""Of the findings, what is said on this screen."""

_log = logging.getLogger(__name__)


@blueprint.get("")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """Pressure, evidence, policies and settings."""
    current_cache()
    return form_page()


@blueprint.get("/live")
@requires(Role.VIEWER, background=True)
def live(cache: str) -> ResponseReturnValue:
    """The figures as they are now."""
    current_cache()
    return fragment("eviction/_live.html", **live_context(), again=True)


def form_page(
    sent: Mapping[str, str] | None = None, error: tuple[str, str] | None = None, status: int = 200
) -> Response:
    """The page. sent, error: what was typed into its form, and what is wrong with it (setting, sentence)."""
    return page(
        "eviction/page.html",
        screen="eviction",
        tab="pressure",
        status=status,
        error=error,
        shown=shown,
        **live_context(),
        **_form_context(sent, error),
    )


def live_context() -> dict[str, Any]:
    """The figures, or why there are none."""
    cache = current_cache()
    try:
        seen = gather(deck().store, cache.name, time.time(), deck().settings.sample_seconds)
    except StoreError as error:
        return {"pressure": None, "pressure_problem": Problem(error.sentence, error.advice), "findings": ""}
    said = block("_findings.html", lambda: _said(cache, seen))
    return {"pressure": pressure(seen), "pressure_problem": None, "findings": said}


def _said(cache: Cache, seen: Picture) -> dict[str, Any]:
    known = with_known(deck().store, cache.name, seen)
    return {"list": finding_list(cache, known, TOPICS, "eviction"), "name": cache.name}


def _form_context(sent: Mapping[str, str] | None, error: tuple[str, str] | None) -> dict[str, Any]:
    try:
        now = tuning.current(deck().store, deck().settings, current_cache())
        return {"editor": editor(now, sent, error), "apart": apart(now.nodes), "editor_problem": None}
    except CacheError as problem:
        found = of_cache_error(problem)
    except StoreError as problem:
        found = Problem(problem.sentence, problem.advice)
    except Exception:  # noqa: BLE001 (whatever it is, it is logged, and the rest of the page stands)
        _log.exception("the settings of %s cannot be drawn", current_cache().name)
        found = Problem("The settings cannot be drawn.", "The log of the web process says why.")
    return {"editor": None, "apart": {}, "editor_problem": found}


def apart(nodes: tuple[NodeSettings, ...]) -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """node -> setting -> (running, in its file), where that can be known."""
    try:
        return tuning.not_in_file(current_cache(), nodes)
    except (CacheError, OSError):
        return {}
