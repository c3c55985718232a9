"""What a process of the shop tells of itself, for whoever watches it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import redis

from dashboard.demo.caching.remote import CacheTrouble

if TYPE_CHECKING:
    from dashboard.demo.parts import Parts


def figures_of(parts: Parts) -> dict[str, Any]:
    """As JSON. `counters` are since the process began (counters.NAMES), the rest is as of now; `queue` and `cache` are
    None where the cache does not answer. Three round trips to the cache."""
    return {
        "process": f"shop-{os.getpid()}",
        "counters": parts.counters.to_plain(),
        "breaker": parts.remote.breaker,
        "copies": {"kept": len(parts.copies), "listening": parts.copies.is_open},
        "queue": _queue(parts),
        "cache": _cache(parts),
    }


def _queue(parts: Parts) -> dict[str, Any] | None:
    try:
        found = parts.queue.figures()
    except CacheTrouble:
        return None
    return {"length": found.length, "lag_seconds": found.lag_seconds, "dead": found.dead}


def _cache(parts: Parts) -> dict[str, Any] | None:
    try:
        memory, risk = parts.remote.ask(_memory), parts.queue.warning()
    except CacheTrouble:
        return None
    return {
        "maxmemory": memory.get("maxmemory", 0),
        "used": memory.get("used_memory", 0),
        "policy": memory.get("maxmemory_policy", ""),
        "risk": risk or "",
    }


def _memory(client: redis.Redis) -> dict[str, Any]:
    return client.info("memory")
