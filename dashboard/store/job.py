"""One job as its row has it, and the conditions on rows that say the same: which state it is in, whose it is.

A worker that runs a job says every few seconds that it lives. One that is killed can say nothing more, so a job
whose last sign of life is older than DEAD_SECONDS *is* interrupted, whoever reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import ColumnElement, CursorResult, and_, or_, select, update
from sqlalchemy.orm import Session

from dashboard.store.schema import JobRow

State: TypeAlias = Literal["queued", "running", "paused", "finished", "failed", "cancelled", "interrupted"]
Ended: TypeAlias = Literal["finished", "failed", "cancelled", "interrupted"]
Stopped: TypeAlias = Ended | Literal["paused"]
"""What becomes of a running job: it has ended, or it stands and may go on."""
Order: TypeAlias = Literal["go on", "pause", "cancel", "lost"]
"""What a worker is to do with its job: "lost" where it is not its own any more."""

STATES: tuple[State, ...] = ("queued", "running", "paused", "finished", "failed", "cancelled", "interrupted")
RESUMABLE: tuple[State, ...] = ("paused", "interrupted", "failed")
"""From where a job may go on, if its kind can."""

DEAD_SECONDS = 15.0
"""So long after its worker's last sign of life a running job counts as interrupted: several heartbeats."""

QUEUED_SECONDS = 3600.0
"""A job that no worker took for so long is not begun any more: nobody expects it to start by itself a day later."""

INTERRUPTED = "The worker that ran this was killed, or lost its connection to Cachedeck's database."
NOT_TAKEN = "No worker took this within an hour."


@dataclass(frozen=True)
class Job:
    """One job as it is now. Times are seconds since the epoch.

    arguments: what its kind needs to run, JSON. progress: how far it is (JSON of a Progress), None before the first
    snapshot. error, advice: why it failed or did not run to its end, one sentence each. cancelling, pausing: somebody
    has asked for its end or a pause, and it runs still. ended_at: when it ended, or began to stand. queued_at: when it
    was asked for, or last to go on. about: the number of the invalidation that it plans, carries out or takes back.
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
    pausing: bool = False
    queued_at: float = 0.0
    about: int | None = None

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")

    @property
    def resumable(self) -> bool:
        """Whether its state is one from which it may go on, if its kind can."""
        return self.state in RESUMABLE


def bury_dead(session: Session, now: float, *only: ColumnElement[bool]) -> int:
    dead = (JobRow.state == "running", JobRow.heartbeat_at < now - DEAD_SECONDS)
    # It was last known to run at its last sign of life.
    values = {"state": "interrupted", "ended_at": JobRow.heartbeat_at, "error": INTERRUPTED}
    return count_of(session, update(JobRow).where(*dead, *only).values(**values))


def own(job_id: int, owner: str) -> tuple[ColumnElement[bool], ...]:
    return (JobRow.id == job_id, JobRow.owner == owner, JobRow.state == "running")


def order_of(session: Session, job_id: int, owner: str) -> Order:
    asked = session.execute(select(JobRow.cancelling, JobRow.pausing).where(*own(job_id, owner))).first()
    if asked is None:
        return "lost"
    return "cancel" if asked.cancelling else "pause" if asked.pausing else "go on"


def is_open(now: float) -> ColumnElement[bool]:
    return or_(is_in("queued", now), is_in("running", now))


def is_in(state: State, now: float) -> ColumnElement[bool]:
    """The condition that `_job` states about one row."""
    dead = JobRow.heartbeat_at < now - DEAD_SECONDS
    if state == "running":
        return and_(JobRow.state == "running", ~dead)
    if state == "interrupted":
        return or_(JobRow.state == "interrupted", and_(JobRow.state == "running", dead))
    return JobRow.state == state


def count_of(session: Session, statement: Any) -> int:
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def job_of(row: JobRow, now: float) -> Job:
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
        pausing=row.pausing and not row.cancelling and row.state == "running" and not dead,
        queued_at=row.queued_at,
        about=row.about,
    )
