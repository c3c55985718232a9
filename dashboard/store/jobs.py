"""Jobs: long work that was asked for, that runs, or that has ended, and what each has found so far.

    queued ----> running ----> finished | failed | cancelled | interrupted
       \\          \\----------> paused
        \\-----------------------> paused | cancelled | interrupted

    paused | interrupted | failed ----> queued     where its kind can go on where it stood (`resume`)
    paused ---------------------------> cancelled

A worker that runs a job says every few seconds that it lives. One that is killed can say nothing more, so a job
whose last sign of life is older than DEAD_SECONDS *is* interrupted, whoever reads it; `bury` writes that down.
A worker writes to a job only while the job is running and its own, so one that was taken for dead and comes
back learns that it has lost the job, and changes nothing.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.job import (
    DEAD_SECONDS,
    INTERRUPTED,
    NOT_TAKEN,
    QUEUED_SECONDS,
    RESUMABLE,
    STATES,
    Ended,
    Job,
    Order,
    State,
    Stopped,
    bury_dead,
    count_of,
    job_of,
    order_of,
    own,
)
from dashboard.store.job_reading import (
    alive,
    by_state,
    follower,
    get,
    newest,
    of,
    of_several,
    open_about,
    result_text,
    running,
)
from dashboard.store.schema import InvalidationRow, JobRow, JobSnapshotRow
from dashboard.store.trail import storable

__all__ = [
    "DEAD_SECONDS",
    "INTERRUPTED",
    "KEPT",
    "NOT_TAKEN",
    "QUEUED_SECONDS",
    "RESUMABLE",
    "STATES",
    "Ended",
    "Followed",
    "Job",
    "Order",
    "State",
    "Stopped",
    "add",
    "alive",
    "beat",
    "bury",
    "by_state",
    "claim",
    "create",
    "drop_old",
    "end",
    "follower",
    "get",
    "newest",
    "of",
    "of_several",
    "open_about",
    "order",
    "request_cancel",
    "request_pause",
    "result_text",
    "resume",
    "running",
    "save",
]

KEPT = 50
"""So many ended jobs of each cache and kind are kept with what they found, and as many that found nothing.

An analysis takes up to some 100 kB, so that is a few megabytes; and one that runs each night is kept for seven weeks.
"""

# Quick rather than small: it is done several times a second, and JSON of figures shrinks to a fifth in any case.
_LEVEL = 1


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
    about: int | None = None,
    owner: str = "",
) -> Job:
    """Ask for a job: a worker takes it within a moment.

    follows: the job that this one carries out; of two that ask at the same moment one gets it. owner: who runs it
    already, so that no worker takes it. Raises TypeError for arguments that are no JSON, and Followed.
    """
    try:
        with store.write() as session:
            return add(
                session, cache, kind, arguments, actor, address, reason, follows=follows, about=about, owner=owner
            )
    except IntegrityError:
        first = None if follows is None else follower(store, follows)
        if first is None:
            raise
        raise Followed(first) from None


def add(
    session: Session,
    cache: str,
    kind: str,
    arguments: Mapping[str, Any],
    actor: str,
    address: str,
    reason: str = "",
    *,
    follows: int | None = None,
    about: int | None = None,
    owner: str = "",
) -> Job:
    """create() as part of somebody's transaction; IntegrityError in place of Followed."""
    now = time.time()
    row = JobRow(
        cache=cache,
        kind=kind,
        arguments=json.dumps(dict(arguments), separators=(",", ":"), allow_nan=False),
        actor=storable(actor),
        address=storable(address),
        reason=storable(reason),
        state="running" if owner else "queued",
        owner=owner,
        cancelling=False,
        pausing=False,
        created_at=now,
        queued_at=now,
        started_at=now if owner else None,
        heartbeat_at=now if owner else None,
        error="",
        advice="",
        follows=follows,
        about=about,
    )
    session.add(row)
    session.flush()
    return job_of(row, now)


def request_cancel(store: Store, job_id: int) -> Job | None:
    """Ask for the end of a job: one that waits or stands ends at once, one that runs when its worker notices.

    Gives the job as it is then; None where there is none. One that has ended stays as it is.
    """
    now = time.time()
    with store.write() as session:
        bury_dead(session, now, JobRow.id == job_id)
        idle = (JobRow.id == job_id, JobRow.state.in_(("queued", "paused")))
        session.execute(update(JobRow).where(*idle).values(state="cancelled", ended_at=now))
        session.execute(update(JobRow).where(JobRow.id == job_id, JobRow.state == "running").values(cancelling=True))
        row = session.get(JobRow, job_id)
        return job_of(row, now) if row else None


def request_pause(store: Store, job_id: int) -> Job | None:
    """Let a job stand: one that waits at once, one that runs when its worker notices. Its kind must be able to go on.

    Gives the job as it is then; None where there is none. One that has ended stays as it is, and one that is being
    cancelled ends.
    """
    now = time.time()
    with store.write() as session:
        bury_dead(session, now, JobRow.id == job_id)
        waiting = (JobRow.id == job_id, JobRow.state == "queued")
        session.execute(update(JobRow).where(*waiting).values(state="paused", ended_at=now))
        session.execute(update(JobRow).where(JobRow.id == job_id, JobRow.state == "running").values(pausing=True))
        row = session.get(JobRow, job_id)
        return job_of(row, now) if row else None


def resume(store: Store, job_id: int, owner: str = "", *, ask: Callable[[list[Job]], None] | None = None) -> Job | None:
    """Let a job that stands, was interrupted or has failed go on: it waits again, and what it found stays.

    owner: who runs it from now on, so that no worker takes it. Whether its kind can go on is for the caller to know.
    ask: is given the other jobs of the same invalidation, to which none is added meanwhile, and raises where one of
    them forbids it.
    Gives the job as it is then, so of two that ask at the same moment both see it queued; None where there is none.
    """
    now = time.time()
    values: dict[str, Any] = {
        "state": "running" if owner else "queued",
        "owner": owner,
        "queued_at": now,
        "started_at": now if owner else None,
        "heartbeat_at": now if owner else None,
        "ended_at": None,
        "error": "",
        "advice": "",
        "cancelling": False,
        "pausing": False,
    }
    with store.write("invalidations") as session:
        bury_dead(session, now, JobRow.id == job_id)
        about = select(JobRow.about).where(JobRow.id == job_id).scalar_subquery()
        if ask is not None:
            others = select(JobRow).where(JobRow.about == about, JobRow.id != job_id)
            ask([job_of(row, now) for row in session.scalars(others)])
        session.execute(update(JobRow).where(JobRow.id == job_id, JobRow.state.in_(RESUMABLE)).values(**values))
        row = session.get(JobRow, job_id)
        return job_of(row, now) if row else None


def claim(store: Store, owner: str, caches: Collection[str]) -> Job | None:
    """Take the job that has waited longest, of these caches, for the worker `owner`; None where none waits.

    Of several workers that ask at once exactly one gets it.
    """
    now = time.time()
    waiting = (JobRow.state == "queued", JobRow.cache.in_(caches), JobRow.queued_at > now - QUEUED_SECONDS)
    first = select(JobRow.id).where(*waiting).order_by(JobRow.queued_at, JobRow.id).limit(1)
    with store.read() as session:  # nothing is written ten times a second only to see that nothing waits
        job_id = session.scalar(first)
    while job_id is not None:
        taken = {"state": "running", "owner": owner, "started_at": now, "heartbeat_at": now}
        with store.write() as session:
            query = update(JobRow).where(JobRow.id == job_id, JobRow.state == "queued").values(**taken)
            if count_of(session, query):
                return job_of(session.get_one(JobRow, job_id), now)
            job_id = session.scalar(first)
    return None


def order(store: Store, job_id: int, owner: str) -> Order:
    """What the worker `owner` is to do with the job that it runs."""
    with store.read() as session:
        return order_of(session, job_id, owner)


def beat(store: Store, job_id: int, owner: str) -> Order:
    """Say that the worker `owner` lives, and hear what it is to do."""
    with store.write() as session:
        session.execute(update(JobRow).where(*own(job_id, owner)).values(heartbeat_at=time.time()))
        return order_of(session, job_id, owner)


def save(store: Store, job_id: int, owner: str, progress: Mapping[str, Any], text: str) -> Order:
    """Keep a snapshot (JSON) in place of the one before; a sign of life, too. Not of a job that is lost."""
    body = zlib.compress(text.encode(), _LEVEL)
    with store.write() as session:
        found = order_of(session, job_id, owner)
        if found != "lost":
            values = {"heartbeat_at": time.time(), "progress": json.dumps(dict(progress), separators=(",", ":"))}
            session.execute(update(JobRow).where(*own(job_id, owner)).values(**values))
            session.merge(JobSnapshotRow(job_id=job_id, body=body))
        return found


def end(store: Store, job_id: int, owner: str, state: Stopped, error: str = "", advice: str = "") -> bool:
    """Write down how the job of the worker `owner` ended, or that it stands; False where it is not its own any more."""
    values = {"state": state, "ended_at": time.time(), "error": storable(error), "advice": storable(advice)}
    with store.write() as session:
        return count_of(session, update(JobRow).where(*own(job_id, owner)).values(**values)) == 1


def bury(store: Store) -> int:
    """Write down which jobs are interrupted: those of dead workers, and those that none ever took. How many."""
    now = time.time()
    too_old = and_(JobRow.state == "queued", JobRow.queued_at <= now - QUEUED_SECONDS)
    values = {"state": "interrupted", "ended_at": now, "error": NOT_TAKEN}
    with store.write() as session:
        return bury_dead(session, now) + count_of(session, update(JobRow).where(too_old).values(**values))


def drop_old(store: Store, kept: int = KEPT) -> int:
    """Forget the oldest ended jobs of each cache and kind, but for the newest `kept` with a snapshot and as many
    without. Jobs that wait, run or stand stay in any case, and those of an invalidation as long as it is known.
    How many were forgotten."""
    found = JobRow.progress.is_not(None)
    place = func.row_number().over(partition_by=(JobRow.cache, JobRow.kind, found), order_by=JobRow.id.desc())
    known = JobRow.about.in_(select(InvalidationRow.id))
    over = (JobRow.ended_at.is_not(None), JobRow.state != "paused", or_(JobRow.about.is_(None), ~known))
    ended = select(JobRow.id, place.label("place")).where(*over).subquery()
    with store.read() as session:
        old = list(session.scalars(select(ended.c.id).where(ended.c.place > kept)))
    if not old:
        return 0
    with store.write() as session:
        session.execute(delete(JobSnapshotRow).where(JobSnapshotRow.job_id.in_(old)))
        return count_of(session, delete(JobRow).where(JobRow.id.in_(old)))
