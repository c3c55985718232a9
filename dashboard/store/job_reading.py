"""Looking at jobs: one, those of a cache or of an invalidation, how many there are, and what each has found so far.

What becomes of them stands in jobs.py, which gives these on to whoever asks for jobs.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Collection
from typing import cast

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from dashboard.store.engine import Store
from dashboard.store.job import STATES, Job, State, is_in, is_open, job_of
from dashboard.store.schema import JobRow, JobSnapshotRow


def follower(store: Store, job_id: int) -> Job | None:
    """The job that carries out another one; None where none does (or it is forgotten)."""
    with store.read() as session:
        row = session.scalar(select(JobRow).where(JobRow.follows == job_id))
        return job_of(row, time.time()) if row else None


def get(store: Store, job_id: int) -> Job | None:
    """One job by its number; None where there is none (any more)."""
    with store.read() as session:
        row = session.get(JobRow, job_id) if 0 < job_id < 2**63 else None
        return job_of(row, time.time()) if row else None


def of(store: Store, about: int, kind: str | None = None) -> list[Job]:
    """The jobs of one invalidation, the newest first."""
    return [job for job in of_several(store, [about]).get(about, []) if kind is None or job.kind == kind]


def of_several(store: Store, abouts: Collection[int]) -> dict[int, list[Job]]:
    """The jobs of some invalidations by their numbers, the newest first; those that have none are left out."""
    now = time.time()
    found: dict[int, list[Job]] = {}
    with store.read() as session:
        for row in session.scalars(select(JobRow).where(JobRow.about.in_(abouts)).order_by(JobRow.id.desc())):
            found.setdefault(cast("int", row.about), []).append(job_of(row, now))
    return found


def newest(
    store: Store,
    cache: str,
    kind: str | None = None,
    limit: int = 50,
    before: int | None = None,
    state: State | None = None,
) -> list[Job]:
    """At most `limit` jobs of a cache, the newest first; `before` is the id of the last one of the page before."""
    now = time.time()
    query = select(JobRow).where(JobRow.cache == cache).order_by(JobRow.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(JobRow.kind == kind)
    if before is not None:
        query = query.where(JobRow.id < before)
    if state is not None:
        query = query.where(is_in(state, now))
    with store.read() as session:
        return [job_of(row, now) for row in session.scalars(query)]


def running(store: Store, cache: str, ended_since: float | None = None) -> list[Job]:
    """The jobs of a cache that wait or run, the oldest first; with `ended_since`, those too that ended after it."""
    now = time.time()
    wanted = is_open(now)
    if ended_since is not None:
        wanted = or_(wanted, JobRow.ended_at > ended_since)
    query = select(JobRow).where(JobRow.cache == cache, wanted).order_by(JobRow.id)
    with store.read() as session:
        return [job_of(row, now) for row in session.scalars(query)]


def open_about(session: Session, cache: str, kinds: Collection[str]) -> list[Job]:
    """The jobs of these kinds of a cache that wait or run, the oldest first, as part of somebody's transaction."""
    now = time.time()
    query = select(JobRow).where(JobRow.cache == cache, JobRow.kind.in_(kinds), is_open(now)).order_by(JobRow.id)
    return [job_of(row, now) for row in session.scalars(query)]


def alive(store: Store) -> int:
    """How many jobs run just now, of all caches: 0 where no worker lives that would take one."""
    with store.read() as session:
        return session.scalar(select(func.count()).where(is_in("running", time.time()))) or 0


def by_state(store: Store, cache: str) -> dict[State, int]:
    """How many jobs of a cache are kept in each state, 0 too. Raises StoreUnavailable."""
    now = time.time()
    with store.read() as session:
        counted = [func.count().filter(is_in(state, now)) for state in STATES]
        found = session.execute(select(*counted).where(JobRow.cache == cache)).one()
    return dict(zip(STATES, found, strict=True))


def result_text(store: Store, job_id: int) -> str | None:
    """The last snapshot of a job, as JSON; while it runs too. None before the first one."""
    with store.read() as session:
        body = session.scalar(select(JobSnapshotRow.body).where(JobSnapshotRow.job_id == job_id))
    return None if body is None else zlib.decompress(body).decode()
