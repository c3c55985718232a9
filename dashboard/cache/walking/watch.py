"""Watching a server while a walk is on it: the walk ends by itself where the server gets worse.

Looked at once a second: how long a PING takes, how much memory is used, and whether it is still the
same server (a cursor of SCAN means nothing to another one, not even to the replica that took over).
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from dashboard.cache.errors import Denied, Strained
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.wording import size, span

LOOK_SECONDS = 1.0
FIRST_PINGS = 5
JUDGED_PINGS = 3  # one slow answer is a hiccup; the median of three is a state
GROWTH = 0.1  # of the memory used at the start: a small cache grows by more than that in peace


@dataclass(frozen=True)
class Limits:
    """When a walk ends by itself: a PING takes `latency_ms` longer than at the start (median of three, a second
    apart), or the used memory has grown by `memory` bytes and by a tenth since then."""

    latency_ms: float = 50.0
    memory: int = 64 * 1024 * 1024


class Watch:
    """One server's state at the beginning of a walk, against which it is held later.

    Round trips: seven to begin; three a look. Raises CacheError as any question does.
    """

    def __init__(self, cache: Cache, node: Node, limits: Limits) -> None:
        self._cache = cache
        self._node = node
        self._limits = limits
        self.round_trip = min(self._ping() for _ in range(FIRST_PINGS))
        self._pings: deque[float] = deque(maxlen=JUDGED_PINGS)
        self._memory = self._used()
        self._identity = self._run_id()
        self._looked_at = time.monotonic()

    def look(self) -> bool:
        """Judge the server, once a second at the most; whether it is the one it was. Raises Strained."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return True
        self._looked_at = time.monotonic()
        self._pings.append(self._ping())
        slower = median(self._pings) - self.round_trip
        if len(self._pings) == JUDGED_PINGS and slower * 1000 > self._limits.latency_ms:
            raise Strained(
                f"Stopped by itself: {self._node.name} answers a PING {span(slower)} later than when this began "
                f"(limit {self._limits.latency_ms:g} ms)."
            )
        grown = self._used() - self._memory
        if grown > max(self._limits.memory, GROWTH * self._memory):
            raise Strained(
                f"Stopped by itself: {self._node.name} uses {size(grown)} more memory than when this began "
                f"(limit {size(max(self._limits.memory, GROWTH * self._memory))})."
            )
        return self.same_server()

    def same_server(self) -> bool:
        """Whether it is the server that was there at the beginning; yes where it does not tell."""
        return self._run_id() == self._identity

    def _ping(self) -> float:
        """Seconds that an answer takes; to a user who may not PING the refusal is one as well."""
        started = time.perf_counter()
        with suppress(Denied):
            self._cache.execute("PING", node=self._node)
        return time.perf_counter() - started

    def _used(self) -> int:
        return int(self._info("memory").get("used_memory", 0))

    def _run_id(self) -> str:
        return str(self._info("server").get("run_id", ""))

    def _info(self, section: str) -> dict[str, Any]:
        try:
            return dict(self._cache.execute("INFO", section, node=self._node))
        except Denied:
            return {}
