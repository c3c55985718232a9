"""Invalidations in the store: planned, approved where that is asked for, carried out once. Each has a number.

    made ----> planned ----> begun        within its time, and once
                   \\-------> approved ----> begun

What its jobs are doing stands in the jobs table; each of them is "about" the invalidation's number. Every rule over an
invalidation and its jobs is checked under one lock, so that of several who press at once one is the first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.invalidation import (
    AlreadyBegun,
    Altered,
    Asked,
    Figures,
    Guard,
    Invalidation,
    Late,
    OwnApproval,
    Repeated,
    Unapproved,
    Unknown,
)
from dashboard.store.invalidation_row import invalidation_of, new_row, parted, whole, written
from dashboard.store.jobs import Job
from dashboard.store.schema import InvalidationRow, JobRow, TokenRow
from dashboard.store.trail import storable

__all__ = [
    "AlreadyBegun",
    "Altered",
    "Asked",
    "Figures",
    "Guard",
    "Invalidation",
    "Late",
    "OwnApproval",
    "Repeated",
    "Unapproved",
    "Unknown",
    "add_undo",
    "approve",
    "asked_before",
    "begin",
    "drop_old",
    "get",
    "make",
    "make_begun",
    "newest",
    "planned",
    "restate",
    "several",
]

KEPT = 500
"""So many invalidations of each cache are kept, the newest; and all of KEPT_SECONDS, however many there are."""
KEPT_SECONDS = 86400.0

CLOCK_SECONDS = 60.0
"""So far a clock may be set back before nobody knows any more how old a plan is: it counts as too old then."""


def _free(_number: int) -> bool:
    return False


def make(
    store: Store,
    cache: str,
    task: Mapping[str, str],
    kind: str,
    asked: Asked,
    *,
    seconds: float,
    owner: str = "",
    taken: Callable[[int], bool] = _free,
) -> tuple[Invalidation, Job]:
    """A new invalidation, and the job of `kind` that makes its plan.

    seconds: how long the plan will be good. owner: as of jobs.create. taken: whether a number is in use elsewhere: it
    is passed over. Raises Repeated.
    """
    with store.write("invalidations") as session:
        row = _add(session, cache, task, asked, seconds, taken)
        job = _bound(session, row, kind, {"number": row.id, "task": json.loads(row.task)}, asked, owner)
        row.plan_job = job.id
        session.flush()
        return invalidation_of(row), job


def make_begun(
    store: Store,
    cache: str,
    task: Mapping[str, str],
    kind: str,
    asked: Asked,
    *,
    guard: Guard | None = None,
    owner: str = "",
    taken: Callable[[int], bool] = _free,
) -> tuple[Invalidation, Job]:
    """A new invalidation that is carried out without a plan, and the job of `kind` that does it.

    guard, owner: as of begin(). taken: as of make(). Raises Repeated, and what the guard raises.
    """
    with store.write("invalidations") as session:
        row = _add(session, cache, task, asked, 0.0, taken)
        _watch(session, cache, guard)
        job = _bound(session, row, kind, {"number": row.id, "task": json.loads(row.task)}, asked, owner)
        row.run_job = job.id
        session.flush()
        return invalidation_of(row), job


def get(store: Store, number: int) -> Invalidation | None:
    """One invalidation, with all of its task; None where there is none (any more)."""
    with store.read() as session:
        row = session.get(InvalidationRow, number) if 0 < number < 2**63 else None
        if row is None:
            return None
        made = invalidation_of(row)
        return replace(made, task=whole(made.task, row.names)) if "listed" in made.task else made


def asked_before(store: Store, token_id: int, idempotency: str) -> Invalidation | None:
    """What a token has asked for with an idempotency key."""
    with store.read() as session:
        row = _repeated(session, token_id, idempotency)
        return invalidation_of(row) if row else None


def newest(store: Store, cache: str, limit: int = 50, before: int | None = None) -> list[Invalidation]:
    """At most `limit` invalidations of a cache, the newest first; `before` is the last number of the page before."""
    query = select(InvalidationRow).where(InvalidationRow.cache == cache).order_by(InvalidationRow.id.desc())
    if before is not None:
        query = query.where(InvalidationRow.id < min(max(before, 0), 2**63 - 1))
    with store.read() as session:
        return [invalidation_of(row) for row in session.scalars(query.limit(limit))]


def several(store: Store, numbers: Collection[int]) -> dict[int, Invalidation]:
    """Some invalidations by their numbers; those that are not there are left out."""
    with store.read() as session:
        rows = session.scalars(select(InvalidationRow).where(InvalidationRow.id.in_(numbers)))
        return {row.id: invalidation_of(row) for row in rows}


def planned(store: Store, number: int, figures: Figures, needs: str, expires_at: float) -> Invalidation:
    """Write down what a plan said at its end; the first time counts, and nothing changes afterwards. Raises Unknown."""
    values = {
        "planned_at": time.time(),
        "keys": figures.keys,
        "keys_low": figures.keys_low,
        "keys_high": figures.keys_high,
        "memory": figures.memory,
        "needs": storable(needs),
        "expires_at": expires_at,
    }
    with store.write("invalidations") as session:
        first = (InvalidationRow.id == number, InvalidationRow.planned_at.is_(None))
        session.execute(update(InvalidationRow).where(*first).values(**values))
        return invalidation_of(_row(session, number))


def restate(store: Store, number: int, actor: str, task: Mapping[str, str]) -> Invalidation:
    """Say anew how it is to be done, before it is begun.

    Where somebody has to approve it only its planner may, and only before the approval: what is approved stays what it
    is, and nobody approves what is their own. Raises Unknown, AlreadyBegun, Altered.
    """
    with store.write("invalidations") as session:
        row = _row(session, number)
        if row.run_job is not None:
            raise AlreadyBegun(number, row.run_job)
        if row.approved_by:
            raise Altered(f"Plan {number} is approved as it stands.", "Make a new plan to do it in another way.")
        if row.needs and row.actor != storable(actor):
            raise Altered(
                f"Plan {number} waits for approval: only {row.actor}, who made it, says how it is done.",
                "Make a plan of your own to do it in another way.",
            )
        row.task = written(parted(task)[0])
        session.flush()
        return invalidation_of(row)


def approve(store: Store, number: int, actor: str, seen: Mapping[str, str] | None = None) -> Invalidation:
    """Let a plan be carried out that needs it. seen: the task that was looked at; another one is not approved.

    Nobody approves their own, also not what was asked for with a token that they have made. Raises Unknown,
    AlreadyBegun, Late, Altered, OwnApproval.
    """
    now, name = time.time(), storable(actor)
    with store.write("invalidations") as session:
        row = _row(session, number)
        _check_begun(row, now)
        if not row.needs:
            raise Altered(f"Plan {number} needs no approval.")
        if row.approved_by:
            raise Altered(f"Plan {number} is approved already, by {row.approved_by}.")
        made_token = session.get(TokenRow, row.token_id) if row.token_id is not None else None
        if name in (row.actor, made_token.created_by if made_token else row.actor):
            raise OwnApproval("Nobody approves what they have asked for themselves.", "Ask another operator.")
        _require_unaltered(row, seen)
        row.approved_by, row.approved_at = name, now
        session.flush()
        return invalidation_of(row)


def _require_unaltered(row: InvalidationRow, seen: Mapping[str, str] | None) -> None:
    if seen is not None and written(parted(seen)[0]) != row.task:
        raise Altered("How it is to be done was changed while you looked at it.", "Look again, and decide then.")


def begin(
    store: Store,
    number: int,
    kind: str,
    asked: Asked,
    *,
    seen: Mapping[str, str] | None = None,
    most: int | None = None,
    guard: Guard | None = None,
    owner: str = "",
) -> Job:
    """Bind the one job of `kind` that carries a plan out, with the task as it stands now.

    seen: the task as the caller knows it; another one is not carried out. most: keys beyond which an unapproved
    execution stops. owner: as of jobs.create. Raises Unknown, AlreadyBegun, Late, Altered, Unapproved, and what the
    guard raises: of two that begin at the same moment the second is asked about the first.
    """
    with store.write("invalidations") as session:
        row = _row(session, number)
        _check_begun(row, time.time())
        if row.needs and not row.approved_by:
            raise Unapproved(row.needs, "Ask another operator to approve this plan.")
        _require_unaltered(row, seen)
        _watch(session, row.cache, guard)
        given: dict[str, Any] = {"number": number, "task": json.loads(row.task)}
        if most is not None and not row.approved_by:
            given["most"] = most
        job = _bound(session, row, kind, given, asked, owner)
        row.run_job = job.id
        return job


def add_undo(
    store: Store, number: int, kind: str, pattern: str, asked: Asked, *, guard: Guard | None = None, owner: str = ""
) -> Job:
    """A job of `kind` that takes back what an invalidation has done. guard, owner: as of begin().

    Raises Unknown, and what the guard raises.
    """
    with store.write("invalidations") as session:
        row = _row(session, number)
        _watch(session, row.cache, guard)
        given = {"number": number, "task": json.loads(row.task), "pattern": pattern}
        return _bound(session, row, kind, given, asked, owner)


def drop_old(store: Store, keep: Collection[int] = (), kept: int = KEPT, seconds: float = KEPT_SECONDS) -> int:
    """Forget the oldest of each cache, but for the newest `kept`, those of the last `seconds`, those that `keep` names
    (the vault has their keys) and those of which a job is open or stands. How many. Their jobs are forgotten later."""
    place = func.row_number().over(partition_by=InvalidationRow.cache, order_by=InvalidationRow.id.desc())
    ranked = select(InvalidationRow.id, InvalidationRow.created_at, place.label("place")).subquery()
    under_way = select(JobRow.about).where(JobRow.state.in_(("queued", "running", "paused")), JobRow.about.is_not(None))
    over = (ranked.c.place > kept, ranked.c.created_at < time.time() - seconds, ranked.c.id.not_in(under_way))
    with store.write("invalidations") as session:
        old = [number for number in session.scalars(select(ranked.c.id).where(*over)) if number not in keep]
        session.execute(delete(InvalidationRow).where(InvalidationRow.id.in_(old)))
        return len(old)


def _add(
    session: Session, cache: str, task: Mapping[str, str], asked: Asked, seconds: float, taken: Callable[[int], bool]
) -> InvalidationRow:
    if asked.token_id is not None and asked.idempotency is not None:
        before = _repeated(session, asked.token_id, asked.idempotency)
        if before is not None:
            raise Repeated(invalidation_of(before))
    row = new_row(cache, task, asked, seconds)
    session.add(row)
    session.flush()
    while taken(row.id):  # of a database that was lost, or goes on from a copy: a number is never given twice
        session.delete(row)
        session.flush()
        row = new_row(cache, task, asked, seconds)
        session.add(row)
        session.flush()
    return row


def _bound(
    session: Session, row: InvalidationRow, kind: str, given: Mapping[str, Any], asked: Asked, owner: str
) -> Job:
    who = (asked.actor, asked.address, asked.reason)
    return jobs.add(session, row.cache, kind, given, *who, about=row.id, owner=owner)


def _check_begun(row: InvalidationRow, now: float) -> None:
    if row.run_job is not None:
        raise AlreadyBegun(row.id, row.run_job)
    if row.planned_at is None:
        raise Late(f"Plan {row.id} is not ready.", "Wait for its end.")
    if now >= row.expires_at or now < row.planned_at - CLOCK_SECONDS:
        raise Late(f"Plan {row.id} is older than 15 min, and the keys have gone on living.", "Make it again.")


def _watch(session: Session, cache: str, guard: Guard | None) -> None:
    if guard is not None:
        guard.ask(jobs.open_about(session, cache, guard.kinds))


def _repeated(session: Session, token_id: int, idempotency: str) -> InvalidationRow | None:
    mine = (InvalidationRow.token_id == token_id, InvalidationRow.idempotency == storable(idempotency))
    return session.scalar(select(InvalidationRow).where(*mine))


def _row(session: Session, number: int) -> InvalidationRow:
    row = session.get(InvalidationRow, number) if 0 < number < 2**63 else None
    if row is None:
        raise Unknown(number)
    return row
