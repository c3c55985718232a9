"""What a process of the shop counts about its cache, since it started."""

from __future__ import annotations

import threading
from collections import Counter

NAMES = (
    "hits",  # answers from the cache
    "misses",  # answers from the database, because nothing lay in the cache
    "stale",  # answers from the cache past their time, while somebody reads them anew
    "copies",  # answers from the copies of this process
    "bypasses",  # answers from the database, because the cache is away or refuses
    "loads",  # documents read from the database, for whatever reason
    "duplicate_loads",  # of these, on a miss while somebody else was reading the same
    "early_refreshes",  # of these, before the entry's time was over (XFetch)
    "background_refreshes",  # of these, while the stale entry was served
    "waited",  # readers that waited for somebody else's load
    "gave_up",  # of these, in vain
    "foreign",  # values under an expected key that are not the shop's, or damaged
    "refused_fills",  # documents that the cache did not take, because they may have been out of date
    "queries",  # of the database
    "told",  # messages about what is out of date, published
    "heard",  # the same, heard
    "acks",  # acknowledgements of what was told
    "ack_ms_total",  # milliseconds from the publishing to each acknowledgement, summed
    "relayed",  # events of the database that the cache was told of
    "flushed",  # queued changes that the database has got (write-behind)
    "coalesced",  # queued changes that a later one of the same row made needless
    "past_the_queue",  # changes that went to the database at once, as the queue did not take them (write-behind)
    "dead",  # queued changes that the database refused
    "breaker_opened",  # times that the cache was given up for a while
)


class Counters:
    """Sums by name. Thread-safe. Any name may be counted; those of NAMES are there from the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Counter[str] = Counter(dict.fromkeys(NAMES, 0))

    def count(self, name: str, n: float = 1) -> None:
        with self._lock:
            self._sums[name] += n  # type: ignore[assignment]

    def to_plain(self) -> dict[str, int | float]:
        """All sums, at one moment."""
        with self._lock:
            return dict(self._sums)
