"""Taking an invalidation back, all of it or a part. Audited in the name of who asks; refusals are refused.py's."""

from __future__ import annotations

from dashboard.cache.invalidation.report import Undone
from dashboard.cache.servers.connect import Cache
from dashboard.jobs import results
from dashboard.jobs.asking import Caller, asked_by, audited, invalidation_of, refusing, standing_of
from dashboard.jobs.invalidation_job import RUN, UNDO
from dashboard.jobs.invalidation_standing import (
    WHOLE,
)
from dashboard.jobs.kind import Work
from dashboard.jobs.refused import (
    Busy,
    NothingKept,
)
from dashboard.jobs.run_here import new_owner, run_here
from dashboard.settings import Settings
from dashboard.store import invalidations
from dashboard.store.engine import Store
from dashboard.store.invalidations import (
    Guard,
)
from dashboard.store.jobs import Job
from dashboard.store.vault import vault_of


def undo(
    store: Store,
    settings: Settings,
    cache: Cache,
    number: int,
    caller: Caller,
    reason: str = "",
    pattern: str = WHOLE,
    *,
    owner: str = "",
) -> Job:
    """Bring back what an invalidation has touched, or those keys of it that match a glob (printable).

    Raises NothingKept, Busy, NotPlanned, NoSuchInvalidation, ReadOnly.
    """
    cache.require_writable()
    made = invalidation_of(store, cache, number)
    entry = vault_of(settings).entry(number)
    if entry is None or not entry.keys:
        raise NothingKept(
            f"The vault has nothing of invalidation {number}.",
            "It was done without undo, nothing was removed, or the time for which the vault keeps it is over.",
        )
    task = standing_of(store, settings, made).task
    part = "" if pattern == WHOLE else f", keys of {pattern} only"
    with audited(store, caller, cache, f"{UNDO}.start", f"plan {number}: {task.in_words}{part}", reason) as attempt:
        with refusing(store, number):
            guard = Guard((RUN, UNDO), lambda found: _require_idle(number, found))
            job = invalidations.add_undo(
                store, number, UNDO, pattern, asked_by(caller, reason), guard=guard, owner=owner
            )
        attempt.done(after={"job": job.id})
    return job


def undo_now(
    store: Store,
    settings: Settings,
    cache: Cache,
    number: int,
    caller: Caller,
    reason: str = "",
    pattern: str = WHOLE,
) -> tuple[Job, Undone | None]:
    """undo(), done in this process: the job as it ended, and what came back. For small ones."""
    owner = new_owner()
    job = undo(store, settings, cache, number, caller, reason, pattern, owner=owner)
    job = run_here(job, Work(cache, settings, store), owner)
    found = results.snapshot(store, job)
    return job, found if isinstance(found, Undone) else None


def _require_idle(number: int, found: list[Job]) -> None:
    for job in found:
        if job.about == number and job.kind == UNDO:
            raise Busy(f"Invalidation {number} is being undone already, by job {job.id}.", "Wait for its end.", job)
        if job.about == number:
            raise Busy(f"Invalidation {number} is under way, as job {job.id}.", "Pause or cancel it first.", job)
