"""When requests are due in an open loop: by the clock, never by how fast the answers come."""

from __future__ import annotations

import random

LATEST_SECONDS = 2.0  # a request which could not be sent so long after it was due is dropped and counted
CYCLE_SECONDS = 10.0
BURST_SECONDS = 2.0  # at the beginning of each cycle


class Arrivals:
    """A Poisson process: independent visitors, `rate` requests a second on average. Times are the caller's clock.

    With a `burst_factor` above 1 the rate is so many times higher for BURST_SECONDS of every CYCLE_SECONDS.
    """

    def __init__(self, rate: float, start: float, source: random.Random, burst_factor: float = 1.0) -> None:
        self._rate = rate
        self._burst_factor = burst_factor
        self._start = start
        self._due = start
        self._source = source

    def turn(self, rate: float, burst_factor: float, now: float) -> None:
        """From now on at another rate. The process has no memory, so what was due later is simply drawn anew."""
        self._rate, self._burst_factor = rate, burst_factor
        self._due = max(now, self._start)

    def take(self, now: float) -> tuple[float, int]:
        """When the next request is due, and how many were dropped because they were due too long before `now`."""
        dropped = -1
        while True:
            self._due = self._after(self._due)
            dropped += 1
            if self._due >= now - LATEST_SECONDS:
                return self._due, dropped

    def _after(self, moment: float) -> float:
        """The next arrival. What would come after the rate changes is drawn again from the moment of the change."""
        while True:
            rate, until = self._rate_at(moment)
            due = moment + self._source.expovariate(rate)
            if due <= until:
                return due
            moment = until

    def _rate_at(self, moment: float) -> tuple[float, float]:
        """The rate at a moment, and until when it stays."""
        if self._burst_factor == 1:
            return self._rate, float("inf")
        cycle, within = divmod(moment - self._start, CYCLE_SECONDS)
        if within < BURST_SECONDS:
            rate, edge = self._rate * self._burst_factor, BURST_SECONDS
        else:
            rate, edge = self._rate, CYCLE_SECONDS
        until = self._start + cycle * CYCLE_SECONDS + edge
        # Rounding may put the edge a hair before the moment, which must not stand still.
        return rate, until if until > moment else moment + 1e-6
