"""Cache-aside: the application looks into the cache, falls back to the database and fills the cache itself.

A writer changes the row first and then removes its entry, together with the lease under which a reader may be about to
fill it (entries.py): so the classic race, in which a slow reader puts back the row as it was before the change, is
closed. What remains is a change of which the cache could not be told; its entry stays until the relay tells of the
change, or its TTL ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.reading import Reader
from dashboard.demo.patterns import Answer, Change, Changed, Load, Rows
from dashboard.demo.patterns.telling import Teller, changed_and_forgotten


class CacheAside:
    """The pattern over one cache. Two round trips for a miss, one for a hit and for a change."""

    def __init__(self, reader: Reader, entries: Entries, rows: Rows) -> None:
        self._reader = reader
        self._teller = Teller(entries)
        self._rows = rows

    def get(self, key: str, load: Load, ttl: float) -> Answer:
        return self._reader.get(key, load, ttl, outdated=self._teller.owes(key))

    def update(self, change: Change, ttl: float) -> Changed:  # noqa: ARG002 - nothing is put into the cache
        return changed_and_forgotten(self._rows, self._teller, change)

    def forget(self, keys: Sequence[str]) -> bool:
        return self._teller.forget(keys)
