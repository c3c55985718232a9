"""Copies that a process of the shop keeps for itself, in front of the cache (its L1): few, and not for long.

They are dropped when somebody tells that they are out of date (invalidations.py), and served only while that is heard:
Pub/Sub delivers at most once, and whoever is away misses it. A document that was read before such a message and arrives
after it is not kept: whoever wants to keep one takes a ticket before reading. So a copy is out of date for as long as
the message takes; where the message was never sent, or its sender died, for COPY_SECONDS at most.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cachetools import TTLCache

from dashboard.demo.encoding import Document

MOST_COPIES = 200
COPY_SECONDS = 30.0
MOST_REMEMBERED = 1000  # keys that were dropped last; of earlier ones it is only known that there were some


@dataclass(frozen=True)
class _Copy:
    document: Document
    tags: frozenset[str]


class Copies:
    """Documents by their key, each with tags. Thread-safe; closed at first.

    `clock` gives seconds that never go back. The least used makes room. Nobody may change a document that is kept.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._copies: TTLCache[str, _Copy] = TTLCache(MOST_COPIES, COPY_SECONDS, timer=clock)
        self._now = 0  # the number of what was told last; a ticket is such a number
        self._told: OrderedDict[str, int] = OrderedDict()  # what was told last of a key
        self._told_of_all = 0  # older tickets are worth nothing
        self._is_open = False

    def __len__(self) -> int:
        with self._lock:
            return len(self._copies)

    @property
    def is_open(self) -> bool:
        return self._is_open

    def open(self) -> None:
        """Serve and keep copies, as from now on it is heard what is out of date."""
        with self._lock:
            self._is_open = True
            self._forget_all()

    def close(self) -> None:
        """Neither serve nor keep any."""
        with self._lock:
            self._is_open = False
            self._forget_all()

    def get(self, key: str) -> Document | None:
        with self._lock:
            copy = self._copies.get(key)
        return None if copy is None else copy.document

    def ticket(self) -> int:
        """To be taken before a document is read that may be kept."""
        with self._lock:
            return self._now

    def put(self, key: str, document: Document, ticket: int, *, tags: Iterable[str] = ()) -> bool:
        """Keep a copy; False where the ticket is worth nothing: the document may be out of date already, or it is not
        heard what is."""
        with self._lock:
            if not self._is_open or ticket < max(self._told_of_all, self._told.get(key, 0)):
                return False
            self._copies[key] = _Copy(document, frozenset(tags))
            return True

    def drop(self, keys: Iterable[str]) -> int:
        """Forget the copies of these keys; how many there were."""
        wanted = frozenset(keys)
        with self._lock:
            self._now += 1
            for key in wanted:
                self._told[key] = self._now
                self._told.move_to_end(key)
            while len(self._told) > MOST_REMEMBERED:
                self._told_of_all = self._told.popitem(last=False)[1]
            return sum(self._copies.pop(key, None) is not None for key in wanted)

    def drop_tagged(self, tags: Iterable[str]) -> int:
        """Forget those that carry one of the tags; how many there were."""
        wanted = frozenset(tags)
        with self._lock:
            # Of what is being read now nobody knows the tags.
            self._now += 1
            self._told_of_all = self._now
            return self._forget(lambda copy: not wanted.isdisjoint(copy.tags))

    def clear(self) -> int:
        """Forget all; how many there were."""
        with self._lock:
            return self._forget_all()

    def _forget_all(self) -> int:
        self._now += 1
        self._told_of_all = self._now
        self._told.clear()
        return self._forget(lambda _copy: True)

    def _forget(self, is_meant: Callable[[_Copy], bool]) -> int:
        found = [key for key, copy in list(self._copies.items()) if is_meant(copy)]
        for key in found:
            self._copies.pop(key, None)
        return len(found)
