"""What a bench asks of a running shop: its knobs, its figures and the truth in its database; and the weather it makes.

It is for programs of the same machine: answered under a loopback name only.
"""

from __future__ import annotations

import ipaddress

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, Conflict, Forbidden, ServiceUnavailable

from dashboard.demo.bodies import json_object, seconds
from dashboard.demo.caching.remote import CacheTrouble
from dashboard.demo.figures import figures_of
from dashboard.demo.knobs import BadKnob
from dashboard.demo.parts import parts
from dashboard.demo.removal import remove_keys, remove_queue
from dashboard.demo.sql.rows import BadRow
from dashboard.demo.switchboard import DRAIN_SECONDS, StillQueued

MOST_ROWS = 1000
LONGEST_OUTAGE = 3600.0
LONGEST_DRAIN = 60.0

blueprint = Blueprint("lab", __name__, url_prefix="/lab")


@blueprint.before_request
def _only_for_this_machine() -> None:
    # A page whose name was bound anew to this address comes with that name (DNS rebinding).
    name = request.host.rpartition(":")[0] or request.host
    try:
        is_ours = ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        is_ours = name == "localhost"
    if not is_ours:
        raise Forbidden("the lab is answered under a loopback address only")


@blueprint.get("/knobs")
def knobs() -> Response:
    return jsonify(parts().board.knobs.to_plain())


@blueprint.put("/knobs")
def turn() -> Response:
    """Turn some. Away from write-behind only when its queue is empty: 409 where the database does not take it."""
    try:
        return jsonify(parts().board.turn(json_object()).to_plain())
    except BadKnob as error:
        raise BadRequest(str(error)) from None
    except StillQueued as error:
        raise Conflict(str(error)) from None


@blueprint.get("/figures")
def figures() -> Response:
    """Counted since the process began, and how things stand now."""
    return jsonify(figures_of(parts()))


@blueprint.post("/removal")
def removal() -> Response:
    """Remove the shop's keys, but for what the database has yet to get. With `everything` that is written first, and
    goes as well if nothing is left of it: for a shop that is about to end."""
    everything = json_object().get("everything") is True
    try:
        removed = remove_keys(parts().remote, parts().keys)
        left = 0
        if everything:
            left = parts().flusher.drain(DRAIN_SECONDS)
            removed += remove_queue(parts().remote, parts().keys)
    except CacheTrouble:
        raise ServiceUnavailable("the cache does not answer, so its keys are still there") from None
    parts().copies.clear()
    return jsonify(removed=removed, left=left)


@blueprint.post("/outage")
def outage() -> Response:
    """Behave as if the cache refused connections, for so many seconds; 0 ends it."""
    lasts = seconds(json_object(), "seconds", LONGEST_OUTAGE)
    parts().remote.cut(lasts)
    return jsonify(seconds=lasts)


@blueprint.post("/versions")
def versions() -> Response:
    """The truth: the versions that rows have in the database, after the queue was written."""
    asked = json_object()
    rows = _rows(asked.get("rows"))
    left = parts().flusher.drain(seconds(asked, "drain_seconds", LONGEST_DRAIN, DRAIN_SECONDS))
    try:
        found = parts().rows.versions(rows)
    except BadRow as error:
        raise BadRequest(str(error)) from None
    return jsonify(versions=[found.get(row) for row in rows], left=left, dead=_dead())


def _dead() -> int | None:
    """Dead letters; None where the cache that has them does not answer."""
    try:
        return parts().queue.figures().dead
    except CacheTrouble:
        return None


def _rows(asked: object) -> list[tuple[str, int | str]]:
    """Pairs of a kind and a row's id. Raises BadRequest."""
    rows = asked if isinstance(asked, list) else []
    pairs = [(pair[0], pair[1]) for pair in rows if isinstance(pair, list) and len(pair) == 2]
    if not isinstance(asked, list) or len(pairs) != len(rows) or len(rows) > MOST_ROWS:
        raise BadRequest(f"rows must be a list of at most {MOST_ROWS} pairs of a kind and an id")
    for kind, row in pairs:
        if (kind, type(row)) not in (("user", int), ("product", int), ("price", str)):  # a list: anything may come
            raise BadRequest("a row is ['user', number], ['product', number] or ['price', sku]")
    return pairs
