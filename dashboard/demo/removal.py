"""Removes the shop's own keys and no others, as the cache may be somebody's: what a deploy that flushes it does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import redis

from dashboard.demo.caching.lua import lua
from dashboard.demo.caching.remote import Remote
from dashboard.demo.keyspace import Keyspace

FAMILIES = ("api:", "lease:", "sess:", "cart:", "rate:", "online:", "shop:bestsellers", "shop:searches", "shop:orders")
QUEUED = ("shop:writes", "shop:pending:")
BATCH = 500


def remove_keys(remote: Remote, keys: Keyspace, *, with_queue: bool = False) -> int:
    """Remove all but what the database has yet to get, and the dead letters; how many keys there were.

    `with_queue` takes these, too: for a shop that has ended. A walk of the whole keyspace for each family of names, in
    small steps. Raises CacheTrouble.
    """
    families = (*FAMILIES, *(QUEUED if with_queue else ()))
    return sum(_remove(remote, f"{keys.prefix}{family}*") for family in families)


def remove_queue(remote: Remote, keys: Keyspace) -> bool:
    """Remove write-behind's queue, if it is empty, and its dead letters: for a shop that is about to end. False where
    something still waits in it. Raises CacheTrouble."""
    return bool(remote.script(lua("remove_empty"))([keys.writes, keys.dead_writes], []))


def _remove(remote: Remote, pattern: str) -> int:
    removed = 0
    found: Iterator[bytes] = remote.ask(lambda client: client.scan_iter(match=pattern, count=BATCH))
    while batch := remote.ask(lambda _client: list(islice(found, BATCH))):
        removed += int(remote.ask(lambda client: _unlink(client, batch)))
    return removed


def _unlink(client: redis.Redis, batch: list[bytes]) -> int:
    return int(client.unlink(*batch))
