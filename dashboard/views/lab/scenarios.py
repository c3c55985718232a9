"""Scenarios of the demo: what happens to a cache, played for some time."""

from __future__ import annotations

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from dashboard.store.operators import Role
from dashboard.views.access import change, reason, requires
from dashboard.views.lab.looks import bench
from dashboard.views.lab.page import changed, seen_now
from dashboard.views.lab.words import scenario_label

blueprint = Blueprint("lab_scenarios", __name__, url_prefix="/lab/scenarios")


@blueprint.post("")
@requires(Role.OPERATOR)
def create() -> ResponseReturnValue:
    """Begin the scenario `name`; the one that runs ends."""
    at, before = bench(), seen_now()
    name = request.form.get("name", "")
    if name not in {one.name for one in before.scenarios}:
        abort(400, "Choose a scenario that the demo has.")
    with change("lab.scenario", "demo", {"scenario": before.scenario.name}, reason()) as attempt:
        after = at.play(name)
        attempt.done(after={"scenario": after.scenario.name})
    return changed(after, f"Scenario: {scenario_label(after, after.scenario)}.")
