"""Removes the shop's own keys and no others, as the cache may be somebody's: what a deploy that flushes it does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import redis

from dashboard.demo.keyspace import Keyspace
from dashboard.demo.remote import Remote

CACHED = ("api:", "lease:", "sess:", "cart:", "rate:", "online:")
KEPT = ("shop:bestsellers", "shop:searches", "shop:orders")
QUEUED = ("shop:writes", "shop:pending:")
BATCH = 500


def remove_keys(remote: Remote, keys: Keyspace, *, with_queue: bool) -> int:
    """Remove all of them; those of the write-behind queue only where that is asked for. How many there were.

    A walk of the whole keyspace for each family of names, in small steps. Raises CacheTrouble.
    """
    families = (*CACHED, *KEPT, *(QUEUED if with_queue else ()))
    return sum(_remove(remote, f"{keys.prefix}{family}*") for family in families)


def _remove(remote: Remote, pattern: str) -> int:
    removed = 0
    found: Iterator[bytes] = remote.ask(lambda client: client.scan_iter(match=pattern, count=BATCH))
    while batch := remote.ask(lambda _client: list(islice(found, BATCH))):
        removed += int(remote.ask(lambda client: _unlink(client, batch)))
    return removed


def _unlink(client: redis.Redis, batch: list[bytes]) -> int:
    return int(client.unlink(*batch))
