"""Stale-while-revalidate: an entry past its time is still served for a grace, while one thread reads it anew.

The entry lies in the cache for its TTL and the grace, GRACE_SHARE of the TTL; in the grace it is stale. Nobody waits
for a load then, and the answer may be out of date by the grace, unless the row's change removed the entry. (RFC 5861
says the same for HTTP.) Where nothing lies in the cache there is nothing to serve, and it is done as with the mutex.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Executor, ThreadPoolExecutor

from dashboard.demo.caching.entries import Look
from dashboard.demo.caching.reading import Read
from dashboard.demo.patterns import Answer
from dashboard.demo.prevention.mutex import Mutex

GRACE_SHARE = 0.25
THREADS = 4
MOST_UNDER_WAY = 64  # refreshes, also those that wait for a thread; with more, readers leave it to later ones

log = logging.getLogger("dashboard.demo")


class Revalidate:
    """Refreshes in a `pool` of its own, whose threads are made when they are first needed; `close` ends them."""

    def __init__(self, mutex: Mutex | None = None, pool: Executor | None = None) -> None:
        self._mutex = mutex or Mutex()
        self._pool = pool or ThreadPoolExecutor(THREADS, thread_name_prefix="revalidate")
        self._room = threading.BoundedSemaphore(MOST_UNDER_WAY)

    def read(self, read: Read) -> Answer:
        look = read.look(remaining=True)
        if not look.found:
            return self._mutex.answer(read, look)
        if look.remaining > GRACE_SHARE * read.ttl_of(look.document):
            return read.hit(look)
        self._revalidate(read, look)
        return read.hit(look, "stale")

    def life(self, ttl: float) -> float:
        return ttl * (1 + GRACE_SHARE)

    def close(self) -> None:
        """What is not begun is left; the lease of each ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _revalidate(self, read: Read, look: Look) -> None:
        if not self._room.acquire(blocking=False):
            return
        taken = read.take(look)
        if taken is None:
            self._room.release()
            return
        read.count("background_refreshes")
        self._pool.submit(self._refresh, read, taken).add_done_callback(lambda _done: self._room.release())

    def _refresh(self, read: Read, taken: Look) -> None:
        try:
            read.load(taken)
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and the stale entry is there
            log.warning("a stale entry could not be read anew (%s)", type(error).__name__)
