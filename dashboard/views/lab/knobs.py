"""Knobs of the demo's shop: pattern, stampede prevention, jitter, copies, events, the database's latency, TTLs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from dashboard.store.operators import Role
from dashboard.views.access import change, reason, requires
from dashboard.views.bad_field import BadField
from dashboard.views.lab.form import chosen, switched, typed
from dashboard.views.lab.looks import bench
from dashboard.views.lab.page import changed, seen_now, some, unchanged
from dashboard.views.lab.words import SWITCHES, label

blueprint = Blueprint("lab_knobs", __name__, url_prefix="/lab/knobs")

NUMBERS = {"latency_ms": "The latency of a query", "ttl_scale": "The factor of TTLs"}
_CALLED = {one.name: one.label for one in SWITCHES} | {"latency_ms": "query latency", "ttl_scale": "TTLs times"}


@blueprint.post("")
@requires(Role.OPERATOR)
def update() -> ResponseReturnValue:
    """Turn those whose fields were changed. 409 with the demo's own sentence where it will not."""
    at, before = bench(), seen_now()
    wanted = _wanted()
    if not wanted:
        return unchanged("Nothing was turned: all stands as it was.")
    with change("lab.knobs", "demo", some(asdict(before.knobs), wanted), reason()) as attempt:
        after = at.turn(wanted)
        attempt.done(after=some(asdict(after.knobs), wanted))
    return changed(after, f"Turned: {', '.join(_told(name, value) for name, value in wanted.items())}.")


def _wanted() -> dict[str, Any]:
    form = request.form
    try:
        numbers = typed(form, NUMBERS)
    except BadField as error:
        abort(400, error.sentence)
    return {**chosen(form, ("pattern", "prevention")), **switched(form, (one.name for one in SWITCHES)), **numbers}


def _told(name: str, value: object) -> str:
    called = _CALLED.get(name, name)
    if isinstance(value, bool):
        return f"{called} {'on' if value else 'off'}"
    return f"{called} {value:g}" if isinstance(value, float) else f"{called} {label(str(value))}"
