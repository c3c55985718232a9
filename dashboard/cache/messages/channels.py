"""Which channels somebody listens to, by node, and how many do.

PUBSUB CHANNELS and SHARDCHANNELS tell names, NUMSUB and SHARDNUMSUB counts, NUMPAT the patterns, each of the clients of
one node only. Which patterns these are no server tells. https://valkey.io/commands/pubsub-channels/ and its siblings.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dashboard.cache.errors import CacheError, checked
from dashboard.cache.servers.connect import Cache, Node

MOST_COUNTED = 5000
"""Channels of a node whose subscribers are counted: of more, those that come first in the server's order."""
NAME_SECONDS = 2e-6
"""Of a server's time for each channel that is named and counted: 0.6 to 7 µs measured, on a busy machine."""


@dataclass(frozen=True)
class Channel:
    """One channel. subscribers: clients of all nodes that have subscribed to it by its name."""

    name: bytes
    subscribers: int
    sharded: bool = False


@dataclass(frozen=True)
class Channels:
    """shown: those with most subscribers. channels, sharded: how many of each there are; a channel with subscribers on
    two nodes is one. counted: of how many the subscribers were counted.

    patterns: subscribed patterns, of all nodes; None where that is not told. busy: seconds of the busiest node's time,
    reckoned. problems: why something is missing, in sentences.
    """

    shown: tuple[Channel, ...] = ()
    channels: int = 0
    sharded: int = 0
    counted: int = 0
    patterns: int | None = None
    busy: float = 0.0
    problems: tuple[str, ...] = ()


@dataclass
class _Sum:
    channels: Counter[bytes] = field(default_factory=Counter)
    sharded: Counter[bytes] = field(default_factory=Counter)
    names: set[tuple[bool, bytes]] = field(default_factory=set)
    patterns: int = 0
    most: int = 0
    untold: bool = False
    problems: dict[str, None] = field(default_factory=dict)


def channels_of(cache: Cache, most: int = 200) -> Channels:
    """The `most` channels of all primaries with most subscribers. Two round trips a primary.

    Raises CacheError where the primaries cannot be told; one that does not answer is among the problems.
    """
    found = _Sum()
    for node in cache.primaries():
        try:
            _add(cache, node, found)
        except CacheError as error:
            found.problems[error.sentence] = None
            found.untold = True
    every = [
        Channel(name, count, is_sharded)
        for is_sharded, counts in ((False, found.channels), (True, found.sharded))
        for name, count in counts.items()
    ]
    return Channels(
        tuple(heapq.nsmallest(most, every, key=lambda one: (-one.subscribers, one.sharded, one.name))),
        sum(not is_sharded for is_sharded, _ in found.names),
        sum(is_sharded for is_sharded, _ in found.names),
        len(every),
        None if found.untold else found.patterns,
        NAME_SECONDS * found.most,
        tuple(found.problems),
    )


def _add(cache: Cache, node: Node, found: _Sum) -> None:
    def told(reply: Any) -> Any:
        try:
            return checked(reply, cache.name)
        except CacheError as error:
            # Redis before 7.0 has no sharded channels, and says that it does not know the question.
            if "nknown" not in str(reply):
                found.problems[error.sentence] = None
            return None

    replies = cache.pipeline(node, [("PUBSUB", "CHANNELS"), ("PUBSUB", "NUMPAT"), ("PUBSUB", "SHARDCHANNELS")])
    names, patterns, sharded = (told(reply) for reply in replies)
    found.untold = found.untold or not isinstance(patterns, int)
    found.patterns += patterns if isinstance(patterns, int) else 0
    lists = [(names or [], "NUMSUB", found.channels), (sharded or [], "SHARDNUMSUB", found.sharded)]
    asked = [(some[:MOST_COUNTED], word, into) for some, word, into in lists if some]
    found.most = max(found.most, sum(len(some) for some, _, _ in lists))
    for some, word, _ in lists:
        found.names |= {(word == "SHARDNUMSUB", name) for name in some}
    counts = cache.pipeline(node, [("PUBSUB", word, *some) for some, word, _ in asked]) if asked else []
    for reply, (_, _, into) in zip(counts, asked, strict=True):
        flat = told(reply) or []
        for name, count in zip(flat[::2], flat[1::2], strict=False):
            into[name] += int(count)
