"""Undos of an invalidation: all of its keys, or those of a pattern, as long as the vault has them."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.jobs import invalidating
from dashboard.jobs.start import until_first_snapshot
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, reason, requires
from dashboard.views.deck import deck
from dashboard.views.invalidations.invalidations import caller
from dashboard.views.invalidations.page import standing_of
from dashboard.views.invalidations.words import undone
from dashboard.views.job_start import require_typed
from dashboard.views.next_address import safe_next

blueprint = Blueprint("undos", __name__, url_prefix="/caches/<cache>/invalidations/<int:number>/undos")

SMALL = 1000  # keys: so many are brought back while the browser waits


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str, number: int) -> ResponseReturnValue:
    """Bring keys back. A small undo is over with the answer, and leads back to `next` where that is given."""
    current_cache().require_writable()
    standing = standing_of(number)
    require_typed(current_cache())
    pattern = request.form.get("pattern", "*").strip()
    if not pattern:
        abort(400, "Say which of the keys are to come back: a pattern is empty here. All of them is *.")
    try:
        Selection(from_printable(pattern))
    except BadSelection as error:
        abort(400, str(error))
    arguments = (deck().store, deck().settings, current_cache(), number, caller("page"), reason(), pattern)
    if standing.entry is None or not standing.entry.keys:
        abort(409, f"The vault has nothing of invalidation {number}, so there is nothing to bring back.")
    if standing.entry.keys <= SMALL:
        job, found = invalidating.undo_now(*arguments)
        if found is not None and job.state == "finished":
            flash(undone(found, True), "ok" if found.back and not found.newer and not found.refused else "warn")
        else:
            flash(f"{job.error} {job.advice}".strip() or f"The undo is {job.state}.", "bad")
    else:
        until_first_snapshot(deck().store, invalidating.undo(*arguments))
    wanted = safe_next(request.form.get("next", ""), request.script_root)
    return redirect(wanted or url_for("invalidations.show", cache=cache, number=number), 303)
