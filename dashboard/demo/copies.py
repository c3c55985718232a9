"""Copies that a process of the shop keeps for itself, in front of the cache: few, and not for long.

They are dropped when somebody tells that they are out of date (invalidations.py). Whoever misses that message, as
Pub/Sub delivers at most once, or keeps what was read just before it, is wrong for COPY_SECONDS at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dashboard.demo.encoding import Document

MOST_COPIES = 200
COPY_SECONDS = 30.0


@dataclass(frozen=True)
class _Copy:
    document: Document
    tags: frozenset[str]
    until: float


class Copies:
    """Documents by key, each with tags. Thread-safe. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._copies: dict[str, _Copy] = {}

    def get(self, key: str) -> Document | None:
        with self._lock:
            copy = self._copies.get(key)
        return copy.document if copy is not None and self._clock() < copy.until else None

    def put(self, key: str, document: Document, tags: Iterable[str] = ()) -> None:
        """Keep a copy; the one that was put first makes room."""
        copy = _Copy(document, frozenset(tags), self._clock() + COPY_SECONDS)
        with self._lock:
            self._copies.pop(key, None)
            while len(self._copies) >= MOST_COPIES:
                del self._copies[next(iter(self._copies))]
            self._copies[key] = copy

    def drop(self, keys: Iterable[str]) -> int:
        """Forget these; how many there were."""
        with self._lock:
            return sum(self._copies.pop(key, None) is not None for key in keys)

    def drop_tagged(self, tags: Iterable[str]) -> int:
        """Forget those that carry one of the tags; how many there were."""
        wanted = frozenset(tags)
        with self._lock:
            found = [key for key, copy in self._copies.items() if copy.tags & wanted]
            for key in found:
                del self._copies[key]
        return len(found)

    def clear(self) -> int:
        """Forget all; how many there were."""
        with self._lock:
            found, self._copies = len(self._copies), {}
        return found
