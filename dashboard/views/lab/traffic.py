"""What the demo's visitors do: how many there are, of how many users and products, how skewed, how often they write."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from dashboard.store.operators import Role
from dashboard.views.access import change, reason, requires
from dashboard.views.bad_field import BadField
from dashboard.views.lab.form import typed
from dashboard.views.lab.looks import bench
from dashboard.views.lab.page import changed, seen_now, some, unchanged

blueprint = Blueprint("lab_traffic", __name__, url_prefix="/lab/traffic")

FIELDS = {
    "rate": "Requests a second",
    "skew": "Skew",
    "users": "Users",
    "products": "Products",
    "write_share": "Writes",
    "burst_factor": "Burst",
    "hot_share": "One hot product",
}
SHARES = frozenset({"write_share", "hot_share"})
"""Typed in per cent, sent as ratios."""
WHOLE = frozenset({"users", "products"})


@blueprint.post("")
@requires(Role.OPERATOR)
def update() -> ResponseReturnValue:
    """Change those whose fields were changed. 409 with the demo's own sentence where it will not."""
    at, before = bench(), seen_now()
    try:
        numbers = typed(request.form, FIELDS)
    except BadField as error:
        abort(400, error.sentence)
    if not numbers:
        return unchanged("Nothing was changed: visitors go on as before.")
    wanted = {name: _sent(name, value) for name, value in numbers.items()}
    with change("lab.traffic", "demo", some(asdict(before.traffic), wanted), reason()) as attempt:
        after = at.drive(wanted)
        attempt.done(after=some(asdict(after.traffic), wanted))
    told = ", ".join(f"{FIELDS[name]} {value:g}{' %' if name in SHARES else ''}" for name, value in numbers.items())
    return changed(after, f"Changed: {told}.")


def _sent(name: str, value: float) -> float | int:
    if name in SHARES:
        return value / 100
    return int(value) if name in WHOLE and value == int(value) else value
