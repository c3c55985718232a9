"""Whether a job may go on where it stood."""

from __future__ import annotations

from dashboard.jobs.invalidation_job import RUN, UNDO
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.overlap import changing, overlapping, selection_of
from dashboard.jobs.refused import Refused
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job


def resumes(job: Job) -> bool:
    """Whether its kind can go on where it stood, so that it may be paused, too."""
    kind = KINDS.get(job.kind)
    return kind is not None and kind.resumes


def why_not(store: Store, job: Job) -> str:
    """Why a job may not go on, a sentence; "" where it may. At most one query."""
    if not resumes(job):
        return "Jobs of this kind do not go on where they stood: begin where the first one was begun."
    if not job.resumable:
        return f"Job {job.id} does not stand: it is {job.state}."
    if job.about is None:
        return ""
    return _in_the_way(job, [other for other in jobs.of(store, job.about) if other.id != job.id])


def resume(store: Store, job: Job) -> Job:
    """Let it go on. Raises Refused where an undo or another job of its invalidation was asked for a moment before."""

    def ask(others: list[Job]) -> None:
        why = _in_the_way(job, others)
        if why:
            raise Refused(why)

    return jobs.resume(store, job.id, ask=ask) or job


def _in_the_way(job: Job, others: list[Job]) -> str:
    if any(other.open for other in others):
        return f"Another job of invalidation {job.about} is under way. Wait for its end."
    if job.kind == RUN and any(other.kind == UNDO for other in others):
        return f"Invalidation {job.about} has been taken back. Make a new plan."
    return ""


def overlaps(store: Store, job: Job) -> list[Job]:
    """The jobs under way that may change keys of the same selection; none where it selects none."""
    selection = selection_of(job, store)
    if selection is None or job.kind not in changing():
        return []
    under_way = [other for other in jobs.running(store, job.cache) if other.kind in changing() and other.id != job.id]
    return overlapping(under_way, selection, besides=job.about, store=store)
