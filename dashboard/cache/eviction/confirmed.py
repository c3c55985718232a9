"""The age of evicted keys, confirmed: of keys that were drawn a moment before their eviction was told."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from dashboard.cache.errors import CacheError
from dashboard.cache.eviction.age import draw
from dashboard.cache.eviction.figures import Drawn, Quantiles, quantiles
from dashboard.cache.servers.connect import Cache, Node

DRAWN = 500
"""Keys a primary and draw."""
BEFORE_SECONDS = 6.0
"""So long after it was drawn an eviction confirms a key's age. It may have been used since: by so much its age may be
too large, and no more."""
MOST = 2000


@dataclass(frozen=True)
class ConfirmedAge:
    """As NodeAge, of `of` keys that were really evicted."""

    of: int
    idle: Quantiles | None
    frequency: Quantiles | None
    ttl: Quantiles | None


class Confirming:
    """Keys that were drawn lately, and the ages of those which were then evicted. One clock: time.monotonic()."""

    def __init__(self) -> None:
        self._drawn: dict[str, dict[bytes, tuple[float, Drawn]]] = {}
        self._found: list[Drawn] = []
        self._seen = 0

    def draw(self, cache: Cache, node: Node) -> int:
        """Draw keys of a primary, and forget those of before; how many round trips it took. Raises nothing: what is
        denied is only not confirmed."""
        try:
            policy = cache.policy()
            if policy in ("", "noeviction"):
                return 0
            found, calls = draw(cache, node, policy, DRAWN)
        except CacheError:
            self._drawn.pop(node.name, None)
            return 0
        now = time.monotonic()
        self._drawn[node.name] = {one.key: (now, one.is_like) for one in found}
        return calls

    def evicted(self, key: bytes, now: float) -> None:
        for of_node in self._drawn.values():
            found = of_node.pop(key, None) if key in of_node else None
            if found is not None and now - found[0] <= BEFORE_SECONDS:
                self._add(found[1], now - found[0])

    def _add(self, was: Drawn, since: float) -> None:
        """Of more than MOST a random sample is kept (Vitter's algorithm R)."""
        idle = None if was.idle is None else was.idle + since
        ttl = None if was.ttl is None else max(was.ttl - since, 0.0)
        one = Drawn(idle, was.frequency, ttl)
        self._seen += 1
        if len(self._found) < MOST:
            self._found.append(one)
        elif (place := random.randrange(self._seen)) < MOST:  # noqa: S311
            self._found[place] = one

    def told(self) -> ConfirmedAge | None:
        """None while there are too few."""
        idle, frequency, ttl = (quantiles(self._found, name) for name in ("idle", "frequency", "ttl"))
        if idle is None and frequency is None:
            return None
        return ConfirmedAge(self._seen, idle, frequency, ttl)
