"""Comparisons: each pattern for the same time under the same load."""

from __future__ import annotations

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from dashboard.store.audit import JSON
from dashboard.store.operators import Role
from dashboard.views.access import change, reason, requires
from dashboard.views.lab.looks import bench
from dashboard.views.lab.page import LENGTHS, changed, seen_now

blueprint = Blueprint("lab_comparisons", __name__, url_prefix="/lab/comparisons")

LARGEST_SEED = 1_000_000_000


@blueprint.post("")
@requires(Role.OPERATOR)
def create() -> ResponseReturnValue:
    """Begin one of `seconds` for each pattern. What the last one has found is forgotten."""
    at, before = bench(), seen_now()
    seconds, seed = request.form.get("seconds", type=int), request.form.get("seed", type=int)
    prevention = request.form.get("prevention", "")
    if seconds not in LENGTHS:
        abort(400, "Choose how long each pattern is to run.")
    if seed is None or not 0 <= seed <= LARGEST_SEED:
        abort(400, f"The seed is a whole number from 0 to {LARGEST_SEED}.")
    if prevention and prevention not in before.preventions:
        abort(400, "Choose a stampede prevention that the demo has.")
    asked: JSON = {"seconds": seconds, "seed": seed, "prevention": prevention or before.knobs.prevention}
    with change("lab.comparison", "demo", None, reason()) as attempt:
        after = at.compare(seconds, seed, prevention)
        attempt.done(after=asked)
    return changed(after, f"Comparing {len(after.patterns)} patterns, {seconds} s each.")


@blueprint.post("/cancellation")
@requires(Role.OPERATOR)
def cancel() -> ResponseReturnValue:
    """End the one that runs; what it has found so far stays."""
    at = bench()
    with change("lab.comparison.cancel", "demo", None, reason()) as attempt:
        after = at.cancel()
        attempt.done(after={"cancelled": True})
    return changed(after, "The comparison was cancelled; what it has found so far stays.")
