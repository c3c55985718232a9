"""Writing what the nodes of a cache have into their configuration files (CONFIG REWRITE)."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.jobs import tuning
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, reason, requires
from dashboard.views.deck import deck
from dashboard.views.eviction.setting_changes import caller
from dashboard.views.job_start import require_typed
from dashboard.views.next_address import safe_next

blueprint = Blueprint("persistences", __name__, url_prefix="/caches/<cache>/persistences")


@blueprint.post("")
@requires(Role.ADMIN)
def create(cache: str) -> ResponseReturnValue:
    """On every node. What each answers is said on the page that the form came from."""
    require_typed(current_cache(), "settings")
    told = tuning.persist(deck().store, current_cache(), caller(), reason())
    written = [node for node, why in told.items() if not why]
    if written:
        flash(f"Written into the configuration file of {', '.join(written)}.", "ok")
    for node, why in told.items():
        if why:
            flash(f"{node} has not written its file: {why}", "bad")
    wanted = safe_next(request.form.get("next", ""), request.script_root)
    return redirect(wanted or url_for("eviction.show", cache=cache), 303)
