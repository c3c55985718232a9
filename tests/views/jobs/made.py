"""Jobs as the store has them while their pages are drawn: waiting, under way, ended."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import update

from dashboard.cache.analysis.report import Report, Snapshot
from dashboard.cache.invalidation.report import Counts
from dashboard.cache.invalidation.report import Done as Invalidated
from dashboard.cache.walking.progress import Progress
from dashboard.jobs.invalidation_job import RUN
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.results import progress_of, text_of, told_of
from dashboard.store import invalidations, jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job, State
from dashboard.store.schema import JobRow

OWNER = "o" * 16
SELECTION = {"pattern": "api:*"}
TASK = {"pattern": "api:*"}


def made(store: Store, cache: str = "main", actor: str = "otto") -> Job:
    arguments = {"selection": SELECTION, "share": 0.5, "replicas": False}
    return jobs.create(store, cache, "analysis", arguments, actor, "10.1.1.1", "looking")


def begun(store: Store, cache: str = "main", examined: int = 250, **progress: Any) -> Job:
    job = made(store, cache)
    claimed = jobs.claim(store, OWNER, [cache])
    assert claimed
    assert claimed.id == job.id
    seen = Progress(examined, total=1000, elapsed=2.0, busy=0.4, calls=10, longest_ms=0.9, **progress)
    jobs.save(store, job.id, OWNER, progress_of(seen), text_of(KINDS["analysis"], Snapshot(seen, Report(1.0))))
    return claimed


def ended(store: Store, state: State = "finished", error: str = "", cache: str = "main") -> Job:
    job = begun(store, cache, 1000, ended=True) if state == "finished" else begun(store, cache)
    assert state not in ("queued", "running")
    assert jobs.end(store, job.id, OWNER, state, error)  # type: ignore[arg-type]
    return job


def aged(store: Store, job: Job, **columns: float) -> None:
    """Let something have happened so many seconds ago."""
    values = {name: time.time() - seconds for name, seconds in columns.items()}
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(**values))


def state_of(store: Store, job: Job) -> str:
    found = jobs.get(store, job.id)
    assert found
    return found.state


def invalidation(store: Store, cache: str = "main", **task: str) -> Job:
    """The job that carries an invalidation out, before a worker has taken it."""
    asked = invalidations.Asked("otto", "10.1.1.1", "bad deploy")
    return invalidations.make_begun(store, cache, {**TASK, **task}, RUN, asked)[1]


def under_way(store: Store, job: Job, snapshot: Any) -> None:
    assert jobs.claim(store, OWNER, [job.cache])
    kind = KINDS[job.kind]
    jobs.save(store, job.id, OWNER, told_of(kind, snapshot), text_of(kind, snapshot))


def done(found: int, removed: int, *, whole: bool = False, **more: int) -> Invalidated:
    seen = Progress(1000 if whole else 250, 1000, elapsed=2.0, ended=whole)
    return Invalidated(seen, 1.0, Counts(found=found, removed=removed, **more))
