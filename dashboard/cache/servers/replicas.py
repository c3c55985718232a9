"""Replicas: in place of primaries for work that only looks and may be a moment late, and beside them for settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from redis.cluster import RedisCluster

from dashboard.cache.errors import Denied
from dashboard.cache.servers.connect import Cache, Node


def one_replica_each(cache: Cache, primaries: Sequence[Node]) -> tuple[Node, ...]:
    """A replica of each primary, or the primary itself where it has none that is in step.

    One INFO to each primary; a cluster's replicas are known from its picture. Raises CacheError.
    """
    return tuple(next(iter(replicas_of(cache, primary)), primary) for primary in primaries)


def replicas_of(cache: Cache, primary: Node) -> tuple[Node, ...]:
    """Every replica of a primary that is in step; () where INFO is denied. As one_replica_each. Raises CacheError."""
    if isinstance(cache.client, RedisCluster):
        return tuple(_in_cluster(cache, primary))
    try:
        facts = cache.execute("INFO", "replication", node=primary)
    except Denied:
        return ()
    told = (facts.get(f"slave{number}", {}) for number in range(int(facts.get("connected_slaves", 0))))
    return tuple(
        cache.replica(str(replica["ip"]), int(replica["port"])) for replica in told if replica.get("state") == "online"
    )


def _in_cluster(cache: Cache, primary: Node) -> Iterator[Node]:
    slots: dict[int, list[Any]] = cache.client.nodes_manager.slots_cache
    for owner, *replicas in slots.values():
        if owner.name == primary.name:
            yield from (cache.replica(replica.host, int(replica.port)) for replica in replicas)
            return
