"""Writes what is queued to the database: every 500 ms, in batches, of each row only the newest change (write-behind).

A change leaves the queue after the database has committed it, so one that a flusher's death interrupts is written
again by the next. That is harmless: a row takes only versions above its own. For the same reason several flushers may
run at once. Whatever else happens, no change goes lost: it is in the queue, in the database or among the dead letters.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import sqlalchemy.exc as sa

from dashboard.demo.caching.queue import CLAIM_AFTER_SECONDS, Queue, QueuedChange, Unreadable
from dashboard.demo.caching.remote import CacheTrouble, Refused, Remote
from dashboard.demo.counters import Counters
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.sql.rows import JUMP, Applied, BadRow, Rows

FLUSH_SECONDS = 0.5
LONGEST_REST_SECONDS = 8.0  # while cache or database is away
DRAIN_PAUSE_SECONDS = 0.05
MOST_FAILURES = 5  # of one change, for a reason that is neither its own nor the database's being away
OVERTAKEN_BY = JUMP // 2
"""A row whose version is so far above that of its queued change was changed past the queue: a full queue of changes of
one row does not come so far (patterns/write_behind.py)."""

_AWAY = (sa.OperationalError, sa.InterfaceError, sa.InternalError, sa.TimeoutError)  # internal: read-only for now
_REFUSED = (sa.IntegrityError, sa.DataError, BadRow)

T = TypeVar("T")
log = logging.getLogger("dashboard.demo")


class DatabaseAway(Exception):
    """It does not answer, or not now: locked, shutting down, too many connections."""


class Flusher:
    """One a process. `start` begins a thread, which ends with `close`.

    A `consumer` that has the same name after a restart goes on at once with what it had not finished; what another had
    is taken over after `claim_after` seconds.
    """

    def __init__(
        self,
        remote: Remote,
        keys: Keyspace,
        rows: Rows,
        counters: Counters,
        *,
        consumer: str | None = None,
        claim_after: float = CLAIM_AFTER_SECONDS,
    ) -> None:
        self._queue = Queue(remote, keys, claim_after)
        self._rows = rows
        self._counters = counters
        self._consumer = consumer or f"{socket.gethostname()}-{os.getpid()}"
        self._failures: Counter[bytes] = Counter()
        self._turn = threading.Lock()  # the thread's or a drain's
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the change that it is at. What is queued stays queued, and nothing is drained later."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(CacheTrouble):
            self._queue.leave(self._consumer)

    def drain(self, seconds: float) -> int:
        """Write what is queued, for so many seconds at most; how many changes are left. With the cache away nobody
        knows how many there are: 1 at least. Works without the thread, too."""
        deadline = time.monotonic() + seconds
        while True:
            left = self._left(deadline)
            if left == 0 or time.monotonic() >= deadline:
                return left
            time.sleep(DRAIN_PAUSE_SECONDS)

    def _left(self, deadline: float) -> int:
        if self._turn.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            try:
                self._flush()
            except (CacheTrouble, DatabaseAway):
                log.debug("not drained yet", exc_info=True)
            finally:
                self._turn.release()
        try:
            return self._queue.length()
        except CacheTrouble:
            return 1

    def _run(self) -> None:
        rest = FLUSH_SECONDS
        while not self._stop.wait(rest):
            try:
                with self._turn:
                    self._flush()
            except (CacheTrouble, DatabaseAway) as error:
                if rest == FLUSH_SECONDS:
                    log.warning("changes wait in the queue (%s)", error)
                rest = min(rest * 2, LONGEST_REST_SECONDS)
            except Exception:  # the thread must live, whatever it is
                log.exception("changes wait in the queue")
                rest = LONGEST_REST_SECONDS
            else:
                rest = FLUSH_SECONDS

    def _flush(self) -> None:
        """All that waits. Raises CacheTrouble and DatabaseAway, and what it had not finished comes again."""
        for batch in self._queue.batches(self._consumer):
            by_row: dict[tuple[str, int | str], list[QueuedChange]] = {}
            for entry in batch:
                if isinstance(entry, Unreadable):
                    self._bury(entry, "this is not a change of a row")
                else:
                    by_row.setdefault((entry.kind, entry.row), []).append(entry)
            for changes in by_row.values():
                if self._stop.is_set():
                    return
                self._write(sorted(changes, key=lambda change: change.version, reverse=True))

    def _write(self, changes: list[QueuedChange]) -> None:
        """Changes of one row, the newest first: the first that the database takes replaces those behind it."""
        for place, change in enumerate(changes):
            try:
                version = self._written(change)
            except _Dead as dead:
                self._bury(change, str(dead))
            except _Failed:
                return
            else:
                self._queue.settle(change.key, version, [one.id for one in changes[place:]])
                self._failures.pop(change.id, None)
                self._counters.count("flushed")
                self._counters.count("coalesced", len(changes) - place - 1)
                return

    def _written(self, change: QueuedChange) -> int:
        """The version under which the database has it. Raises DatabaseAway, _Failed (not this time), _Dead (never)."""
        applied = self._apply(change, change.version)
        if applied == "missing":
            raise _Dead("there is no such row")
        if applied == "applied":
            return change.version
        # The row has this version or one above: by this change, by one that replaces it, or by somebody else's.
        name = (change.kind, change.row)
        there = self._asked(change, lambda: self._rows.versions([name])).get(name, 0)
        if there - change.version >= OVERTAKEN_BY:
            raise _Dead("the row was changed past the queue meanwhile")
        if not self._queue.is_newest(change):
            return change.version
        # No later one was queued, so it may be somebody else's: write this one, or write it again, above it.
        if self._apply(change, there + 1) != "applied":
            raise _Failed
        return there + 1

    def _apply(self, change: QueuedChange, version: int) -> Applied:
        return self._asked(change, lambda: self._rows.apply(change.kind, change.row, change.values, version))

    def _asked(self, change: QueuedChange, question: Callable[[], T]) -> T:
        """What the database answers, or why it does not."""
        try:
            return question()
        except _REFUSED as error:
            raise _Dead(f"the database refuses it: {_in_short(error)}") from error
        except _AWAY as error:
            raise DatabaseAway(_in_short(error)) from error
        except Exception as error:
            self._failures[change.id] += 1
            if self._failures[change.id] >= MOST_FAILURES:
                raise _Dead(f"it failed {MOST_FAILURES} times: {_in_short(error)}") from error
            log.warning("a queued change is tried again", exc_info=error)
            raise _Failed from error

    def _bury(self, dead: QueuedChange | Unreadable, reason: str) -> None:
        try:
            if self._queue.bury(dead, reason):
                self._counters.count("dead")
                log.warning("a dead letter: %s", reason)
        except Refused:  # out of memory: it stays in the queue, and those behind it go on
            log.warning("no dead letter could be kept: %s", reason)
        else:
            self._failures.pop(dead.id, None)


class _Failed(Exception):
    """This change was not written now, for a reason that may pass."""


class _Dead(Exception):
    """This change will never be written. Says why."""


def _in_short(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {cause}"[:200]
