"""The conditions that SCAN does not know: which of its keys have such a TTL and such a size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.cache.connect import Cache, Node
from dashboard.cache.errors import CacheError, translate
from dashboard.cache.selection import Selection


def needs_look(selection: Selection) -> bool:
    """Whether each key that SCAN gives must be asked about before it is known to meet the selection."""
    return bool(selection.ttl or selection.size)


def meets(cache: Cache, node: Node, selection: Selection, keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """Those keys of one primary that meet the TTL and size conditions, in their order. One pipeline.

    Raises CacheError if a key cannot be asked about (Denied where the command is not allowed): leaving
    it out would be a lie.
    """
    if not keys or not needs_look(selection):
        return tuple(keys)
    commands: list[tuple[Any, ...]] = []
    if selection.ttl:
        commands += [("PTTL", key) for key in keys]
    if selection.size:
        commands += [("MEMORY", "USAGE", key) for key in keys]
    if selection.at_instant:
        # After the PTTLs: an expiry at a whole second is then never taken for one of the second before.
        commands.append(("TIME",))
    replies = cache.pipeline(node, commands)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply if isinstance(reply, CacheError) else translate(reply, cache.name)
    now = seconds_of(replies.pop()) if selection.at_instant else None
    ttls = replies[: len(keys)] if selection.ttl else [0] * len(keys)
    sizes = replies[-len(keys) :] if selection.size else [0] * len(keys)
    return tuple(
        key
        for key, pttl, size in zip(keys, ttls, sizes, strict=True)
        # MEMORY USAGE has no number for a key that has gone.
        if size is not None and selection.takes_ttl(int(pttl), now) and selection.takes_size(int(size))
    )


def seconds_of(reply: Any) -> float:
    """Seconds since 1970 from TIME's reply, which redis-py has made a pair of numbers of or left as bytes."""
    seconds, microseconds = reply
    return int(seconds) + int(microseconds) / 1e6
