"""How large a cache is, in one round trip to each primary: what a walk over it would have to visit."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.cache.servers.connect import Cache


@dataclass(frozen=True)
class Extent:
    """keys: on all primaries together, None where DBSIZE is denied. replicas: how many are connected to them."""

    keys: int | None
    replicas: int


def extent(cache: Cache) -> Extent:
    """Count keys and replicas. One round trip to each primary. Raises CacheError where one cannot be asked."""
    keys: int | None = 0
    replicas = 0
    for node in cache.primaries():
        size, replication = cache.pipeline(node, (("DBSIZE",), ("INFO", "replication")))
        keys = keys + size if isinstance(size, int) and keys is not None else None
        replicas += int(replication.get("connected_slaves", 0)) if isinstance(replication, dict) else 0
    return Extent(keys, replicas)
