"""Zipf-distributed draws: few things are asked for often, most of them hardly ever.

Popularity falls with the rank r as 1 / r^s. Requests for web pages have an s of 0.6 to 0.9 (Breslau et al., "Web
Caching and Zipf-like Distributions", INFOCOM 1999), those to the caches behind applications mostly one above 1
(Yang et al., "A large scale analysis of hundreds of in-memory cache clusters at Twitter", OSDI 2020).
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_left
from itertools import accumulate
from math import gcd


class Zipf:
    """Draws ids from 1 to n. The popular ones are scattered over the whole range, as in a real table."""

    def __init__(self, n: int, exponent: float, source: random.Random) -> None:
        """Takes O(n) once; each draw is a binary search. `n` at least 1."""
        self._n = n
        self._source = source
        self._cumulated = array("d", accumulate(rank**-exponent for rank in range(1, n + 1)))
        self._step = next(step for step in range(int(n * 0.618) | 1, 2 * n + 2) if gcd(step, n) == 1)

    def rank(self) -> int:
        """A popularity rank, 1 is the most popular."""
        return bisect_left(self._cumulated, self._source.random() * self._cumulated[-1]) + 1

    def draw(self) -> int:
        """The id that has a drawn rank."""
        return self.id_of(self.rank())

    def id_of(self, rank: int) -> int:
        """Which id has this rank: one to one, because the step and n have no common divisor."""
        return (rank - 1) * self._step % self._n + 1
