"""Undos of an invalidation: all of its keys, or those of a pattern, as long as the vault has them."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.invalidation.report import Undone
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import Busy
from dashboard.jobs.start import until_first_snapshot
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, reason, requires
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.invalidations.invalidations import caller
from dashboard.views.invalidations.page import page_context, standing_of
from dashboard.views.invalidations.words import undone
from dashboard.views.job_start import require_typed
from dashboard.views.next_address import safe_next
from dashboard.views.render import page

blueprint = Blueprint("undos", __name__, url_prefix="/caches/<cache>/invalidations/<int:number>/undos")

SMALL = 1000  # keys: so many are brought back while the browser waits


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str, number: int) -> ResponseReturnValue:
    """Bring keys back. A small undo is over with the answer, and where all went well leads back to `next`, if given;
    anything else leads to its page, which names what is not back, and from where it can be done again."""
    current_cache().require_writable()
    standing = standing_of(number)
    require_typed(current_cache())
    pattern = request.form.get("pattern", "*").strip()
    if wrong := _wrong(pattern):
        context = page_context(standing, error=BadField("undo_pattern", wrong)) | {"undo_pattern": pattern}
        return page("invalidations/page.html", screen="invalidate", status=422, **context)
    arguments = (deck().store, deck().settings, current_cache(), number, caller("page"), reason(), pattern)
    if standing.entry is None or not standing.entry.keys:
        abort(409, f"The vault has nothing of invalidation {number}, so there is nothing to bring back.")
    here = url_for("invalidations.show", cache=cache, number=number)
    if standing.entry.keys > SMALL:
        until_first_snapshot(deck().store, invalidating.undo(*arguments))
    elif _now(*invalidating.undo_now(*arguments)):
        here = safe_next(request.form.get("next", ""), request.script_root) or here
    return redirect(here, 303)


@blueprint.errorhandler(Busy)
def _busy(error: Busy) -> ResponseReturnValue:
    """Whoever is second, or presses while it is carried out, is led to what goes on, where it can be paused."""
    flash(f"{error.sentence} {error.advice}", "warn")
    values = request.view_args or {}
    return redirect(url_for("invalidations.show", cache=values["cache"], number=values["number"]), 303)


def _wrong(pattern: str) -> str:
    """What is wrong with a pattern within an invalidation, in a sentence; "" where nothing is."""
    if not pattern:
        return "Say which of the keys are to come back: a pattern is empty here. All of them is *."
    try:
        Selection(from_printable(pattern))
    except BadSelection as error:
        return str(error)
    return ""


def _now(job: Job, found: Undone | None) -> bool:
    """Say what has come of an undo; whether nothing is left that its own page has to tell key by key."""
    if found is None or job.state != "finished":
        flash(f"{job.error} {job.advice}".strip() or f"The undo is {job.state}.", "bad")
        return False
    well = bool(found.back) and not (found.newer or found.refused or found.unsure)
    flash(undone(found, True), "ok" if well else "warn")
    return well
