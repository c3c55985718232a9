"""Write-through: whoever changes a row puts its new document into the cache as well, so that the next reader hits.

The database comes first: where it fails nothing has happened. Then the writer takes the lease away from whoever has it
(what that reader is loading may be older than the change), reads the document anew and fills. Its own document may be
late, too: a writer that came after it has taken the lease in turn, and is the one that fills.

When the cache write fails, this is decided: the change stands, `told` says that the cache does not know, and nothing is
raised. If the cache answers at all it is told to forget the entry instead. If it does not, the old entry is served by
whoever can still reach it, until the relay, which has the change from the database, tells of it, or the TTL ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dashboard.demo.caching.entries import Entries, new_token
from dashboard.demo.caching.reading import Reader
from dashboard.demo.caching.remote import CacheTrouble
from dashboard.demo.patterns import Answer, Change, Changed, Load, Rows
from dashboard.demo.patterns.telling import Teller


class WriteThrough:
    """The pattern over one cache. Two round trips for a change, beside the database's; reads as with cache-aside."""

    def __init__(self, reader: Reader, entries: Entries, rows: Rows) -> None:
        self._reader = reader
        self._entries = entries
        self._teller = Teller(entries)
        self._rows = rows

    def get(self, key: str, load: Load, ttl: float) -> Answer:
        return self._reader.get(key, load, ttl, outdated=self._teller.owes(key))

    def update(self, change: Change, ttl: float) -> Changed:
        version = self._rows.change(change.kind, change.row, change.values)
        if version is None:
            return Changed(None)
        told = False
        try:
            told = self._put(change, ttl)
        finally:  # also where the load has failed: the row has changed all the same
            told = told or self._teller.outdate(change.key, version)
        return Changed(version, told=told)

    def forget(self, keys: Sequence[str]) -> bool:
        return self._teller.forget(keys)

    def _put(self, change: Change, ttl: float) -> bool:
        """Put the document as it is now; False where the cache did not take it."""
        token = new_token()
        try:
            self._entries.claim(change.key, token)
        except CacheTrouble:
            return False
        started = time.perf_counter()
        document = change.load()
        took = time.perf_counter() - started
        try:
            return self._entries.fill(change.key, token, document, self._reader.life(document, ttl), took)
        except CacheTrouble:
            return False
