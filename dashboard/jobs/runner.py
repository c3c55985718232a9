"""Driving one job: its generator is asked for snapshots until it ends, fails, or is to be ended.

A job ends as finished, failed, cancelled or interrupted, never otherwise, or stands as paused, and how far it got stays
as its last snapshot said: nothing here ever makes a progress of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dashboard.cache.errors import CacheError
from dashboard.jobs.kind import HasProgress, Kind, Refused, Work
from dashboard.jobs.results import text_of, told_of
from dashboard.store import audit, jobs
from dashboard.store.audit import JSON, Change
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.jobs import Job, Order, Stopped

SAVE_SECONDS = 0.3  # a snapshot is kept at most so often: the page asks once a second
SAVE_SHARE = 0.2  # and saving takes at most this share of the time, where snapshots are large or the disk is slow
LOOK_SECONDS = 0.25  # how soon a cancellation is noticed
PATIENCE_SECONDS = 2.0  # from a cancellation until a job that only looks is ended without its generator
BEAT_SECONDS = 3.0  # five signs of life within jobs.DEAD_SECONDS
TRIES = 5  # to write down the last snapshot and how a job ended, a second apart, if the database does not answer

STOPPED = "The worker was stopped."
CANCELLED = "Cancelled before its end."
PAUSED = "Paused."
DEFECT = "Cachedeck failed at this."
DEFECT_ADVICE = "The log of the worker says why."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a job ended, or that it stands. `error` and `advice` are sentences, empty for one that is finished."""

    state: Stopped
    error: str = ""
    advice: str = ""

    def raise_unless_finished(self) -> None:
        """For a block that is audited: it fails unless the change was made to its end."""
        if self.state != "finished":
            raise _Unfinished(self)


@dataclass
class Wish:
    """What the process that runs a job itself wants of it, beside what is asked for in the store."""

    order: Literal["go on", "pause", "cancel", "stop"] = "go on"


def run(
    job: Job,
    work: Work,
    kind: Kind,
    owner: str,
    stop: threading.Event,
    *,
    wish: Wish | None = None,
    on_snapshot: Callable[[Any], None] | None = None,
) -> Outcome:
    """Run a job that the worker `owner` has claimed, until its end or `stop`; returns when that is written down.

    `stop`, a pause and a cancellation are heeded whenever the generator yields. A kind that changes nothing may be
    cancelled while it waits for a server that does not answer: what is to be known of it is known already. Raises
    nothing that a kind raises. on_snapshot: is given each snapshot; it must not raise.
    """
    keeper = _Keeper(work.store, job.id, owner, kind, on_snapshot)
    with _Pulse(work.store, job.id, owner, kind) as pulse:
        ending = _Ending(pulse, stop, kind.resumes, wish or Wish())
        outcome = _guarded(job, lambda: _kept(job, work, kind, keeper, ending))
        if pulse.ended_alone:
            return Outcome("cancelled")
        write_down(job, work.store, owner, outcome, stop)
    return outcome


def write_down(job: Job, store: Store, owner: str, outcome: Outcome, stop: threading.Event) -> None:
    """Say how a job ended; tried for a while, unless `stop`. What cannot be written shows as interrupted by and by."""
    for _ in range(TRIES):
        try:
            if not jobs.end(store, job.id, owner, outcome.state, outcome.error, outcome.advice):
                _log.warning("job %d (%s on %s) was taken for dead meanwhile", job.id, job.kind, job.cache)
        except StoreError:
            if stop.wait(1.0):
                return
        else:
            return


def _guarded(job: Job, drive: Callable[[], Outcome]) -> Outcome:
    try:
        return drive()
    except (CacheError, StoreError, Refused) as error:
        return Outcome("failed", error.sentence, error.advice)
    except Exception:  # noqa: BLE001 (whatever a kind raises: it is logged, its job ends as failed, the worker lives)
        _log.exception("job %d (%s on %s) failed", job.id, job.kind, job.cache)
        return Outcome("failed", DEFECT, DEFECT_ADVICE)


def _kept(job: Job, work: Work, kind: Kind, keeper: _Keeper, ending: _Ending) -> Outcome:
    """Whatever the outcome, the last snapshot is readable afterwards."""
    outcome = _audited(job, work, kind, keeper, ending)
    for _ in range(TRIES):
        if keeper.save() or ending.stop.wait(1.0):
            break
    return outcome


def _audited(job: Job, work: Work, kind: Kind, keeper: _Keeper, ending: _Ending) -> Outcome:
    """For a kind that changes the cache: the attempt stands in the audit trail before it begins, or it does not."""
    if not kind.audits:
        return _guarded(job, lambda: _drive(job, work, kind, keeper, ending))
    change = Change(job.actor, job.address, job.cache, kind.audits, kind.subject(job.arguments), reason=job.reason)
    try:
        with audit.record(work.store, change) as attempt:
            outcome = _guarded(job, lambda: _drive(job, work, kind, keeper, ending))
            attempt.done(after=_told(job, kind.after(keeper.last)))
            outcome.raise_unless_finished()
    except _Unfinished as unfinished:
        return unfinished.outcome
    return outcome


def _drive(job: Job, work: Work, kind: Kind, keeper: _Keeper, ending: _Ending) -> Outcome:
    snapshots = kind.start(work, job.arguments)
    try:
        for snapshot in snapshots:
            keeper.take(snapshot)
            outcome = ending.wanted()
            if outcome:
                return outcome
    finally:
        # To cancel a generator is to close it: what it has to put back, it does now.
        close = getattr(snapshots, "close", None)
        if close is not None:
            close()
    return Outcome("finished")


def _told(job: Job, after: JSON) -> JSON:
    return {"job": job.id, **after} if isinstance(after, Mapping) else {"job": job.id}


class _Unfinished(Exception):
    """For the audit trail: the change was not made to its end."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.state)
        self.outcome = outcome
        self.sentence = outcome.error or {"cancelled": CANCELLED, "paused": PAUSED}.get(outcome.state, STOPPED)


class _Keeper:
    """Keeps the last snapshot in the store: the first at once, the others as often as it is worth it."""

    def __init__(
        self, store: Store, job_id: int, owner: str, kind: Kind, on_snapshot: Callable[[Any], None] | None
    ) -> None:
        self._store = store
        self._job_id = job_id
        self._owner = owner
        self._kind = kind
        self._on_snapshot = on_snapshot
        self._saved: HasProgress | None = None
        self._not_before = 0.0
        self.last: Any = None

    def take(self, snapshot: HasProgress) -> None:
        self.last = snapshot
        if self._on_snapshot is not None:
            self._on_snapshot(snapshot)
        if time.monotonic() >= self._not_before:
            self.save()

    def save(self) -> bool:
        """Keep the last snapshot if it is not kept yet; False where the database does not answer."""
        if self.last is None or self.last is self._saved:
            return True
        begun = time.monotonic()
        text, progress = text_of(self._kind, self.last), told_of(self._kind, self.last)
        try:
            jobs.save(self._store, self._job_id, self._owner, progress, text)
            self._saved = self.last
        except StoreError:
            pass  # the log has it, the next one may succeed, and what was found is not lost by it
        ended = time.monotonic()
        self._not_before = max(begun + SAVE_SECONDS, ended + (ended - begun) * (1 / SAVE_SHARE - 1))
        return self._saved is self.last


class _Pulse:
    """Signs of life from a thread of its own, however long the generator takes for a step; and what is asked of us."""

    def __init__(self, store: Store, job_id: int, owner: str, kind: Kind) -> None:
        self._store = store
        self._job_id = job_id
        self._owner = owner
        self._kind = kind
        self._cancelled_at: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"pulse of job {job_id}", daemon=True)
        self.order: Order = "go on"
        self.ended_alone = False

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        beaten = time.monotonic()
        while self.order != "lost" and not self._ended.wait(LOOK_SECONDS):
            due = time.monotonic() - beaten >= BEAT_SECONDS
            ask = jobs.beat if due else jobs.order
            try:
                self.order = ask(self._store, self._job_id, self._owner)
                self._heed()
            except StoreError:
                continue  # the log has it; a database that comes back within DEAD_SECONDS finds us alive
            if due:
                beaten = time.monotonic()

    def _heed(self) -> None:
        """End a cancelled job whose generator does not yield. Not one that changes a cache: how far is it by now?"""
        if self.order != "cancel" or self._kind.changes:
            return
        now = time.monotonic()
        self._cancelled_at = self._cancelled_at or now
        if now - self._cancelled_at >= PATIENCE_SECONDS:
            self.ended_alone = jobs.end(self._store, self._job_id, self._owner, "cancelled")
            self.order = "lost"


@dataclass(frozen=True)
class _Ending:
    """Whether a job is to end before its end, or to stand, and as what."""

    pulse: _Pulse
    stop: threading.Event
    resumes: bool
    wish: Wish

    def wanted(self) -> Outcome | None:
        orders = (self.pulse.order, self.wish.order)
        if self.stop.is_set() or "stop" in orders:
            return Outcome("interrupted", STOPPED)
        if "lost" in orders:
            return Outcome("interrupted", jobs.INTERRUPTED)
        if "cancel" in orders:
            return Outcome("cancelled")
        if "pause" in orders and self.resumes:
            return Outcome("paused")
        return None
