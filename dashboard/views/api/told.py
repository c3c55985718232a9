"""An invalidation as the API tells it, from how it stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from dashboard.cache.estimate import Estimate
from dashboard.cache.invalidation.mode import Gently, Paced, Stale
from dashboard.cache.invalidation.report import Done, Plan, Undone
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.walking.progress import Progress
from dashboard.jobs.invalidating import Standing
from dashboard.store.jobs import Job
from dashboard.views.api.models import (
    Figure,
    Invalidation,
    Keys,
    ModeName,
    Per,
    PlanFigures,
    Result,
    Trouble,
    UndoResult,
    name_of,
)


def told(standing: Standing) -> Invalidation:
    """All that a program must know of it."""
    made, task, job = standing.invalidation, standing.task, standing.job
    undone = standing.undos[0][1] if standing.undos else None
    progress = _progress(standing, undone)
    return Invalidation(
        number=made.number,
        cache=made.cache,
        state=standing.state,
        selection=_keys(task.selection),
        mode=cast(ModeName, task.mode.name),
        seconds=task.mode.seconds if isinstance(task.mode, Gently | Stale) else None,
        rate=task.mode.rate if isinstance(task.mode, Paced) else None,
        vault=task.vault,
        channel=task.tell.channel if task.tell else None,
        per=cast(Per, task.tell.per) if task.tell else None,
        reason=made.reason,
        actor=made.actor,
        source=made.source,
        created_at=_time(made.created_at),
        expires_at=_time(made.expires_at) if made.planned_at is not None and made.run_job is None else None,
        obstacle=standing.obstacle,
        needs_approval=standing.needs,
        approved_by=made.approved_by,
        job=job.id if job else None,
        examined=progress.examined,
        total=max(progress.total, progress.examined),
        plan=_plan(standing.plan),
        result=_result(standing, standing.done),
        undo=_undone(undone),
        restorable=standing.entry.keys if standing.entry else 0,
        problem=_trouble(job),
    )


def _progress(standing: Standing, undone: Undone | None) -> Progress:
    if standing.undos:
        return undone.progress if undone else Progress()
    if standing.run_job is not None:
        return standing.done.progress if standing.done else Progress()
    return standing.plan.progress if standing.plan else Progress()


def _keys(selection: Selection) -> Keys:
    return Keys(
        pattern=name_of(selection.pattern) if selection.keys is None else None,
        listed=None if selection.keys is None else len(selection.keys),
        type=selection.type,
        ttl=selection.ttl,
        size=selection.size,
    )


def _plan(plan: Plan | None) -> PlanFigures | None:
    if plan is None:
        return None
    report = plan.report
    return PlanFigures(
        keys=_figure(report.keys),
        memory=_figure_or_none(report.memory),
        types={group.name: _figure(group.keys) for group in report.types},
        misses=_figure_or_none(plan.effect.misses),
        vault=_figure_or_none(plan.vault),
        examples=list(plan.examples),
        notes=[*plan.notes, *report.missing],
    )


def _result(standing: Standing, done: Done | None) -> Result | None:
    if done is None:
        return None
    counts, drift = done.counts, standing.drift
    figures = {name: getattr(counts, name) for name in Result.model_fields if name != "drift"}
    return Result(**figures, drift=drift.more if drift else None)


def _undone(undone: Undone | None) -> UndoResult | None:
    if undone is None:
        return None
    figures = {name: getattr(undone, name) for name in UndoResult.model_fields if name != "refused"}
    return UndoResult(**figures, refused=sum(undone.refused.values()))


def _trouble(job: Job | None) -> Trouble | None:
    return Trouble(sentence=job.error, advice=job.advice) if job and job.error else None


def _figure(figure: Estimate) -> Figure:
    return Figure(value=figure.value, low=figure.low, high=figure.high, exact=figure.exact)


def _figure_or_none(figure: Estimate | None) -> Figure | None:
    return None if figure is None else _figure(figure)


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
