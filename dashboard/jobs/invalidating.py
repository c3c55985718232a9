"""Asking for an invalidation: its plan, approval, execution and undo, for pages, API, command line and schedules alike.

The rules stand here once, and each act is audited in the name of who asked (`Caller`). Who may ask at all (roles,
tokens, what has to be typed) is for the door through which they came to say. Everything that is refused is one of
refused.py's, with a sentence and an advice; StoreUnavailable and CacheError come through as they are.

owner, everywhere: "" for the worker to do it, or the owner (run_here.new_owner()) of a process that calls run_here()
with the job right afterwards.
"""

from __future__ import annotations

from dashboard.cache.invalidation.mode import Paced
from dashboard.cache.invalidation.report import Plan
from dashboard.cache.invalidation.task import Task
from dashboard.cache.servers.connect import Cache
from dashboard.cache.wording import size
from dashboard.jobs.approval import asked_for, most_unapproved, needs_approval
from dashboard.jobs.asking import Caller, asked_by, audited, invalidation_of, refusing, standing_of
from dashboard.jobs.invalidation_job import PLAN, RUN, UNDO
from dashboard.jobs.invalidation_standing import (
    GOOD_SECONDS,
    WHOLE,
    Drift,
    Row,
    Standing,
    Word,
    current,
    drift,
    figures,
    is_ready,
    listed,
    obstacle,
    task_of,
)
from dashboard.jobs.kind import Work
from dashboard.jobs.overlap import changing, overlapping
from dashboard.jobs.refused import (
    AlreadyRun,
    Altered,
    Busy,
    Expired,
    NeedsApproval,
    NoSuchInvalidation,
    NothingKept,
    NothingToDo,
    NotPlanned,
    NotYours,
    Overlaps,
    Refused,
    VaultTooSmall,
)
from dashboard.jobs.run_here import new_owner, run_here
from dashboard.jobs.undoing import undo, undo_now
from dashboard.settings import Settings
from dashboard.store import invalidations
from dashboard.store.engine import Store
from dashboard.store.invalidations import Asked, Guard, Invalidation
from dashboard.store.jobs import Job
from dashboard.store.vault import vault_of

__all__ = [
    "GOOD_SECONDS",
    "PLAN",
    "RUN",
    "UNDO",
    "WHOLE",
    "AlreadyRun",
    "Altered",
    "Busy",
    "Caller",
    "Drift",
    "Expired",
    "Invalidation",
    "NeedsApproval",
    "NoSuchInvalidation",
    "NotPlanned",
    "NotYours",
    "NothingKept",
    "NothingToDo",
    "Overlaps",
    "Refused",
    "Row",
    "Standing",
    "VaultTooSmall",
    "Word",
    "approve",
    "at_once",
    "current",
    "drift",
    "execute",
    "listed",
    "make_plan",
    "needs_approval",
    "new_owner",
    "restate",
    "run_here",
    "undo",
    "undo_now",
]

SMALL = 1000
"""So many keys are done while the caller waits; more are for the worker."""


def make_plan(
    store: Store,
    settings: Settings,
    cache: Cache,
    task: Task,
    caller: Caller,
    reason: str = "",
    *,
    idempotency: str | None = None,
    fingerprint: str = "",
    owner: str = "",
) -> tuple[Invalidation, Job]:
    """Ask for a plan: its number, and the job that makes it. It is good for GOOD_SECONDS from that job's end.

    idempotency, fingerprint: of a token's request; one that was made before raises invalidations.Repeated.
    """
    asked, taken = asked_by(caller, reason, idempotency, fingerprint), vault_of(settings).has
    with audited(store, caller, cache, f"{PLAN}.start", task.in_words, reason) as attempt:
        made, job = invalidations.make(
            store, cache.name, task.to_query(), PLAN, asked, seconds=GOOD_SECONDS, owner=owner, taken=taken
        )
        attempt.done(after={"invalidation": made.number, "job": job.id})
    return made, job


def restate(store: Store, settings: Settings, cache: Cache, number: int, task: Task, caller: Caller) -> Invalidation:
    """Say anew how a plan is to be done: at which pace, with or without undo, whom it tells. The keys stay the same.

    Raises Altered, AlreadyRun, Expired, NotPlanned, NoSuchInvalidation.
    """
    made = _ready(store, settings, cache, number).invalidation
    if task.selection != task_of(made).selection:
        raise Altered("A plan's keys are not changed.", "Make a new plan.")
    if task.to_query() == dict(made.task):
        return made
    with audited(store, caller, cache, f"{RUN}.restate", f"plan {number}: {task.in_words}") as attempt:
        with refusing(store, number):
            made = invalidations.restate(store, number, caller.name, task.to_query())
        attempt.done(after={"invalidation": number})
    return made


def approve(
    store: Store, settings: Settings, cache: Cache, number: int, caller: Caller, seen: Task | None = None
) -> Invalidation:
    """Let a plan of somebody else be carried out that needs it. seen: what was looked at; another is not approved.

    Raises NotYours, NotPlanned, Expired, Altered, AlreadyRun, NoSuchInvalidation.
    """
    standing = _ready(store, settings, cache, number)
    subject = f"plan {number}: {standing.task.in_words}"
    before = {"asked_by": standing.invalidation.actor}
    with audited(store, caller, cache, f"{RUN}.approve", subject, before=before) as attempt:
        with refusing(store, number):
            made = invalidations.approve(store, number, caller.name, seen.to_query() if seen else None)
        attempt.done(after={"invalidation": number})
    return made


def execute(
    store: Store,
    settings: Settings,
    cache: Cache,
    number: int,
    caller: Caller,
    reason: str = "",
    despite_overlap: bool = False,
    *,
    owner: str = "",
) -> Job:
    """Carry a plan out, as it stands: the job that does it.

    Raises NotPlanned, NothingToDo, Expired, Altered, NeedsApproval, AlreadyRun, Overlaps, VaultTooSmall,
    NoSuchInvalidation, and ReadOnly (a CacheError) where the cache is declared so.
    """
    cache.require_writable()
    standing = _ready(store, settings, cache, number)
    made, task, plan = standing.invalidation, standing.task, standing.plan
    if made.needs and not made.approved_by:
        raise NeedsApproval(made.needs, "Ask another operator to approve this plan.", number)
    if plan is None or not plan.report.keys.high:
        raise NothingToDo("There is no such key: nothing would be done.")
    _require_room(settings, task, plan)
    guard = None if despite_overlap else _guard(store, task, number)
    most = None
    if asked_for(settings):
        most = most_unapproved(settings, plan, listed=task.selection.keys is not None)
    why = reason or made.reason
    with audited(store, caller, cache, f"{RUN}.execute", f"plan {number}: {task.in_words}", why) as attempt:
        with refusing(store, number):
            job = invalidations.begin(
                store, number, RUN, asked_by(caller, why), seen=task.to_query(), most=most, guard=guard, owner=owner
            )
        attempt.done(after={"job": job.id})
    return job


def at_once(
    store: Store,
    settings: Settings,
    cache: Cache,
    task: Task,
    caller: Caller,
    reason: str = "",
    *,
    idempotency: str | None = None,
    fingerprint: str = "",
    despite_overlap: bool = True,
) -> tuple[Invalidation, Job]:
    """Invalidate keys that are named one by one, without a plan in between; small lists are done on return.

    Where there are thresholds for an approval a plan is made and judged all the same; where that finds no such key it
    is all there is to do, and where somebody carries it out meanwhile that is the job. Raises NeedsApproval (its plan
    stands, if it has a number), NotPlanned, Overlaps, VaultTooSmall, ReadOnly,
    invalidations.Repeated.
    """
    cache.require_writable()
    keys = task.selection.keys
    if keys is None:
        raise Refused("Only keys that are named one by one are done without a plan.", "Make a plan.")
    small, work = len(keys) <= SMALL and not isinstance(task.mode, Paced), Work(cache, settings, store)
    if not asked_for(settings):
        asked = asked_by(caller, reason, idempotency, fingerprint)
        made, job = _unplanned(work, task, caller, asked, here=small, despite_overlap=despite_overlap)
    elif small:
        made, job = _planned_here(work, task, caller, reason, idempotency, fingerprint, despite_overlap=despite_overlap)
    else:
        raise NeedsApproval("Large lists are planned first here: some need an approval.", "Make a plan of it.")
    return invalidations.get(store, made.number) or made, job


def _unplanned(
    work: Work, task: Task, caller: Caller, asked: Asked, *, here: bool, despite_overlap: bool
) -> tuple[Invalidation, Job]:
    """An invalidation that begins as it is written down; `here`: in this process, and it has ended on return."""
    store, cache, owner = work.store, work.cache, new_owner() if here else ""
    guard, taken = None if despite_overlap else _guard(store, task), vault_of(work.settings).has
    with audited(store, caller, cache, f"{RUN}.execute", task.in_words, asked.reason) as attempt:
        made, job = invalidations.make_begun(
            store, cache.name, task.to_query(), RUN, asked, guard=guard, owner=owner, taken=taken
        )
        attempt.done(after={"invalidation": made.number, "job": job.id})
    return made, run_here(job, work, owner) if here else job


def _planned_here(
    work: Work,
    task: Task,
    caller: Caller,
    reason: str,
    idempotency: str | None,
    fingerprint: str,
    *,
    despite_overlap: bool,
) -> tuple[Invalidation, Job]:
    """Planned and, where that needs no approval, carried out, both in this process; the job that says what was done."""
    store, settings, cache, planner, owner = work.store, work.settings, work.cache, new_owner(), new_owner()
    made, plan_job = make_plan(
        store, settings, cache, task, caller, reason, idempotency=idempotency, fingerprint=fingerprint, owner=planner
    )
    plan_job = run_here(plan_job, work, planner)
    try:
        job = execute(store, settings, cache, made.number, caller, reason, despite_overlap, owner=owner)
    except NothingToDo:
        return made, plan_job
    except AlreadyRun as error:  # the same request, sent twice at once
        return made, error.job or plan_job
    return made, run_here(job, work, owner)


def _ready(store: Store, settings: Settings, cache: Cache, number: int) -> Standing:
    """With what the plan says written down, so that from now on it binds. Raises NotPlanned, Expired, AlreadyRun."""
    standing = standing_of(store, settings, invalidation_of(store, cache, number))
    made, plan_job, plan = standing.invalidation, standing.plan_job, standing.plan
    if made.run_job is not None:
        raise AlreadyRun(number, standing.run_job)
    if plan_job is None or plan is None or not is_ready(plan_job, plan):
        raise NotPlanned(obstacle(made, plan_job, plan))
    if standing.state == "expired":
        raise Expired(f"Plan {number} is older than 15 min, and the keys have gone on living.", "Make it again.")
    invalidations.planned(store, number, figures(made), made.needs, made.expires_at)
    return standing


def _require_room(settings: Settings, task: Task, plan: Plan) -> None:
    """Whether it fits into the vault, by the upper end of what it may take."""
    if not task.vault or plan.vault is None:
        return
    free, wanted = vault_of(settings).free(), round(plan.vault.high)
    if wanted > free:
        raise VaultTooSmall(
            f"The keys would take {'' if plan.vault.exact else 'up to '}{size(wanted)} in the vault, "
            f"which has {size(free)} free.",
            "Make room in the vault, raise CACHEDECK_VAULT_MB, or say that it is to be done without undo.",
            wanted,
            free,
        )


def _guard(store: Store, task: Task, number: int | None = None) -> Guard:
    def ask(found: list[Job]) -> None:
        overlaps = overlapping(found, task.selection, besides=number, store=store)
        if overlaps:
            raise Overlaps(overlaps)

    return Guard(changing(), ask)
