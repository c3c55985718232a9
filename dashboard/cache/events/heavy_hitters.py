"""Heavy hitters: the most frequent of any number of names, counted in bounded memory. Pure.

The Space-Saving algorithm: so many counters, and a name that has none takes over that of the rarest, whose count it
inherits as its possible error. Every name that makes up more than 1/most of all is among them, and no count is too low.
A. Metwally, D. Agrawal, A. El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, ICDT 2005.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)


@dataclass(frozen=True)
class Hitter(Generic[N]):
    """A name and how often it came: at most `count` times, and at least `count - error` times."""

    name: N
    count: int
    error: int

    @property
    def exact(self) -> bool:
        return not self.error


class Heavy(Generic[N]):
    """Counts names with at most `most` counters. `total`: of all names. Not thread-safe.

    A count of one name is a look-up; of one that has no counter, the heap's top: O(log most), amortised.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self._counts: dict[N, list[int]] = {}  # name -> [count, error]
        # (count when it was pushed, tie-breaker, name): an entry is stale where the name's count has grown since.
        self._heap: list[tuple[int, int, N]] = []
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, name: object) -> bool:
        return name in self._counts

    def add(self, name: N, times: int = 1) -> N | None:
        """Count a name; the name that lost its counter to it, if one did."""
        self.total += times
        found = self._counts.get(name)
        if found is not None:
            found[0] += times
            return None
        if len(self._counts) < self.most:
            self._put(name, times, 0)
            return None
        rarest, least = self._rarest()
        del self._counts[rarest]
        self._put(name, least + times, least)
        return rarest

    def top(self, most: int) -> list[Hitter[N]]:
        """The most frequent, the first first."""
        chosen = heapq.nlargest(most, self._counts.items(), key=lambda item: item[1][0])
        return [Hitter(name, count, error) for name, (count, error) in chosen]

    def _put(self, name: N, count: int, error: int) -> None:
        self._counts[name] = [count, error]
        self._push(name, count)

    def _push(self, name: N, count: int) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (count, self._pushed, name))

    def _rarest(self) -> tuple[N, int]:
        """Each name has one entry in the heap, which is brought up to date when it comes to the top."""
        while True:
            count, _, name = heapq.heappop(self._heap)
            now = self._counts[name][0]
            if now == count:
                return name, count
            self._push(name, now)
