"""One key: what it is, its TTL, its removal. Each act is a small resource of its own."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.reading import keys
from dashboard.cache.reading.keys import GONE, LONGEST_TTL, NO_TTL, Retimed, Row
from dashboard.cache.selecting.key_token import from_token, printable
from dashboard.cache.selecting.selection import Selection, from_query
from dashboard.cache.servers.connect import Cache
from dashboard.store.operators import Role
from dashboard.views.access import change, current_cache, reason, requires
from dashboard.views.deck import deck
from dashboard.views.duration_input import BadDuration, parse_duration
from dashboard.views.filters import duration
from dashboard.views.invalidations.removals import remove_at_once
from dashboard.views.keys.value import value_context
from dashboard.views.render import page
from dashboard.views.ticked import subject

blueprint = Blueprint("key", __name__, url_prefix="/caches/<cache>/keys/<key>")

LEAST_TTL = 1.0  # seconds; less is a removal, and has its own act


@blueprint.get("")
@requires(Role.VIEWER)
def show(cache: str, key: str) -> ResponseReturnValue:
    """The key with its first page of values; 404 where it does not exist (any more)."""
    name = from_token(key)
    row = keys.look(current_cache(), name)
    if row is None:
        return page("key/missing.html", screen="keys", status=404, **_context(key, name))
    return page(
        "key/page.html",
        screen="keys",
        row=row,
        read_at=time.time(),
        node=current_cache().node_of(name).name,
        policy=current_cache().policy(),
        **_context(key, name),
        **value_context(current_cache(), key, row.type),
    )


@blueprint.post("/ttl")
@requires(Role.OPERATOR)
def set_ttl(cache: str, key: str) -> ResponseReturnValue:
    """Let the key expire after the time given, spread by the jitter given in per cent."""
    try:
        seconds = parse_duration(request.form.get("seconds", ""), least=LEAST_TTL, most=LONGEST_TTL)
    except BadDuration as error:
        abort(400, str(error))
    jitter = _jitter(default="0")
    name = from_token(key)
    before = _present(name)
    with change("key.ttl", subject(name), before={"ttl_ms": before.pttl_ms}, reason=reason()) as attempt:
        retimed = keys.set_ttl(current_cache(), name, seconds, jitter)
        attempt.done(after={"ttl_ms": retimed.after_ms})
    return _retimed(key, retimed)


@blueprint.post("/jitter")
@requires(Role.OPERATOR)
def add_jitter(cache: str, key: str) -> ResponseReturnValue:
    """Spread the time that the key has left by a share of it, so that it does not die with its neighbours."""
    jitter = _jitter(default="10")
    name = from_token(key)
    before = _present(name)
    if before.ttl is None or before.pttl_ms == NO_TTL:
        abort(409, "The key never expires, or does not tell its TTL, so there is nothing to spread. Set a TTL first.")
    with change("key.jitter", subject(name), before={"ttl_ms": before.pttl_ms}, reason=reason()) as attempt:
        retimed = keys.set_ttl(current_cache(), name, before.ttl, jitter)
        attempt.done(after={"ttl_ms": retimed.after_ms})
    return _retimed(key, retimed)


@blueprint.post("/persistence")
@requires(Role.OPERATOR)
def persist(cache: str, key: str) -> ResponseReturnValue:
    """Take the TTL away: the key stays until it is removed or evicted."""
    name = from_token(key)
    before = _present(name)
    with change("key.persist", subject(name), before={"ttl_ms": before.pttl_ms}, reason=reason()) as attempt:
        retimed = keys.persist(current_cache(), name)
        attempt.done(after={"ttl_ms": retimed.after_ms})
    return _retimed(key, retimed)


@blueprint.post("/removal")
@requires(Role.OPERATOR)
def remove(cache: str, key: str) -> ResponseReturnValue:
    """Remove the key, as an invalidation of one: it can be brought back."""
    name = from_token(key)
    row = _present(name)
    before = {"type": row.type, "ttl_ms": row.pttl_ms, "memory": row.memory}
    return remove_at_once(Selection(keys=(name,)), subject(name), before)


def _context(token: str, name: bytes) -> dict[str, Any]:
    return {
        "vault_hours": deck().settings.vault_hours,
        "token": token,
        "name": printable(name),
        "size_of_name": len(name),
        "query": _selection_query(),
    }


def _selection_query() -> dict[str, Any]:
    """The selection that the operator came with: it goes along, and leads back to the list."""
    return dict(from_query(request.args).to_query())


def _present(name: bytes) -> Row:
    """The key as it is before a change. Refuses what may not be changed here, before anything is asked or written.

    On a production cache its name must have been typed: a TTL of a second removes as surely as a removal.
    """
    cache: Cache = current_cache()
    cache.require_writable()
    if cache.target.environment == "production" and request.form.get("typed", "") != cache.name:
        abort(400, f"{cache.name} is a production cache: type its name to change a key.")
    row = keys.look(cache, name)
    if row is None:
        abort(404, "The key does not exist (any more). Nothing was changed.")
    return row


def _retimed(token: str, retimed: Retimed) -> Response:
    if retimed.missing or retimed.after_ms == GONE:
        flash("The key has gone: it expired or was removed meanwhile.", "warn")
    else:
        was, now = (None if ms == NO_TTL else duration(ms / 1000) for ms in (retimed.before_ms, retimed.after_ms))
        flash(f"{f'Expires in {now}' if now else 'Never expires now'} (it was: {was or 'no TTL'}).", "ok")
    values = request.view_args or {}
    return _redirect(url_for("key.show", cache=values["cache"], key=token, **_selection_query()))


def _redirect(location: str) -> Response:
    response = redirect(location, 303)
    assert isinstance(response, Response)  # noqa: S101  (werkzeug's type is wider than Flask's)
    return response


def _jitter(default: str) -> float:
    """The form's jitter, per cent, as a share. 400 for anything but 0 to 90."""
    try:
        percent = float(request.form.get("jitter") or default)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 90:
        abort(400, "Jitter is a share of the time, from 0 to 90 per cent.")
    return percent / 100
