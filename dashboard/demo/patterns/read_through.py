"""Read-through: the application asks the cache and knows nothing else; the cache knows where its documents come from.

So loading is in one place. There this pattern also does what no server can: of all threads of this process that want
the same document loaded, one loads it and the others share what it brings (flights.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.flights import Flights
from dashboard.demo.caching.reading import Reader
from dashboard.demo.patterns import Answer, Change, Changed, Load, Rows
from dashboard.demo.patterns.telling import Teller, changed_and_forgotten

Sources = Callable[[str], tuple[Load, float]]
"""From a key to what loads its document and to its TTL in seconds."""


class ReadThrough:
    """The pattern over one cache, which is told its `sources` once. A change goes to the database and has the entry
    forgotten, as with cache-aside."""

    def __init__(self, reader: Reader, entries: Entries, rows: Rows, sources: Sources) -> None:
        self._reader = reader
        self._teller = Teller(entries)
        self._rows = rows
        self._sources = sources
        self._flights = Flights()

    def read(self, key: str) -> Answer:
        """The document under `key`, from wherever."""
        load, ttl = self._sources(key)
        return self._reader.get(key, load, ttl, share=self._flights.share, outdated=self._teller.owes(key))

    def get(self, key: str, load: Load, ttl: float) -> Answer:  # noqa: ARG002
        """`read`, for callers to whom all patterns are the same: it has its own way to load, and its own TTLs."""
        return self.read(key)

    def update(self, change: Change, ttl: float) -> Changed:  # noqa: ARG002 - nothing is put into the cache
        return changed_and_forgotten(self._rows, self._teller, change)

    def forget(self, keys: Sequence[str]) -> bool:
        return self._teller.forget(keys)
