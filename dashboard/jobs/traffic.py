"""The present traffic of a cache, from its samples."""

from __future__ import annotations

import time

from dashboard.cache.invalidation.effect import Traffic
from dashboard.cache.statistics.info import Reading, restored
from dashboard.cache.statistics.rates import rates
from dashboard.store import samples
from dashboard.store.engine import Store

SECONDS = 300.0
FRESH_SECONDS = 60.0  # a node that was not sampled for so long says nothing about now


def traffic_of(store: Store, cache: str) -> Traffic:
    """Of the last five minutes, or as much of them as there are samples of. Raises StoreUnavailable."""
    now = time.time()
    by_node: dict[str, list[Reading]] = {}
    for sample in samples.load(store, cache, now - SECONDS, resolution=samples.RAW, now=now):
        by_node.setdefault(sample.node, []).append(restored(sample.at, sample.node, sample.values))
    live = [readings for readings in by_node.values() if now - readings[-1].at <= FRESH_SECONDS]
    if not live:
        return Traffic()
    keys = sum(int(readings[-1].values.get("keys", 0)) for readings in live)
    memory = sum(int(readings[-1].values.get("used_memory", 0)) for readings in live)
    changes = [rates(readings[0], readings[-1]) for readings in live if len(readings) > 1]
    if not changes:
        return Traffic(keys=keys, memory=memory)
    hits = sum(change.per_second("keyspace_hits") for change in changes)
    return Traffic(hits, sum(change.per_second("keyspace_misses") for change in changes), keys, memory)
