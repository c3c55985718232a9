"""XFetch, probabilistic early expiration: the nearer an entry's end, the likelier a reader refreshes it before.

A reader refreshes if remaining <= -took * beta * ln(random), where `took` is how long the load took that made the entry
and `random` is uniform in (0, 1]: with the probability exp(-remaining / (took * beta)). Readers need not know of one
another, and with many of them the entry is new before it ends. (Vattani, Chierichetti, Lowenstein, "Optimal
Probabilistic Cache Stampede Prevention", VLDB 2015.) What is left of an entry's life is the server's PTTL, so that
clocks which differ do no harm.

It helps against the end of an entry that is asked for all the time. What is asked for rarely, or was never there, or
was flushed, everybody loads who finds nothing.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from dashboard.demo.caching.entries import Look
from dashboard.demo.caching.reading import Read
from dashboard.demo.patterns import Answer

log = logging.getLogger("dashboard.demo")


def refreshes_early(remaining: float, took: float, random: float, beta: float = 1.0) -> bool:
    """Whether a reader refreshes. `remaining` and `took` in seconds, `random` in (0, 1]; beta > 1 is the earlier."""
    return remaining <= -took * beta * math.log(random)


@dataclass(frozen=True)
class XFetch:
    """`random` gives numbers in [0, 1)."""

    beta: float = 1.0
    random: Callable[[], float] = random.random

    def read(self, read: Read) -> Answer:
        look = read.look(remaining=True)
        if not look.found:
            return read.load(look)
        if not refreshes_early(look.remaining, look.took, 1.0 - self.random(), self.beta):
            return read.hit(look)
        return self._refreshed(read, look)

    def life(self, ttl: float) -> float:
        return ttl

    def _refreshed(self, read: Read, look: Look) -> Answer:
        """The document read anew, if that is our turn: one refreshes at a time, the others have what lies there."""
        taken = read.take(look)
        if taken is None:
            return read.hit(look)
        read.count("early_refreshes")
        try:
            return read.load(taken)
        except Exception as error:  # noqa: BLE001 - whatever it is, the entry is still good
            log.warning("an entry could not be refreshed early (%s)", type(error).__name__)
            return read.hit(look)
