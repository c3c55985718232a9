"""Looks at servers that cost them something, kept for a while and shared by the threads of this process.

A server that hangs makes each look wait for the time-out, so there is one look at a time for each of them, its answer
serves for some seconds, and whoever asks meanwhile gets the answer before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Named(Protocol):
    """A cache, or another server that is looked at."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


class KeptLooks(Generic[T]):
    """The last look at each server, by its name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, T | None]] = {}
        self._looking: set[str] = set()

    def latest(self, of: N, look: Callable[[N], T], fresh: float) -> T | None:
        """What a look has found that is at most `fresh` seconds old; an older one, or None, while somebody looks."""
        with self._lock:
            at, known = self._known.get(of.name, (float("-inf"), None))
            if time.monotonic() - at < fresh or of.name in self._looking:
                return known
            self._looking.add(of.name)
        found = known
        try:
            found = look(of)
        finally:
            with self._lock:
                self._looking.discard(of.name)
                self._known[of.name] = (time.monotonic(), found)
        return found

    def keep(self, of: Named, found: T) -> None:
        """What is known by other means just now."""
        with self._lock:
            self._known[of.name] = (time.monotonic(), found)
