"""How an invalidation stands, from its plan to its undo: what every screen and script must know of it, read at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from dashboard.cache.estimate import Estimate
from dashboard.cache.invalidation.mode import BadMode
from dashboard.cache.invalidation.report import Done, Plan, Undone
from dashboard.cache.invalidation.task import BadTell, Outline, Task, outline_from_query, task_from_query
from dashboard.cache.selecting.selection import BadSelection
from dashboard.jobs import results
from dashboard.jobs.approval import asked_for, needs_approval
from dashboard.jobs.invalidation_job import PLAN, RUN, UNDO
from dashboard.jobs.overlap import changing, overlapping
from dashboard.jobs.refused import Refused
from dashboard.settings import Settings
from dashboard.store import invalidations, jobs
from dashboard.store.engine import Store
from dashboard.store.invalidations import Figures, Invalidation
from dashboard.store.jobs import Job
from dashboard.store.vault import Entry, vault_of

GOOD_SECONDS = 900.0
"""So long a plan may be carried out: after that it is no picture of the keys any more."""

Word: TypeAlias = Literal[
    "planning",
    "planned",
    "waits for approval",
    "expired",
    "running",
    "paused",
    "interrupted",
    "done",
    "failed",
    "cancelled",
    "undoing",
    "undone",
]
WHOLE = "*"  # the pattern of an undo of everything


@dataclass(frozen=True)
class Drift:
    """What an execution met beside what its plan said."""

    planned: Estimate
    found: int

    @property
    def more(self) -> int:
        """How many keys more than planned; below 0: fewer."""
        return self.found - round(self.planned.value)

    @property
    def within(self) -> bool:
        """Whether that is what the plan's interval allows for."""
        return round(self.planned.low) <= self.found <= round(self.planned.high)


def drift(plan: Plan | None, done: Done | None) -> Drift | None:
    """None where there was no plan, or nothing is done yet."""
    return Drift(plan.report.keys, done.counts.found) if plan is not None and done is not None else None


@dataclass(frozen=True)
class Standing:
    """An invalidation and all that belongs to it.

    state: in one word, of the plan before it is begun and of the newest of execution and undo after it. obstacle: why
    it may not be carried out, "" where it may. needs: why another operator has to approve it. done: of the execution,
    while it runs too. undos: newest first, with what each has given back so far. overlaps: other jobs under way
    that may change the same keys, as long as it is not begun. entry: what the vault has of it.
    """

    invalidation: Invalidation
    task: Task
    state: Word
    obstacle: str
    needs: str
    plan_job: Job | None
    plan: Plan | None
    run_job: Job | None
    done: Done | None
    undos: tuple[tuple[Job, Undone | None], ...]
    overlaps: tuple[Job, ...]
    entry: Entry | None

    @property
    def drift(self) -> Drift | None:
        return drift(self.plan, self.done)

    @property
    def job(self) -> Job | None:
        """What goes on, or went last: the newest undo, else the execution, else the plan."""
        return self.undos[0][0] if self.undos else self.run_job or self.plan_job


@dataclass(frozen=True)
class Row:
    """An invalidation as a list shows it, without its snapshots and its list of keys. outline: None where another
    version has written it.

    job: what goes on or went last. counts: of the execution, else of the plan, by the names of their kinds
    (Kind.counts): "found", "done". kept: keys that the vault has of it.
    """

    invalidation: Invalidation
    outline: Outline | None
    state: Word
    job: Job | None
    run_job: Job | None
    counts: Mapping[str, int]
    kept: int


def current(store: Store, settings: Settings, number: int) -> Standing | None:
    """How an invalidation stands; None where there is none (any more). Changes nothing.

    Raises Refused where another version of Cachedeck wrote what this one cannot read.
    """
    made = invalidations.get(store, number)
    if made is None:
        return None
    task = task_of(made)
    plan_job, run_job, undo_jobs = _sorted(jobs.of(store, number))
    plan = _snapshot(store, plan_job, Plan)
    made = seen(settings, made, plan_job, plan)
    begun = run_job is not None
    return Standing(
        invalidation=made,
        task=task,
        state=_word(
            made, plan_job, run_job, undo_jobs, plan_job is not None and plan is not None and is_ready(plan_job, plan)
        ),
        obstacle="" if begun else obstacle(made, plan_job, plan),
        needs=made.needs,
        plan_job=plan_job,
        plan=plan,
        run_job=run_job,
        done=_snapshot(store, run_job, Done),
        undos=tuple((job, _snapshot(store, job, Undone)) for job in undo_jobs),
        overlaps=() if begun else tuple(others(store, made, task)),
        entry=vault_of(settings).entry(number),
    )


def listed(store: Store, settings: Settings, cache: str, limit: int = 50, before: int | None = None) -> list[Row]:
    """At most `limit` invalidations of a cache, the newest first; `before` is the last number of the page before."""
    found = invalidations.newest(store, cache, limit, before)
    about = jobs.of_several(store, [made.number for made in found])
    vault = vault_of(settings)
    kept = {made.number: entry.keys for made in found if (entry := vault.entry(made.number))}
    return [_listed(store, settings, made, about.get(made.number, []), kept.get(made.number, 0)) for made in found]


def task_of(made: Invalidation) -> Task:
    """What it is about. Raises Refused for what another version has written."""
    try:
        return task_from_query(made.task)
    except (BadSelection, BadMode, BadTell) as error:
        raise Refused(f"Another version of Cachedeck made this: {error}", "Make a new plan.") from error


def seen(settings: Settings, made: Invalidation, plan_job: Job | None, plan: Plan | None) -> Invalidation:
    """With what its plan says, also before that is written down."""
    if made.planned_at is not None or plan_job is None or plan is None or not is_ready(plan_job, plan):
        return made
    ended = plan_job.ended_at or time.time()
    keys, memory = plan.report.keys, plan.report.memory
    return replace(
        made,
        planned_at=ended,
        keys=keys.value,
        keys_low=keys.low,
        keys_high=keys.high,
        memory=memory.value if memory else None,
        needs=needs_approval(settings, plan, listed="keys" in made.task),
        expires_at=ended + GOOD_SECONDS,
    )


def figures(made: Invalidation) -> Figures:
    return Figures(made.keys or 0.0, made.keys_low or 0.0, made.keys_high or 0.0, made.memory)


def is_ready(plan_job: Job, plan: Plan) -> bool:
    """Whether a plan says enough: it came to its end, or was stopped and is an estimate."""
    if plan_job.state == "cancelled":
        return plan.report.sample > 0 and not plan.progress.lost
    return plan_job.state == "finished" and not plan.progress.lost


def obstacle(made: Invalidation, plan_job: Job | None, plan: Plan | None) -> str:
    """Why it may not be carried out, apart from what the cache itself refuses; "" where it may."""
    if plan_job is not None and plan_job.open:
        return "The plan is not ready: what this would do is not known yet."
    if plan_job is not None and plan_job.state == "failed" and plan and plan.report.sample and not plan.progress.lost:
        return (
            "The plan did not come to its end, so it cannot be carried out. Make it again. Where it fails again, stop "
            "it before: one that you stop can be carried out, by the estimate that it has then."
        )
    if plan_job is None or plan is None or not is_ready(plan_job, plan):
        lost = f" {'; '.join(f'{name}: {why}' for name, why in plan.progress.lost.items())}" if plan else ""
        return f"The plan did not come to its end, so what this would do is not known.{lost} Make it again."
    if time.time() >= made.expires_at:
        return "The plan is older than 15 min, and the keys have gone on living. Make it again."
    if made.needs and not made.approved_by:
        return made.needs
    return "" if plan.report.keys.high else "There is no such key: nothing would be done."


def others(store: Store, made: Invalidation, task: Task) -> list[Job]:
    """The jobs under way that may change keys of the same selection."""
    under_way = [job for job in jobs.running(store, made.cache) if job.kind in changing()]
    return overlapping(under_way, task.selection, besides=made.number, store=store)


def _listed(store: Store, settings: Settings, made: Invalidation, about: Sequence[Job], kept: int) -> Row:
    plan_job, run_job, undo_jobs = _sorted(about)
    try:
        outline = outline_from_query(made.task)
    except (BadSelection, BadMode, BadTell, ValueError):
        outline = None
    job = undo_jobs[0] if undo_jobs else run_job or plan_job
    if made.planned_at is None and plan_job is not None and plan_job.ended_at is not None:
        made = replace(made, expires_at=plan_job.ended_at + GOOD_SECONDS)
        # Whether it needs approval stands in its snapshot, which is read only as long as that matters.
        if outline is not None and asked_for(settings) and time.time() < made.expires_at:
            made = seen(settings, made, plan_job, _snapshot(store, plan_job, Plan))
    reached = results.progress(plan_job) if plan_job is not None else None
    counted = run_job or plan_job
    return Row(
        invalidation=made,
        outline=outline,
        state=_word(made, plan_job, run_job, undo_jobs, bool(reached and reached.examined and not reached.lost)),
        job=job,
        run_job=run_job,
        counts=results.counts(counted) if counted else {},
        kept=kept,
    )


def _sorted(about: Sequence[Job]) -> tuple[Job | None, Job | None, list[Job]]:
    """The jobs of one invalidation: its plan, its execution, its undos."""
    plans, runs = ([job for job in about if job.kind == kind] for kind in (PLAN, RUN))
    return plans[0] if plans else None, runs[0] if runs else None, [job for job in about if job.kind == UNDO]


def _word(
    made: Invalidation, plan_job: Job | None, run_job: Job | None, undo_jobs: Sequence[Job], has_estimate: bool
) -> Word:
    if any(job.open for job in undo_jobs):
        return "undoing"
    if any(job.state == "finished" and job.arguments.get("pattern") == WHOLE for job in undo_jobs):
        return "undone"
    if run_job is not None:
        return _word_of(run_job, "running", "done")
    if plan_job is None:
        return "failed"
    word = _word_of(plan_job, "planning", "planned")
    if word == "cancelled" and has_estimate:
        word = "planned"
    if word != "planned":
        return word
    if time.time() >= made.expires_at:
        return "expired"
    return "waits for approval" if made.needs and not made.approved_by else "planned"


def _word_of(job: Job, while_open: Word, at_end: Word) -> Word:
    words: dict[str, Word] = {"queued": while_open, "running": while_open, "finished": at_end}
    others: dict[str, Word] = {"paused": "paused", "interrupted": "interrupted", "cancelled": "cancelled"}
    return {**words, **others}.get(job.state, "failed")


def _snapshot(store: Store, job: Job | None, kind: type[Any]) -> Any:
    found = results.snapshot(store, job) if job is not None else None
    return found if isinstance(found, kind) else None
