"""Who could hear a message of a channel, as far as servers tell.

PUBSUB NUMSUB counts the subscribers of a channel on one node, PUBSUB NUMPAT the patterns of all its clients, and
CLIENT LIST names the clients in Pub/Sub mode. None of them tells which patterns these are: whether one matches cannot
be known.
https://valkey.io/commands/pubsub-numsub/, https://valkey.io/topics/pubsub/ (in a cluster, messages reach every node).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.cache.errors import CacheError, checked
from dashboard.cache.listeners.client_list import Client, parse
from dashboard.cache.messages.acknowledging import listeners
from dashboard.cache.servers.clients import CLIENT_NAME
from dashboard.cache.servers.connect import Cache, Node

_SENTINEL = re.compile(r"sentinel-[0-9a-f]{8}-pubsub")
"""Sentinels talk to one another by a channel of the primary that they watch, and listen to no other."""


@dataclass(frozen=True)
class NodeAudience:
    """On one primary. subscribers: of the channel by its name. patterns: subscribed patterns, each counted once. Both
    None where that is not told. problems: why something is not, in sentences."""

    node: str
    subscribers: int | None = None
    patterns: int | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audience:
    """Over all primaries that can be asked, or of the one that owns a sharded channel. clients: connections that have
    subscribed, how many of them; None where CLIENT LIST is denied. own: how many Cachedeck has itself, besides."""

    nodes: tuple[NodeAudience, ...] = ()
    clients: int | None = None
    own: int = 0
    sharded: bool = False

    @property
    def subscribers(self) -> int | None:
        """Of the channel by its name, over all nodes; None where one does not tell."""
        return _sum([one.subscribers for one in self.nodes])

    @property
    def patterns(self) -> int | None:
        """Patterns on all nodes; one that clients of two nodes have counts twice. None as above, and of a sharded
        channel, which patterns do not match."""
        return None if self.sharded else _sum([one.patterns for one in self.nodes])

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sentence for one in self.nodes for sentence in one.problems))


def audience(cache: Cache, channel: bytes, *, sharded: bool) -> tuple[Audience, tuple[Client, ...]]:
    """Who could hear it, and the clients that have subscribed to something of the kind, without Cachedeck's own and
    sentinels.

    One round trip to each primary; CLIENT LIST has some 400 bytes for each client in Pub/Sub mode. Raises CacheError
    where no primary can be asked.
    """
    nodes = (cache.node_of(channel),) if sharded else cache.primaries()
    counted, found, known = list[NodeAudience](), list[Client](), True
    errors = list[CacheError]()
    for node in nodes:
        try:
            one, clients = _on(cache, node, channel, sharded=sharded)
        except CacheError as error:
            errors.append(error)
            one, clients = NodeAudience(node.name, problems=(error.sentence,)), None
        counted.append(one)
        known = known and clients is not None
        found += clients or ()
    if len(errors) == len(nodes):
        raise errors[0]
    meant = [one for one in listeners(found, sharded=sharded) if not _SENTINEL.fullmatch(one.name)]
    others = tuple(one for one in meant if one.name != CLIENT_NAME)
    whole = Audience(tuple(counted), len(others) if known else None, len(meant) - len(others), sharded)
    return whole, others


def _on(cache: Cache, node: Node, channel: bytes, *, sharded: bool) -> tuple[NodeAudience, tuple[Client, ...] | None]:
    count = "SHARDNUMSUB" if sharded else "NUMSUB"
    asked = (("PUBSUB", count, channel), ("PUBSUB", "NUMPAT"), ("CLIENT", "LIST", "TYPE", "pubsub"))
    problems = list[str]()

    def told(reply: Any) -> Any:
        try:
            return checked(reply, cache.name)
        except CacheError as error:
            problems.append(error.sentence)
            return None

    subscribers, patterns, clients = (told(reply) for reply in cache.pipeline(node, asked))
    counted = NodeAudience(
        node.name,
        int(subscribers[1]) if isinstance(subscribers, list) and len(subscribers) > 1 else None,
        int(patterns) if isinstance(patterns, int) else None,
        tuple(problems),
    )
    return counted, None if clients is None else parse(node.name, clients)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [one for one in counts if one is not None]
    return sum(known) if len(known) == len(counts) else None
