"""The most used keys of a selection, as far as the server's policy tells: by LFU's counter, or by idle time."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dashboard.cache.invalidation.report import HotKey
from dashboard.cache.reading import keys as rows_of_keys
from dashboard.cache.reading.keys import keeps_frequency
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import packed
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.walk import walk

SHOWN = 10
NAME_CUT = 200  # characters


@dataclass(frozen=True)
class Hottest:
    """The most used of `examined` keys of the selection; `all_of_them`: whether there are no others."""

    keys: tuple[HotKey, ...]
    examined: int
    all_of_them: bool


def hottest(cache: Cache, selection: Selection, budget: Budget) -> Hottest:
    """Within the budget's seconds; round trips: those of the walk, and one a batch. Raises CacheError."""
    if not cache.capabilities().can("OBJECT"):
        return Hottest((), 0, all_of_them=False)
    frequency = keeps_frequency(cache)
    best: list[tuple[int, bytes]] = []
    examined, ended = 0, False
    for batch in walk(cache, selection, replace(budget, abreast=False)):  # we work between its batches
        examined += len(batch.found)
        ended = batch.position.ended
        for key, use in _uses(cache, batch.node, batch.found, frequency=frequency):
            entry = (use, key)
            if len(best) < SHOWN:
                heapq.heappush(best, entry)
            elif entry > best[0]:
                heapq.heapreplace(best, entry)
    names = [key for _, key in sorted(best, reverse=True)]
    rows = rows_of_keys.rows(cache, names)
    found = (_hot(rows[key], use, frequency=frequency) for use, key in sorted(best, reverse=True) if key in rows)
    return Hottest(tuple(found), examined, ended)


def _uses(cache: Cache, node: Node, keys: Sequence[bytes], *, frequency: bool) -> list[tuple[bytes, int]]:
    """(key, how much it is used: the more, the more) of those keys that tell."""
    replies = packed(cache, node, [("OBJECT", "FREQ" if frequency else "IDLETIME", key) for key in keys])
    sign = 1 if frequency else -1
    return [(key, sign * reply) for key, reply in zip(keys, replies, strict=True) if isinstance(reply, int)]


def _hot(row: rows_of_keys.Row, use: int, *, frequency: bool) -> HotKey:
    ttl = row.pttl_ms if row.pttl_ms is not None else -1
    return HotKey(
        name=printable(row.key)[:NAME_CUT],
        type=row.type,
        memory=row.memory,
        ttl=ttl / 1000 if ttl >= 0 else -1.0,
        idle=None if frequency else -use,
        frequency=use if frequency else None,
    )
