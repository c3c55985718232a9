"""Carrying out schedules: a thread of the worker that looks each second what is due, plans it and executes the plan.

A scheduled invalidation goes the way of every other one (invalidating.py), in the name of who made the schedule: it is
planned, judged, approved where that is asked for, and audited. Any number of workers may look at the same schedules.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from dashboard.cache.errors import CacheError
from dashboard.cache.invalidation.mode import BadMode
from dashboard.cache.invalidation.task import BadTell, task_from_query
from dashboard.cache.selecting.selection import BadSelection
from dashboard.cache.servers.connect import Cache
from dashboard.jobs import cron, invalidating
from dashboard.jobs.cron import BadCron
from dashboard.jobs.invalidating import AlreadyRun, Caller, NeedsApproval, NothingToDo, Refused, Standing
from dashboard.jobs.watching import Watching
from dashboard.settings import Settings
from dashboard.store import schedules
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.schedules import Schedule

LATE_SECONDS = 3600.0
"""What is later than this is not done any more: whoever asked for it at three in the night counts on the night."""
TAKEN_SECONDS = 60.0
"""What somebody took so long ago without making a plan is planned by whoever sees that: a worker was killed then."""
NOTHING = "There was no such key, so nothing was done."

_log = logging.getLogger(__name__)


class Scheduler:
    """Looks after the schedules of some caches until it is told to stop. `start` and `stop` once each."""

    def __init__(self, store: Store, caches: Mapping[str, Cache], settings: Settings) -> None:
        self._store = store
        self._caches = caches
        self._settings = settings
        self._settled: dict[int, float | None] = {}
        self._watching = Watching("scheduler", self.look)

    def start(self) -> None:
        self._watching.start()

    def stop(self, seconds: float) -> bool:
        """Ask it to end, and wait so long: it waits for no cache, only for the store. Whether it did."""
        return self._watching.stop(seconds)

    def look(self, now: float) -> None:
        """Take what is due at `now`, and carry out what has been planned meanwhile. Raises StoreUnavailable."""
        for schedule in schedules.ahead(self._store, self._caches.keys(), now + LATE_SECONDS):
            self._guarded(self._set_right, schedule, now)
        for schedule in schedules.due(self._store, self._caches.keys(), now):
            self._guarded(self._take, schedule, now)
        for schedule in schedules.unsettled(self._store, self._caches.keys(), now):
            if self._settled.get(schedule.id, 0.0) != schedule.last_at:
                self._guarded(self._go_on, schedule, now)

    def _guarded(self, step: Callable[[Schedule, float], None], schedule: Schedule, now: float) -> None:
        """One step of one schedule, in which no defect of ours holds up the others."""
        try:
            step(schedule, now)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 (it is logged, and the schedule says that it was not done)
            _log.exception("schedule %d cannot be carried out", schedule.id)
            as_it_is = schedules.get(self._store, schedule.id) or schedule  # it may have been taken in this step
            self._give_up(as_it_is, "Something is wrong inside Cachedeck; the worker's log says what.")

    def _set_right(self, schedule: Schedule, now: float) -> None:
        """A clock that ran far ahead has put off what comes next, for years perhaps."""
        try:
            next_at = cron.next_after(schedule.cron, now)
        except BadCron:
            return  # it is said when it is due
        if schedules.set_right(self._store, schedule, now, next_at):
            _log.warning("Schedule %d on %s was taken by a clock that ran ahead.", schedule.id, schedule.cache)

    def _take(self, schedule: Schedule, now: float) -> None:
        was_due = schedule.next_at or now
        try:
            next_at = cron.next_after(schedule.cron, now) if schedule.cron else None
        except BadCron as error:
            schedules.take(self._store, schedule, now, None, str(error))
            return
        missed = ""
        if now - was_due > LATE_SECONDS:
            due_at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(was_due))
            missed = f"Not done: it was due at {due_at}, and no worker ran until more than an hour later."
        if schedules.take(self._store, schedule, now, next_at, missed):
            _log.info("Schedule %d on %s is due. %s", schedule.id, schedule.cache, missed)
            taken = schedules.get(self._store, schedule.id)
            if taken is not None and taken.last_at == now and not missed:
                self._plan(taken)

    def _plan(self, schedule: Schedule) -> None:
        try:
            task = task_from_query(schedule.task)
            made, _job = invalidating.make_plan(
                self._store,
                self._settings,
                self._caches[schedule.cache],
                task,
                _caller(schedule),
                schedule.reason,
            )
        except (BadSelection, BadMode, BadTell) as error:
            self._give_up(schedule, f"Another version of Cachedeck made this schedule: {error}")
        except (Refused, CacheError) as error:
            self._give_up(schedule, error.sentence)
        else:
            schedules.planned(self._store, schedule, made.number)

    def _go_on(self, schedule: Schedule, now: float) -> None:
        if schedule.last_invalidation is None:
            self._plan_after_all(schedule, now)
            return
        try:
            standing = invalidating.current(self._store, self._settings, schedule.last_invalidation)
        except Refused as error:
            self._give_up(schedule, error.sentence)
            return
        if standing is None or standing.run_job is not None:
            self._settled[schedule.id] = schedule.last_at
        elif not schedule.enabled:
            self._give_up(schedule, f"It was disabled before plan {standing.invalidation.number} was carried out.")
        elif standing.state == "planned":
            self._execute(schedule, standing)
        elif standing.state == "interrupted" and _age(schedule, now) <= LATE_SECONDS:
            self._plan(schedule)  # the worker was stopped while it counted: the same once more
        elif standing.state not in ("planning", "waits for approval"):
            self._give_up(schedule, _why_not(standing))

    def _plan_after_all(self, schedule: Schedule, now: float) -> None:
        """What was taken and not planned: by somebody who is at it, or was stopped before."""
        if not schedule.enabled:
            self._give_up(schedule, "It was disabled before it was planned.")
        elif _age(schedule, now) > LATE_SECONDS:
            self._give_up(schedule, "The worker was stopped before it was planned, and now it is too late for it.")
        elif _age(schedule, now) > TAKEN_SECONDS:
            self._plan(schedule)

    def _execute(self, schedule: Schedule, standing: Standing) -> None:
        cache, number = self._caches[schedule.cache], standing.invalidation.number
        try:
            invalidating.execute(self._store, self._settings, cache, number, _caller(schedule))
        except NeedsApproval:
            return  # it says so on its page, and we look again
        except AlreadyRun:
            self._settled[schedule.id] = schedule.last_at
        except NothingToDo:
            self._give_up(schedule, NOTHING)
        except (Refused, CacheError) as error:
            self._give_up(schedule, error.sentence)
        else:
            _log.info("Schedule %d on %s: plan %d is carried out.", schedule.id, schedule.cache, number)
            self._settled[schedule.id] = schedule.last_at

    def _give_up(self, schedule: Schedule, sentence: str) -> None:
        if schedules.give_up(self._store, schedule, sentence) and sentence != NOTHING:
            _log.warning("Schedule %d on %s: %s", schedule.id, schedule.cache, sentence)


def _age(schedule: Schedule, now: float) -> float:
    """Seconds since it was taken."""
    return now - (schedule.last_at or now)


def _caller(schedule: Schedule) -> Caller:
    return Caller(schedule.actor, f"schedule {schedule.id}", "schedule")


def _why_not(standing: Standing) -> str:
    made = standing.invalidation
    if standing.state == "expired" and made.needs and not made.approved_by:
        return f"Nobody approved plan {made.number} within 15 min. {made.needs}"
    if standing.state == "expired":
        return f"Plan {made.number} was not carried out within 15 min: no worker ran meanwhile."
    if standing.state == "cancelled":
        return f"Somebody cancelled plan {made.number}."
    return standing.obstacle or f"Plan {made.number} did not come to its end."
