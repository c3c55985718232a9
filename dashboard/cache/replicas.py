"""Replicas in place of primaries, for work that only looks and may be a moment late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.cluster import RedisCluster

from dashboard.cache.connect import Cache, Node
from dashboard.cache.errors import Denied


def one_replica_each(cache: Cache, primaries: Sequence[Node]) -> tuple[Node, ...]:
    """A replica of each primary, or the primary itself where it has none that is in step.

    One INFO to each primary; a cluster's replicas are known from its picture. Raises CacheError.
    """
    return tuple(_replica_of(cache, primary) or primary for primary in primaries)


def has_replicas(cache: Cache) -> bool:
    """Whether any primary has a replica that could be asked in its place. Raises CacheError."""
    return any(_replica_of(cache, primary) is not None for primary in cache.primaries())


def _replica_of(cache: Cache, primary: Node) -> Node | None:
    if isinstance(cache.client, RedisCluster):
        return _in_cluster(cache, primary)
    try:
        facts = cache.execute("INFO", "replication", node=primary)
    except Denied:
        return None
    for number in range(int(facts.get("connected_slaves", 0))):
        replica = facts.get(f"slave{number}", {})
        if replica.get("state") == "online":
            return cache.replica(str(replica["ip"]), int(replica["port"]))
    return None


def _in_cluster(cache: Cache, primary: Node) -> Node | None:
    slots: dict[int, list[Any]] = cache.client.nodes_manager.slots_cache
    for owner, *replicas in slots.values():
        if owner.name == primary.name:
            return cache.replica(replicas[0].host, int(replicas[0].port)) if replicas else None
    return None
