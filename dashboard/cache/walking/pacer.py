"""A pace: at most so many keys a second, in portions that are spread over each second. Pure."""

from __future__ import annotations

import time

PORTIONS = 10  # a second


class Pacer:
    """Says how long to wait before so many keys. Time that was not used is not made up for."""

    def __init__(self, rate: float) -> None:
        """rate: keys a second."""
        self._rate = rate
        self._due = 0.0

    def portion(self, wanted: int) -> int:
        """How many keys to take at once, of so many."""
        return max(1, min(wanted, int(self._rate / PORTIONS)))

    def wait(self, keys: int) -> float:
        """Seconds until so many keys keep the pace; then they count as taken."""
        now = time.monotonic()
        begin = max(self._due, now)
        self._due = begin + keys / self._rate
        return begin - now
