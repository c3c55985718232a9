"""Keys: a search by selection which goes on by itself, and the namespaces beside it."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache import errors
from dashboard.cache.reading.keys import keeps_frequency
from dashboard.cache.reading.namespaces import namespaces
from dashboard.cache.reading.search import MOST_SHOWN, PAGE, State, Step, search, state_from_text
from dashboard.cache.selecting.key_token import from_printable, printable, to_token
from dashboard.cache.selecting.selection import Selection, from_query, glob_escape
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, may, requires
from dashboard.views.deck import deck
from dashboard.views.render import fragment, of_cache_error, page, wants_fragment
from dashboard.views.selection_bar import selection_bar

blueprint = Blueprint("keys", __name__, url_prefix="/caches/<cache>")


@blueprint.get("/keys")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """The first step of the search that the URL says; the page asks for further ones by itself."""
    return _whole_page(cache, from_query(request.args), None)


@blueprint.post("/searches")
@requires(Role.VIEWER)
def step(cache: str) -> ResponseReturnValue:
    """The next step of a search, from the state that the page carries. Changes nothing on any server.

    `stop` answers where the search stands without looking further; `retry` gives primaries that were
    lost another chance. Without JavaScript each step is a page of its own, with the rows found since the one before.
    """
    selection = from_query(request.form)
    state = state_from_text(request.form.get("state", ""))
    if not wants_fragment():
        return _whole_page(cache, selection, state)
    if "stop" in request.form:
        return fragment("keys/_step.html", **_context(cache, selection, _stopped(state), stopped=True))
    if "retry" in request.form:
        state = State(state.position.retried(), state.shown)
    found_on_page = request.form.get("on_page", 0, type=int)
    limit = max(1, PAGE - max(0, found_on_page))
    try:
        step = search(current_cache(), selection, state, limit=limit, seconds=deck().settings.search_seconds)
    except errors.CacheError as error:
        # The page keeps the state and tries again by itself.
        waiting = _context(cache, selection, _stopped(state), on_page=found_on_page)
        return fragment("keys/_step.html", **waiting, problem=of_cache_error(error))
    on_page = max(0, found_on_page) + len(step.rows)
    return fragment("keys/_step.html", **_context(cache, selection, step, on_page=on_page))


def _whole_page(cache: str, selection: Selection, state: State | None) -> ResponseReturnValue:
    step, problem = None, None
    try:
        step = search(current_cache(), selection, state, seconds=deck().settings.search_seconds)
    except errors.CacheError as error:
        problem = of_cache_error(error)
    return page(
        "keys/page.html",
        screen="keys",
        status=problem.status if problem else 200,
        problem=problem,
        bar=selection_bar(selection),
        **_context(cache, selection, step),
    )


@blueprint.get("/namespaces")
@requires(Role.VIEWER)
def tree(cache: str) -> ResponseReturnValue:
    """The namespaces below a prefix, as the tree beside the list draws them."""
    separator = deck().settings.namespace_separator.encode()
    prefix = from_printable(request.args.get("prefix", ""))
    try:
        found = namespaces(current_cache(), prefix, separator)
    except errors.CacheError as error:
        return fragment("keys/_namespaces_failed.html", problem=of_cache_error(error))
    return fragment("keys/_namespaces.html", found=found, pattern_of=_pattern_of, printable=printable)


def _pattern_of(prefix: bytes) -> str:
    """The pattern, as text for a query string, of all keys that begin with a prefix."""
    return printable(glob_escape(prefix) + b"*")


def _stopped(state: State) -> Step:
    position = state.position
    return Step((), len(state.shown), position.examined, position.total, False, True, state, position.lost)


def _context(
    name: str, selection: Selection, step: Step | None, *, on_page: int | None = None, stopped: bool = False
) -> dict[str, Any]:
    step_rows = step.rows if step else ()
    on_page = len(step_rows) if on_page is None else on_page
    return {
        "selection": selection,
        "query": selection.to_query(),
        "step": step,
        "rows": [(row, printable(row.key), _link(name, row.key, selection), to_token(row.key)) for row in step_rows],
        "may_tick": may(Role.OPERATOR),
        "vault_hours": deck().settings.vault_hours,
        "read_at": time.time(),
        "stopped": stopped,
        # The page is full; further rows only when they are asked for.
        "on_page": 0 if step and step.full else on_page,
        "most_shown": MOST_SHOWN,
        "frequency": _keeps_frequency(),
    }


def _link(cache: str, key: bytes, selection: Selection) -> str:
    """A key's page; it carries the selection along, so that it can lead back to this list."""
    return url_for("key.show", cache=cache, key=to_token(key), **dict[str, Any](selection.to_query()))


def _keeps_frequency() -> bool:
    """Which of the two columns there is; the one of most caches where the server does not answer."""
    try:
        return keeps_frequency(current_cache())
    except errors.CacheError:
        return False
