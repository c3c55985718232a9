"""Schedules in the store: invalidations that are carried out later, once or again and again.

    due ----> taken ----> planned, as invalidation N ----> carried out, or given up with a sentence

Of several workers one takes what is due: each step is an update that wants the row to be as it was seen. Who takes it
and is killed loses nothing either: what was taken and has no invalidation yet shows as such (`taken`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, Update, delete, func, select, update

from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.schema import ScheduleRow
from dashboard.store.trail import storable

MOST = 100
"""Schedules of one cache: their list is one page, and each is looked at every second that it is due."""

WATCHED_SECONDS = 2 * 86400.0
"""So long after it was taken a schedule's plan is looked after: a plan of any size has ended or failed by then."""


@dataclass(frozen=True)
class Schedule:
    """One schedule as it is now. Times are seconds since the epoch.

    task: Task.to_query(). cron: an expression in UTC, "" where it is done once. next_at: when it is done next, None
    where nothing is to come. last_at: when it was taken last. last_invalidation: the number of what came of that, None
    before there is one. last_error: why nothing came of it, a sentence.
    """

    id: int
    cache: str
    task: Mapping[str, str]
    cron: str
    enabled: bool
    actor: str
    address: str
    reason: str
    created_at: float
    next_at: float | None
    last_at: float | None
    last_invalidation: int | None
    last_error: str

    @property
    def over(self) -> bool:
        """Whether it was to be done once, and that was."""
        return not self.cron and self.next_at is None


@dataclass(frozen=True)
class Draft:
    """What an operator asks for. Whether it makes sense is checked where it comes in."""

    cache: str
    task: Mapping[str, str]
    cron: str
    next_at: float
    actor: str
    address: str
    reason: str


class UnknownSchedule(StoreError):
    """No schedule has this id (any more)."""


class TooManySchedules(StoreError):
    """The cache has MOST schedules."""


def create(store: Store, draft: Draft) -> Schedule:
    """Add a schedule, enabled. Raises TooManySchedules, StoreUnavailable."""
    row = ScheduleRow(
        cache=draft.cache,
        task=json.dumps(dict(draft.task)),
        cron=draft.cron,
        enabled=True,
        actor=storable(draft.actor),
        address=storable(draft.address),
        reason=storable(draft.reason),
        created_at=time.time(),
        next_at=draft.next_at,
        last_error="",
    )
    with store.write("invalidations") as session:
        count = select(func.count()).select_from(ScheduleRow).where(ScheduleRow.cache == draft.cache)
        if (session.scalar(count) or 0) >= MOST:
            raise TooManySchedules(f"A cache has at most {MOST} schedules.", "Remove those that are over.")
        session.add(row)
        session.flush()
        return _schedule(row)


def get(store: Store, schedule_id: int) -> Schedule | None:
    """One schedule. Raises StoreUnavailable."""
    if not 0 < schedule_id < 2**31:
        return None
    with store.read() as session:
        row = session.get(ScheduleRow, schedule_id)
        return _schedule(row) if row else None


def of_cache(store: Store, cache: str) -> list[Schedule]:
    """A cache's schedules: what comes next first, then those that are off or over, newest first."""
    with store.read() as session:
        found = [_schedule(row) for row in session.scalars(select(ScheduleRow).where(ScheduleRow.cache == cache))]
    to_come = sorted((one for one in found if one.enabled and one.next_at), key=lambda one: (one.next_at or 0, one.id))
    return to_come + sorted((one for one in found if one not in to_come), key=lambda one: -one.id)


def enable(store: Store, schedule_id: int, next_at: float) -> Schedule:
    """Let it be carried out from now on, next at `next_at`. Raises UnknownSchedule."""
    return _switch(store, schedule_id, True, next_at)


def disable(store: Store, schedule_id: int) -> Schedule:
    """Let it rest: what was planned for it already is not carried out either. Raises UnknownSchedule."""
    return _switch(store, schedule_id, False)


def remove(store: Store, schedule_id: int) -> Schedule:
    """Take a schedule away; what it was. Raises UnknownSchedule."""
    with store.write() as session:
        row = session.get(ScheduleRow, schedule_id) if 0 < schedule_id < 2**31 else None
        if row is None:
            raise _unknown()
        schedule = _schedule(row)
        session.execute(delete(ScheduleRow).where(ScheduleRow.id == schedule_id))
        return schedule


def due(store: Store, caches: Collection[str], now: float) -> list[Schedule]:
    """What is to be taken now, the longest due first, on these caches. Raises StoreUnavailable."""
    query = select(ScheduleRow).where(
        ScheduleRow.enabled.is_(True), ScheduleRow.next_at <= now, ScheduleRow.cache.in_(list(caches))
    )
    with store.read() as session:
        return [_schedule(row) for row in session.scalars(query.order_by(ScheduleRow.next_at, ScheduleRow.id))]


def unsettled(store: Store, caches: Collection[str], now: float) -> list[Schedule]:
    """What was taken and not given up, and may still be waiting for its plan, of disabled ones too."""
    query = select(ScheduleRow).where(
        ScheduleRow.last_at > now - WATCHED_SECONDS,
        ScheduleRow.last_error == "",
        ScheduleRow.cache.in_(list(caches)),
    )
    with store.read() as session:
        return [_schedule(row) for row in session.scalars(query.order_by(ScheduleRow.id))]


def ahead(store: Store, caches: Collection[str], after: float) -> list[Schedule]:
    """Repeated ones that were taken later than `after`, which is in the future: the clock was wrong then. What comes
    next was reckoned by it. Raises StoreUnavailable."""
    query = select(ScheduleRow).where(
        ScheduleRow.enabled.is_(True),
        ScheduleRow.cron != "",
        ScheduleRow.last_at > after,
        ScheduleRow.cache.in_(list(caches)),
    )
    with store.read() as session:
        return [_schedule(row) for row in session.scalars(query.order_by(ScheduleRow.id))]


def set_right(store: Store, schedule: Schedule, now: float, next_at: float) -> bool:
    """Count from `now`, by a clock that is right again; False where somebody else did, or it was changed."""
    return _update(
        store,
        update(ScheduleRow)
        .where(ScheduleRow.id == schedule.id, ScheduleRow.last_at == schedule.last_at)
        .values(next_at=next_at, last_at=now),
    )


def take(store: Store, schedule: Schedule, now: float, next_at: float | None, error: str = "") -> bool:
    """Take what is due; False where somebody else did, or it was changed. `error`: it is given up at once, and why."""
    return _update(
        store,
        update(ScheduleRow)
        .where(ScheduleRow.id == schedule.id, ScheduleRow.enabled.is_(True), ScheduleRow.next_at == schedule.next_at)
        .values(next_at=next_at, last_at=now, last_invalidation=None, last_error=error),
    )


def planned(store: Store, schedule: Schedule, number: int) -> bool:
    """Write down which invalidation came of it; False where it was changed, disabled or planned by another since.

    `schedule`: as it is after take(); where it names an invalidation, this one takes that one's place.
    """
    before = schedule.last_invalidation
    is_before = ScheduleRow.last_invalidation.is_(None) if before is None else ScheduleRow.last_invalidation == before
    mine = _taken(schedule).where(ScheduleRow.enabled.is_(True), is_before)
    return _update(store, mine.values(last_invalidation=number))


def give_up(store: Store, schedule: Schedule, error: str) -> bool:
    """Write down why nothing comes of it this time; False where it was changed since."""
    return _update(store, _taken(schedule).values(last_error=storable(error)))


def _taken(schedule: Schedule) -> Update:
    return update(ScheduleRow).where(
        ScheduleRow.id == schedule.id,
        ScheduleRow.last_at == schedule.last_at,
        ScheduleRow.last_error == "",
    )


def _update(store: Store, statement: Update) -> bool:
    with store.write() as session:
        return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def _switch(store: Store, schedule_id: int, enabled: bool, next_at: float | None = None) -> Schedule:
    with store.write() as session:
        row = session.get(ScheduleRow, schedule_id) if 0 < schedule_id < 2**31 else None
        if row is None:
            raise _unknown()
        row.enabled = enabled
        if next_at is not None:
            row.next_at = next_at
        return _schedule(row)


def _unknown() -> UnknownSchedule:
    return UnknownSchedule("There is no such schedule (any more).")


def _schedule(row: ScheduleRow) -> Schedule:
    task: Any = json.loads(row.task)
    return Schedule(
        id=row.id,
        cache=row.cache,
        task=task,
        cron=row.cron,
        enabled=row.enabled,
        actor=row.actor,
        address=row.address,
        reason=row.reason,
        created_at=row.created_at,
        next_at=row.next_at,
        last_at=row.last_at,
        last_invalidation=row.last_invalidation,
        last_error=row.last_error,
    )
