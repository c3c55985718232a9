"""Latencies, counted so that an hour of them takes no more memory than a minute and that any two can be added.

A bucket is 2 % wide, so a percentile is right within 1 % of itself (Masson, Rim and Lee, "DDSketch", VLDB 2019).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

ACCURACY = 0.01
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG = math.log(_GAMMA)
LEAST_SECONDS = 1e-6


class Latencies:
    """How many there were in each bucket. Seconds in, seconds out."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self._buckets[math.ceil(math.log(max(seconds, LEAST_SECONDS)) / _LOG)] += 1

    def total(self) -> int:
        return self._buckets.total()

    def percentiles(self, *shares: float) -> list[float | None]:
        """For each share in ascending order the least latency that so large a share does not exceed; None of none."""
        total, passed, wanted = self.total(), 0, list(shares)
        found: list[float | None] = []
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            while wanted and passed >= wanted[0] * total:
                found.append(2 * _GAMMA**bucket / (_GAMMA + 1))
                wanted.pop(0)
        return found + [None] * len(wanted)

    @classmethod
    def together(cls, several: Iterable[Latencies]) -> Latencies:
        """All of several; one that is named twice counts twice."""
        result = cls()
        buckets = result._buckets
        for one in several:
            for bucket, count in one._buckets.items():
                buckets[bucket] += count
        return result
