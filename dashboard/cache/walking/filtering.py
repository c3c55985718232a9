"""The conditions that SCAN does not know: which of its keys have such a TTL and such a size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.cache.errors import CacheError, translate
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.refusals import of_one_key


def needs_look(selection: Selection) -> bool:
    """Whether each key must be asked about before it is known to meet the selection.

    Of SCAN's those for which it knows no condition; of a list all, as they may not exist.
    """
    return bool(selection.ttl or selection.size) or selection.keys is not None


def meets(cache: Cache, node: Node, selection: Selection, keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """Those keys of one primary that meet the TTL and size conditions, in their order. One pipeline.

    Of listed ones those that exist and are of the type, too; one of them that this user may not ask about is among
    them, as it was named. Raises CacheError if a key cannot be asked about otherwise (Denied where the command is not
    allowed): leaving it out would be a lie.
    """
    if not keys or not needs_look(selection):
        return tuple(keys)
    listed = selection.keys is not None
    commands: list[tuple[Any, ...]] = []
    if listed and selection.type:
        commands += [("TYPE", key) for key in keys]
    if selection.ttl or listed:
        commands += [("PTTL", key) for key in keys]
    if selection.size:
        commands += [("MEMORY", "USAGE", key) for key in keys]
    if selection.at_instant:
        # After the PTTLs: an expiry at a whole second is then never taken for one of the second before.
        commands.append(("TIME",))
    replies = cache.pipeline(node, commands)
    for reply in replies:
        if isinstance(reply, Exception):
            problem = reply if isinstance(reply, CacheError) else translate(reply, cache.name)
            if not (listed and of_one_key(problem)):
                raise problem
    now = seconds_of(replies.pop()) if selection.at_instant else None
    told = iter(replies)
    kinds = [next(told) for _ in keys] if listed and selection.type else [selection.type] * len(keys)
    ttls = [next(told) for _ in keys] if selection.ttl or listed else [0] * len(keys)
    sizes = [next(told) for _ in keys] if selection.size else [0] * len(keys)
    return tuple(
        key
        for key, kind, pttl, size in zip(keys, kinds, ttls, sizes, strict=True)
        if _takes(selection, kind, pttl, size, now)
    )


def _takes(selection: Selection, kind: Any, pttl: Any, size: Any, now: float | None) -> bool:
    if any(isinstance(told, Exception) for told in (kind, pttl, size)):
        return True
    return (
        size is not None  # MEMORY USAGE has no number for a key that has gone
        and selection.takes_type(name_of(kind))
        and selection.takes_ttl(int(pttl), now)
        and selection.takes_size(int(size))
    )


def name_of(reply: bytes | str) -> str:
    """A type's name from TYPE's reply."""
    return reply.decode("ascii", "replace") if isinstance(reply, bytes) else reply


def seconds_of(reply: Any) -> float:
    """Seconds since 1970 from TIME's reply, which redis-py has made a pair of numbers of or left as bytes."""
    seconds, microseconds = reply
    return int(seconds) + int(microseconds) / 1e6
