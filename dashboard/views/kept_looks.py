"""Looks at caches that cost their servers something, kept for a while and shared by the threads of this process.

A server that hangs makes each look wait for the time-out, so there is one look at a time for each cache, its answer
serves for some seconds, and whoever asks meanwhile gets the answer before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from dashboard.cache.connect import Cache

T = TypeVar("T")


class KeptLooks(Generic[T]):
    """The last look at each cache."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, T | None]] = {}
        self._looking: set[str] = set()

    def latest(self, cache: Cache, look: Callable[[Cache], T], fresh: float) -> T | None:
        """What a look has found that is at most `fresh` seconds old; an older one, or None, while somebody looks."""
        with self._lock:
            at, known = self._known.get(cache.name, (float("-inf"), None))
            if time.monotonic() - at < fresh or cache.name in self._looking:
                return known
            self._looking.add(cache.name)
        found = known
        try:
            found = look(cache)
        finally:
            with self._lock:
                self._looking.discard(cache.name)
                self._known[cache.name] = (time.monotonic(), found)
        return found
