"""Removals: keys named one by one, at once and without a plan between, with the undo beside the result."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.invalidation.report import Counts, Done
from dashboard.cache.invalidation.task import Task
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import Selection, from_query
from dashboard.cache.selecting.words import in_words
from dashboard.jobs import invalidating, results
from dashboard.jobs.invalidating import NeedsApproval
from dashboard.jobs.results import counts
from dashboard.store.audit import JSON
from dashboard.store.invalidations import Invalidation
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import change, current_cache, reason, requires
from dashboard.views.deck import deck
from dashboard.views.filters import number
from dashboard.views.flashes import flash_undoable
from dashboard.views.invalidations.invalidations import caller
from dashboard.views.invalidations.words import keys
from dashboard.views.job_start import require_typed
from dashboard.views.ticked import named, ticked

blueprint = Blueprint("removals", __name__, url_prefix="/caches/<cache>/removals")


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Remove the ticked keys (`key`, tokens), and lead back to the list that the query says."""
    current_cache().require_writable()
    selection = ticked()
    if selection is None:
        abort(400, "No key is ticked. Nothing was removed.")
    require_typed(current_cache())
    return remove_at_once(selection, in_words(selection), {"keys": list[JSON](named(selection.keys or ()))})


def remove_at_once(selection: Selection, subject: str, before: JSON) -> ResponseReturnValue:
    """Remove listed keys: they go into the vault first. Leads to the list, or for very many to where it goes on.

    subject, before: of the entry in the audit trail, which names the keys; that of the job counts them.
    """
    store, settings, cache = deck().store, deck().settings, current_cache()
    query: dict[str, Any] = dict(from_query(request.args).to_query())  # an address that cannot be read changes nothing
    try:
        with change("key.remove", subject, before, reason()) as attempt:
            made, job = invalidating.at_once(store, settings, cache, Task(selection), caller("key"), reason())
            attempt.done(after={"invalidation": made.number, "removed": counts(job).get("done", 0), "state": job.state})
    except NeedsApproval as error:
        if error.number is None:
            raise
        flash(f"{error.sentence} Nothing was removed yet: this is its plan.", "warn")
        return redirect(url_for("invalidations.show", cache=cache.name, number=error.number), 303)
    if job.open or job.state != "finished":
        return redirect(url_for("invalidations.show", cache=cache.name, number=made.number), 303)
    back = url_for("keys.index", cache=cache.name, **query)
    _say(selection, made, job, back)
    return redirect(back, 303)


def _say(selection: Selection, made: Invalidation, job: Job, back: str) -> None:
    found = results.snapshot(deck().store, job)
    told = found.counts if isinstance(found, Done) else Counts()
    sentence, level = said(selection, told)
    if told.kept and told.removed:
        flash_undoable(sentence, level, current_cache().target, made.number, back)
    else:
        flash(sentence, level)


def said(selection: Selection, counted: Counts) -> tuple[str, str]:
    """What became of the keys in a sentence, and its level."""
    only = printable(selection.keys[0])[:200] or "(empty name)" if selection.keys and len(selection.keys) == 1 else ""
    name = f": {only}" if only and counted.removed else ""
    parts = [f"Removed {keys(counted.removed)}{name}"]
    gone = counted.gone + max(len(selection.keys or ()) - counted.found, 0)
    if gone:
        parts.append(f"{number(gone)} had gone already")
    if counted.too_large:
        parts.append(f"{number(counted.too_large)} left as they are: larger than the vault takes")
    if counted.unsure:
        parts.append(f"of {number(counted.unsure)} it is not known, as the server's answer was lost")
    if counted.refused:
        parts.append(f"{number(counted.refused)} refused by the server")
    well = counted.removed and not (counted.too_large or counted.refused or counted.unsure)
    return f"{'; '.join(parts)}.", "ok" if well else "warn"
