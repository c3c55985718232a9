"""How long it takes from a miss to the refill: a histogram whose buckets grow by a twelfth. Pure."""

from __future__ import annotations

import math

SMALLEST = 0.0001  # seconds; what is sooner counts as this
STEPS = 9  # buckets for each doubling: 8 % wide
_PER_STEP = STEPS / math.log(2)
MOST = round(STEPS * math.log2(86400 / SMALLEST))


class RefillTimes:
    """Counts times; quantiles are right to within 4 %. At most MOST counters."""

    __slots__ = ("_buckets", "_slow", "_slow_of", "number")

    def __init__(self) -> None:
        self.number = 0
        self._slow, self._slow_of = 0.0, 0
        self._buckets: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        bucket = round(math.log(seconds / SMALLEST) * _PER_STEP) if seconds > SMALLEST else 0
        bucket = min(bucket, MOST)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.number += 1

    def slow(self) -> float:
        """The 99th percentile of two or more, 0.0 before. Reckoned anew when there is a tenth more of them: for whoever
        asks with each event."""
        if self.number >= 2 and self.number >= 1.1 * self._slow_of:
            self._slow, self._slow_of = self.quantile(0.99) or 0.0, self.number
        return self._slow

    def quantile(self, share: float) -> float | None:
        """The time within which this share (0 to 1) was refilled, seconds; None where nothing was."""
        wanted, seen = share * self.number, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return float(SMALLEST * math.exp(bucket / _PER_STEP))
        return None
