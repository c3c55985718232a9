"""When requests are due in an open loop: by the clock, never by how fast the answers come."""

from __future__ import annotations

import random

LATEST_SECONDS = 2.0  # a request which could not be sent so long after it was due is dropped and counted


class Arrivals:
    """A Poisson process: independent visitors, `rate` requests a second on average. Times are the caller's clock."""

    def __init__(self, rate: float, start: float, source: random.Random) -> None:
        self._rate = rate
        self._due = start
        self._source = source

    def take(self, now: float) -> tuple[float, int]:
        """When the next request is due, and how many were dropped because they were due too long before `now`."""
        dropped = -1
        while True:
            self._due += self._source.expovariate(self._rate)
            dropped += 1
            if self._due >= now - LATEST_SECONDS:
                return self._due, dropped
