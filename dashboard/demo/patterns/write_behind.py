"""Write-behind: a change is done when the cache server has it in its queue; the database gets it within a second.

Writers do not wait for the database, and ten changes of one row within half a second cost it one. The price: until the
queue is written the cache server is the only one that knows the change. It is as durable there as that server's
append-only file is (`appendfsync`), and it must not be evicted: queue.Queue.warning says where it may be, and
docs/patterns.md how much was lost when it was tried.

One script takes a change into the queue, remembers it as the row's `pending` one and puts the changed document under
the key, so whoever reads after the acknowledgement sees it. Where the entry is evicted, expires or is invalidated, the
row is loaded and the pending change laid over it. The flusher (flusher.py) writes to the database.

Where the queue cannot be reached, is full or is refused (out of memory), the change goes to the database at once, with
a version that is above all that the queue may still hold of the row. Before this process queues anything again it tells
the cache of that. Where another process queues a change of the row in between, on top of what it cannot know to be old,
the queued one becomes a dead letter: nothing is lost in silence.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from dashboard.demo.caching.entries import Entries, new_token
from dashboard.demo.caching.lua import lua
from dashboard.demo.caching.reading import Reader, overlaid
from dashboard.demo.caching.remote import CacheTrouble, Remote
from dashboard.demo.counters import Counters
from dashboard.demo.encoding import Document, encode
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.patterns import Answer, Change, Changed, Load
from dashboard.demo.patterns.telling import Teller
from dashboard.demo.sql.rows import JUMP, Rows

MOST_QUEUED = 100_000  # changes; beyond it the database is asked to take them itself
VERSION_STEP = JUMP // (2 * MOST_QUEUED)
"""By how much a queued change raises its row's version. It thereby outranks what others do to the row before it is
written (a new post of a user counts as well), and a full queue stays below the jump of a change past the queue."""
ATTEMPTS = 10  # only where the entry is lost again and again between two commands

_FULL = -1


class WriteBehind:
    """The pattern over one cache. A change costs two round trips where its entry is there and nobody else fills it."""

    def __init__(
        self, reader: Reader, entries: Entries, remote: Remote, keys: Keyspace, rows: Rows, counters: Counters
    ) -> None:
        self._reader = reader
        self._entries = entries
        self._keys = keys
        self._rows = rows
        self._counters = counters
        self._enqueue = remote.script(lua("enqueue"))
        self._teller = Teller(entries)

    def get(self, key: str, load: Load, ttl: float) -> Answer:
        return self._reader.get(key, load, ttl, pending=True, outdated=self._teller.owes(key))

    def update(self, change: Change, ttl: float) -> Changed:
        """Acknowledged when the change is queued. `ttl` in seconds, of the changed entry."""
        try:
            for _ in range(ATTEMPTS if self._teller.catch_up() else 0):
                version = self._queued(change, ttl)
                if version is None:
                    return Changed(None)
                if version == _FULL:
                    break
                if version > 0:
                    return Changed(version, queued=True)
        except CacheTrouble:
            pass  # whether it was queued or not: the version that the database gets is above it
        return self._past_the_queue(change)

    def forget(self, keys: Sequence[str]) -> bool:
        return self._teller.forget(keys)

    def _queued(self, change: Change, ttl: float) -> int | None:
        """The version of the queued change; None where there is no such row, 0 to try again, _FULL for no room."""
        token, seen, took = new_token(), None, 0.0
        try:
            seen, took = self._seen(change, token)
        finally:
            if seen is None:
                self._entries.release(change.key, token)
        if seen is None:
            return None
        version = int(seen["version"])
        changed = {**seen, **change.values, "version": version + VERSION_STEP}
        names = (self._keys.writes, self._keys.pending(change.key), change.key, self._keys.lease(change.key))
        row, values = json.dumps(change.row), json.dumps(dict(change.values), ensure_ascii=False)
        life_ms, took_ms = round(self._reader.life(changed, ttl) * 1000), round(took * 1000, 3)
        told = (version, token, VERSION_STEP, MOST_QUEUED, change.kind, row, values, encode(changed), life_ms, took_ms)
        return int(self._enqueue(names, told))

    def _seen(self, change: Change, token: str) -> tuple[Document | None, float]:
        """The row as it is with what is queued of it, seen under the lease, and the seconds that its load took.

        Whoever changes the row otherwise ends the lease, and what was seen is not put back then.
        """
        look = self._entries.take(change.key, token, pending=True)
        if not look.leased:
            self._entries.claim(change.key, token)
            look = self._entries.look(change.key, pending=True)
        if look.found:
            return overlaid(look.document, look.pending), look.took
        started = time.perf_counter()
        return overlaid(change.load(), look.pending), time.perf_counter() - started

    def _past_the_queue(self, change: Change) -> Changed:
        version = self._rows.jump(change.kind, change.row, change.values)
        if version is None:
            return Changed(None)
        self._counters.count("past_the_queue")
        return Changed(version, told=self._teller.outdate(change.key, version))
