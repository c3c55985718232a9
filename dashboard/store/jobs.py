"""Jobs: long work that was asked for, that runs, or that has ended, and what each has found so far.

    queued ----> running ----> finished | failed | cancelled | interrupted
       \\--------------------------------> cancelled | interrupted

A worker that runs a job says every few seconds that it lives. One that is killed can say nothing more, so a job
whose last sign of life is older than DEAD_SECONDS *is* interrupted, whoever reads it; `bury` writes that down.
A worker writes to a job only while the job is running and its own, so one that was taken for dead and comes
back learns that it has lost the job, and changes nothing.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.schema import JobRow, JobSnapshotRow
from dashboard.store.trail import storable

State: TypeAlias = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
Ended: TypeAlias = Literal["finished", "failed", "cancelled", "interrupted"]
Order: TypeAlias = Literal["go on", "cancel", "lost"]
"""What a worker is to do with its job: "lost" where it is not its own any more."""

STATES: tuple[State, ...] = ("queued", "running", "finished", "failed", "cancelled", "interrupted")

DEAD_SECONDS = 15.0
"""So long after its worker's last sign of life a running job counts as interrupted: several heartbeats."""

QUEUED_SECONDS = 3600.0
"""A job that no worker took for so long is not begun any more: nobody expects it to start by itself a day later."""

KEPT = 50
"""So many ended jobs of each cache and kind are kept with what they found, and as many that found nothing.

An analysis takes up to some 100 kB, so that is a few megabytes; and one that runs each night is kept for seven weeks.
"""

INTERRUPTED = "The worker that ran this was killed, or lost its connection to Cachedeck's database."
NOT_TAKEN = "No worker took this within an hour."

# Quick rather than small: it is done several times a second, and JSON of figures shrinks to a fifth in any case.
_LEVEL = 1


@dataclass(frozen=True)
class Job:
    """One job as it is now. Times are seconds since the epoch.

    arguments: what its kind needs to run, JSON. progress: how far it is (JSON of a Progress), None before the first
    snapshot. error, advice: why it failed or did not run to its end, one sentence each. cancelling: somebody has
    asked for its end, and it has not ended yet.
    """

    id: int
    cache: str
    kind: str
    arguments: Mapping[str, Any]
    actor: str
    address: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    state: State
    progress: Mapping[str, Any] | None
    error: str
    advice: str
    cancelling: bool
    reason: str = ""
    follows: int | None = None

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")


class Followed(StoreError):
    """The job that was to be carried out is carried out by another one already: `job`."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"Job {job.follows} has been carried out already, as job {job.id}.")
        self.job = job


def create(
    store: Store,
    cache: str,
    kind: str,
    arguments: Mapping[str, Any],
    actor: str,
    address: str,
    reason: str = "",
    *,
    follows: int | None = None,
) -> Job:
    """Ask for a job: a worker takes it within a moment.

    follows: the job that this one carries out; of two that ask at the same moment one gets it. Raises TypeError for
    arguments that are no JSON, and Followed.
    """
    row = JobRow(
        cache=cache,
        kind=kind,
        arguments=json.dumps(dict(arguments), separators=(",", ":"), allow_nan=False),
        actor=storable(actor),
        address=storable(address),
        reason=storable(reason),
        state="queued",
        owner="",
        cancelling=False,
        created_at=time.time(),
        error="",
        advice="",
        follows=follows,
    )
    try:
        with store.write() as session:
            session.add(row)
            session.flush()
            return _job(row, row.created_at)
    except IntegrityError:
        first = None if follows is None else follower(store, follows)
        if first is None:
            raise
        raise Followed(first) from None


def follower(store: Store, job_id: int) -> Job | None:
    """The job that carries out another one; None where none does (or it is forgotten)."""
    with store.read() as session:
        row = session.scalar(select(JobRow).where(JobRow.follows == job_id))
        return _job(row, time.time()) if row else None


def get(store: Store, job_id: int) -> Job | None:
    """One job by its number; None where there is none (any more)."""
    with store.read() as session:
        row = session.get(JobRow, job_id) if 0 < job_id < 2**63 else None
        return _job(row, time.time()) if row else None


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
        query = query.where(_is(state, now))
    with store.read() as session:
        return [_job(row, now) for row in session.scalars(query)]


def running(store: Store, cache: str, ended_since: float | None = None) -> list[Job]:
    """The jobs of a cache that wait or run, the oldest first; with `ended_since`, those too that ended after it."""
    now = time.time()
    wanted = or_(_is("queued", now), _is("running", now))
    if ended_since is not None:
        wanted = or_(wanted, JobRow.ended_at > ended_since)
    query = select(JobRow).where(JobRow.cache == cache, wanted).order_by(JobRow.id)
    with store.read() as session:
        return [_job(row, now) for row in session.scalars(query)]


def alive(store: Store) -> int:
    """How many jobs run just now, of all caches: 0 where no worker lives that would take one."""
    with store.read() as session:
        return session.scalar(select(func.count()).where(_is("running", time.time()))) or 0


def result_text(store: Store, job_id: int) -> str | None:
    """The last snapshot of a job, as JSON; while it runs too. None before the first one."""
    with store.read() as session:
        body = session.scalar(select(JobSnapshotRow.body).where(JobSnapshotRow.job_id == job_id))
    return None if body is None else zlib.decompress(body).decode()


def request_cancel(store: Store, job_id: int) -> Job | None:
    """Ask for the end of a job: one that waits ends at once, one that runs when its worker notices.

    Gives the job as it is then; None where there is none. One that has ended stays as it is.
    """
    now = time.time()
    with store.write() as session:
        _bury(session, now, JobRow.id == job_id)
        waiting = (JobRow.id == job_id, JobRow.state == "queued")
        session.execute(update(JobRow).where(*waiting).values(state="cancelled", ended_at=now))
        session.execute(update(JobRow).where(JobRow.id == job_id, JobRow.state == "running").values(cancelling=True))
        row = session.get(JobRow, job_id)
        return _job(row, now) if row else None


def claim(store: Store, owner: str, caches: Collection[str]) -> Job | None:
    """Take the job that has waited longest, of these caches, for the worker `owner`; None where none waits.

    Of several workers that ask at once exactly one gets it.
    """
    now = time.time()
    waiting = (JobRow.state == "queued", JobRow.cache.in_(caches), JobRow.created_at > now - QUEUED_SECONDS)
    first = select(JobRow.id).where(*waiting).order_by(JobRow.id).limit(1)
    with store.read() as session:  # nothing is written ten times a second only to see that nothing waits
        job_id = session.scalar(first)
    while job_id is not None:
        taken = {"state": "running", "owner": owner, "started_at": now, "heartbeat_at": now}
        with store.write() as session:
            query = update(JobRow).where(JobRow.id == job_id, JobRow.state == "queued").values(**taken)
            if _count(session, query):
                return _job(session.get_one(JobRow, job_id), now)
            job_id = session.scalar(first)
    return None


def order(store: Store, job_id: int, owner: str) -> Order:
    """What the worker `owner` is to do with the job that it runs."""
    with store.read() as session:
        return _order(session, job_id, owner)


def beat(store: Store, job_id: int, owner: str) -> Order:
    """Say that the worker `owner` lives, and hear what it is to do."""
    with store.write() as session:
        session.execute(update(JobRow).where(*_own(job_id, owner)).values(heartbeat_at=time.time()))
        return _order(session, job_id, owner)


def save(store: Store, job_id: int, owner: str, progress: Mapping[str, Any], text: str) -> Order:
    """Keep a snapshot (JSON) in place of the one before; a sign of life, too. Not of a job that is lost."""
    body = zlib.compress(text.encode(), _LEVEL)
    with store.write() as session:
        found = _order(session, job_id, owner)
        if found != "lost":
            values = {"heartbeat_at": time.time(), "progress": json.dumps(dict(progress), separators=(",", ":"))}
            session.execute(update(JobRow).where(*_own(job_id, owner)).values(**values))
            session.merge(JobSnapshotRow(job_id=job_id, body=body))
        return found


def end(store: Store, job_id: int, owner: str, state: Ended, error: str = "", advice: str = "") -> bool:
    """Write down how the job of the worker `owner` ended; False where it was not its own any more."""
    values = {"state": state, "ended_at": time.time(), "error": storable(error), "advice": storable(advice)}
    with store.write() as session:
        return _count(session, update(JobRow).where(*_own(job_id, owner)).values(**values)) == 1


def bury(store: Store) -> int:
    """Write down which jobs are interrupted: those of dead workers, and those that none ever took. How many."""
    now = time.time()
    too_old = and_(JobRow.state == "queued", JobRow.created_at <= now - QUEUED_SECONDS)
    values = {"state": "interrupted", "ended_at": now, "error": NOT_TAKEN}
    with store.write() as session:
        return _bury(session, now) + _count(session, update(JobRow).where(too_old).values(**values))


def drop_old(store: Store, kept: int = KEPT) -> int:
    """Forget the oldest ended jobs of each cache and kind, but for the newest `kept` with a snapshot and as many
    without. Jobs that wait or run stay in any case. How many were forgotten."""
    found = JobRow.progress.is_not(None)
    place = func.row_number().over(partition_by=(JobRow.cache, JobRow.kind, found), order_by=JobRow.id.desc())
    ended = select(JobRow.id, place.label("place")).where(JobRow.ended_at.is_not(None)).subquery()
    with store.read() as session:
        old = list(session.scalars(select(ended.c.id).where(ended.c.place > kept)))
    if not old:
        return 0
    with store.write() as session:
        session.execute(delete(JobSnapshotRow).where(JobSnapshotRow.job_id.in_(old)))
        return _count(session, delete(JobRow).where(JobRow.id.in_(old)))


def _bury(session: Session, now: float, *only: ColumnElement[bool]) -> int:
    dead = (JobRow.state == "running", JobRow.heartbeat_at < now - DEAD_SECONDS)
    # It was last known to run at its last sign of life.
    values = {"state": "interrupted", "ended_at": JobRow.heartbeat_at, "error": INTERRUPTED, "cancelling": False}
    return _count(session, update(JobRow).where(*dead, *only).values(**values))


def _own(job_id: int, owner: str) -> tuple[ColumnElement[bool], ...]:
    return (JobRow.id == job_id, JobRow.owner == owner, JobRow.state == "running")


def _order(session: Session, job_id: int, owner: str) -> Order:
    cancelling = session.scalar(select(JobRow.cancelling).where(*_own(job_id, owner)))
    return "lost" if cancelling is None else "cancel" if cancelling else "go on"


def _is(state: State, now: float) -> ColumnElement[bool]:
    """The condition that `_job` states about one row."""
    dead = JobRow.heartbeat_at < now - DEAD_SECONDS
    if state == "running":
        return and_(JobRow.state == "running", ~dead)
    if state == "interrupted":
        return or_(JobRow.state == "interrupted", and_(JobRow.state == "running", dead))
    return JobRow.state == state


def _count(session: Session, statement: Any) -> int:
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def _job(row: JobRow, now: float) -> Job:
    dead = row.state == "running" and (row.heartbeat_at or 0.0) < now - DEAD_SECONDS
    return Job(
        id=row.id,
        cache=row.cache,
        kind=row.kind,
        arguments=json.loads(row.arguments),
        actor=row.actor,
        address=row.address,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.heartbeat_at if dead else row.ended_at,
        state="interrupted" if dead else cast("State", row.state),
        progress=None if row.progress is None else json.loads(row.progress),
        error=INTERRUPTED if dead else row.error,
        advice=row.advice,
        cancelling=row.cancelling and row.state == "running" and not dead,
        reason=row.reason,
        follows=row.follows,
    )
