"""How long each class of keys lives, and the jitter that keeps keys filled together from expiring together."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Seconds by class: the longer, the rarer the row changes and the less a stale answer would hurt.
TTL_SECONDS: Mapping[str, float] = {
    "profile": 3600.0,
    "posts": 900.0,
    "product": 1800.0,
    "search": 300.0,
    "price": 30.0,
    "catalogue": 600.0,
    "session": 1800.0,
    "cart": 86400.0,
    "rate": 120.0,
    "online": 300.0,
}
ABSENT_SECONDS = 10.0  # that a row does not exist is remembered briefly: it may be made at any moment
JITTER = 0.1  # the usual share: ±10 % spreads an hour's keys over 12 minutes


@dataclass(frozen=True)
class Lifetimes:
    """TTLs of new keys. `jitter` is the share by which each is spread to either side; 0 is off."""

    jitter: float = 0.0
    uniform: Callable[[float, float], float] = random.uniform

    def of(self, ttl_class: str) -> float:
        """Seconds for one new key of the class: uniform in TTL x (1 ± jitter)."""
        seconds = TTL_SECONDS[ttl_class]
        return self.uniform(seconds * (1 - self.jitter), seconds * (1 + self.jitter))
