"""Mutex: of those who find nothing, one loads, and the others wait until its document lies in the cache.

The mutex is the lease: a token that nobody else has, ended by its owner alone (compare and delete), and by the server
when its owner has died. Who has waited WAIT_SECONDS in vain loads, because its own visitor waits too, but fills
nothing: the lease is not its own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from dashboard.demo.caching.entries import Look
from dashboard.demo.caching.reading import Read
from dashboard.demo.patterns import Answer

WAIT_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.004  # about a load's time
LONGEST_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Mutex:
    """`clock` gives seconds that never go back; the rest is for tests, too."""

    wait_seconds: float = WAIT_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def read(self, read: Read) -> Answer:
        return self.answer(read, read.look())

    def answer(self, read: Read, look: Look) -> Answer:
        """From what a first look has shown."""
        if not look.found and not look.leased:
            look = self._waited(read, look)
        return read.hit(look) if look.found else read.load(look)

    def life(self, ttl: float) -> float:
        return ttl

    def _waited(self, read: Read, look: Look) -> Look:
        """The look that has shown something, or that made it our turn; else the last one."""
        read.count("waited")
        until, pause = self.clock() + self.wait_seconds, FIRST_PAUSE_SECONDS
        while self.clock() < until:
            # Spread, so that those who wait do not ask in step.
            self.sleep(self.uniform(pause / 2, pause))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            look = read.look()
            if look.found or look.leased:
                return look
        read.count("gave_up")
        return look
