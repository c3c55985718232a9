"""Hub: the subscriptions that a process listens to, each once, however many pages watch it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from dashboard.cache.events.buffer import Buffer
from dashboard.cache.events.hearing import Hearing
from dashboard.cache.events.looks import Over, TooMany
from dashboard.cache.events.sieve import Sieve
from dashboard.cache.events.subscription import Subscription
from dashboard.cache.servers.connect import Cache

MOST = 32
"""Distinct subscriptions of a process: each has a thread, a connection to each primary and a thousand events."""


class Hub:
    """Make one for each process and close it at its end. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._hearings: dict[tuple[str, Subscription], Hearing] = {}

    @contextmanager
    def watching(self, cache: Cache, subscription: Subscription, sieve: Sieve) -> Iterator[tuple[Hearing, Buffer]]:
        """Who listens to this subscription, begun where nobody does, and the buffer of what passes the sieve.

        Raises TooMany.
        """
        with ExitStack() as stack:
            while True:
                hearing = self._hearing(cache, subscription)
                with suppress(Over):
                    buffer = stack.enter_context(hearing.watching(sieve))
                    break
            yield hearing, buffer

    def _hearing(self, cache: Cache, subscription: Subscription) -> Hearing:
        key = (cache.name, subscription)
        with self._lock:
            for other in [other for other, one in self._hearings.items() if one.over]:
                del self._hearings[other]
            found = self._hearings.get(key)
            if found is None:
                self._make_room()
                found = self._hearings[key] = Hearing(cache, subscription)
                found.start()
            return found

    def __len__(self) -> int:
        with self._lock:
            return sum(not one.over for one in self._hearings.values())

    def close(self) -> None:
        with self._lock:
            hearings, self._hearings = [*self._hearings.values()], {}
        for one in hearings:
            one.end()
        for one in hearings:
            one.close()

    def _make_room(self) -> None:
        """One that nobody watches any more gives way."""
        if len(self._hearings) < self._most:
            return
        with suppress(StopIteration):
            key = next(key for key, one in self._hearings.items() if not one.watched)
            self._hearings.pop(key).end()
            return
        raise TooMany(
            f"{self._most} different subscriptions are listened to already.",
            "Open one of them, or close a page that listens to something else.",
        )
