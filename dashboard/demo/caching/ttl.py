"""How long each class of keys lives, and the jitter that keeps keys filled together from expiring together."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MINUTE, HOUR = 60.0, 3600.0

# Seconds by class: the longer, the rarer the row changes and the less a stale answer would hurt. Within the ranges
# that Cachedeck's built-in TTL rules have for such keys, also with jitter, and with the grace of a stale entry.
DOCUMENT_SECONDS: Mapping[str, float] = {
    "profile": 2 * HOUR,
    "posts": 1.5 * HOUR,
    "product": 1.25 * HOUR,
    "search": 8 * MINUTE,
    "price": 40.0,
    "catalogue": 1.25 * HOUR,
}
TTL_SECONDS: Mapping[str, float] = {
    **DOCUMENT_SECONDS,
    "session": 20 * MINUTE,
    "cart": 24 * HOUR,
    "rate": 2 * MINUTE,
    "online": 45.0,
}
ABSENT_SECONDS = 10.0  # that a row does not exist is remembered briefly: it may be made at any moment
JITTER = 0.1  # the usual share: ±10 % spreads two hours' keys over 24 minutes


@dataclass
class Lifetimes:
    """TTLs of new keys, which may be turned while others ask.

    `jitter` is the share by which each is spread to either side; 0 is off. `scale` multiplies those of documents, so
    that a demonstration need not wait for hours; what only the cache holds keeps its own.
    """

    jitter: float = 0.0
    uniform: Callable[[float, float], float] = random.uniform
    scale: float = 1.0

    def of(self, ttl_class: str) -> float:
        """Seconds for one new key of the class: uniform in TTL x (1 ± jitter)."""
        seconds = TTL_SECONDS[ttl_class] * (self.scale if ttl_class in DOCUMENT_SECONDS else 1.0)
        return self.uniform(seconds * (1 - self.jitter), seconds * (1 + self.jitter))
