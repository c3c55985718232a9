"""The present traffic of a cache, from its samples.

What Cachedeck's own jobs read of keys the servers count as hits and misses like anybody's, and a walk looks at hundreds
of thousands of keys a second: so only the time in which none of them was at work says what applications read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

from dashboard.cache.invalidation.effect import Traffic
from dashboard.cache.statistics.info import Reading, restored
from dashboard.cache.statistics.rates import rates
from dashboard.store import jobs, samples
from dashboard.store.engine import Store

SECONDS = 300.0
FRESH_SECONDS = 60.0  # a node that was not sampled for so long says nothing about now
READS_NO_KEYS = frozenset({"eviction_trace", "publish", "stampede_watch"})
"""Kinds of jobs that publish and listen: they may go on for hours, and applications' reads are to be seen meanwhile."""


def traffic_of(store: Store, cache: str) -> Traffic:
    """Of the last five minutes, or as much of them as there are samples of. Hits and misses are not known where our own
    jobs were at work all the time. Raises StoreUnavailable."""
    now = time.time()
    by_node: dict[str, list[Reading]] = {}
    for sample in samples.load(store, cache, now - SECONDS, resolution=samples.RAW, now=now):
        by_node.setdefault(sample.node, []).append(restored(sample.at, sample.node, sample.values))
    live = [readings for readings in by_node.values() if now - readings[-1].at <= FRESH_SECONDS]
    if not live:
        return Traffic()
    keys = sum(int(readings[-1].values.get("keys", 0)) for readings in live)
    memory = sum(int(readings[-1].values.get("used_memory", 0)) for readings in live)
    ours = _ours(store, cache, now)
    reads = [found for readings in live if (found := _reads(readings, ours)) is not None]
    if not reads:
        return Traffic(keys=keys, memory=memory)
    return Traffic(sum(hits for hits, _ in reads), sum(misses for _, misses in reads), keys, memory)


def _ours(store: Store, cache: str, now: float) -> list[tuple[float, float]]:
    """When our own jobs looked at keys, as (begin, end)."""
    found = jobs.running(store, cache, ended_since=now - SECONDS)
    return [
        (job.started_at, now if job.ended_at is None else job.ended_at)
        for job in found
        if job.started_at is not None and job.kind not in READS_NO_KEYS
    ]


def _reads(readings: Sequence[Reading], ours: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Hits and misses a second of one node, in the time in which none of ours was at work; None without such a time."""
    quiet = [
        rates(a, b) for a, b in pairwise(readings) if not any(began < b.at and a.at < ended for began, ended in ours)
    ]
    seconds = sum(one.seconds for one in quiet)
    if not seconds:
        return None
    hits, misses = (
        sum(one.change.get(name, 0.0) for one in quiet) / seconds for name in ("keyspace_hits", "keyspace_misses")
    )
    return hits, misses
