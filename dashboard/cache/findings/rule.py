"""What a rule of the findings is. Pure. All of them are listed in findings/rules.py, and in docs/findings.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from dashboard.cache.statistics.picture import Finding, Picture

Topic = Literal["state", "memory", "eviction", "traffic", "settings"]
OWN = "Cachedeck's own choice"
LRU_CACHE = "https://valkey.io/topics/lru-cache/"
INFO = "https://valkey.io/commands/info/"
MEMORY = "https://valkey.io/topics/memory-optimization/"
CLIENTS = "https://valkey.io/topics/clients/"
CONF = "valkey.conf"


@dataclass(frozen=True)
class Rule:
    """One thing that may be said of a cache. id: by which it is silenced, and never changed. says: what it says, in a
    few words. threshold: from where on. source: why there: an address, a file of the server's sources, or OWN.

    check: a pure function that yields the findings of this rule, at most one for most.
    """

    id: str
    topic: Topic
    says: str
    threshold: str
    source: str
    check: Callable[[Picture], Iterator[Finding]]
