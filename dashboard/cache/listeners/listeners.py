"""Who listens to a cache's servers: clients with client-side caching on, and clients in Pub/Sub mode, node by node.

CLIENT LIST takes a server's main thread for every client that it writes: Pub/Sub clients are asked for alone, all
others only where INFO says that some of them track keys, and no list of more than MOST_CLIENTS. Valkey 9 picks out
those that track by itself.
https://valkey.io/commands/client-list/, https://valkey.io/topics/client-side-caching/
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dashboard.cache.errors import CacheError, checked, translate
from dashboard.cache.listeners.client_list import Client, parse
from dashboard.cache.listeners.risk import Limit, limits_of
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.statistics import info
from dashboard.cache.tuning import node_settings

MOST_CLIENTS = 10_000
"""Of one node and sort: a longer list, of 4 MB and a tenth of a second, is not asked for."""
LISTED_SECONDS, PASSED_SECONDS = 10e-6, 1e-6
"""Of a server's time for a client that is listed, and for one that a filter passes over: 5 to 13 µs and 0.3 to 0.7 µs
measured with 3,000 clients on a busy machine (Redis 7.0, Valkey 9.1; INFO commandstats)."""
FILTERS = ("Valkey", (9, 0))
"""Product and release from which on CLIENT LIST takes FLAGS."""

_BUFFERS, _TABLE = "client-output-buffer-limit", "tracking-table-max-keys"

# t: tracks keys, R: its target is gone, B: by prefixes, P: Pub/Sub, O: MONITOR.
_LISTENS = re.compile(rb" flags=[^ ]*[tRBPO]")


@dataclass(frozen=True)
class NodeListeners:
    """One node. clients: those that listen. limits: by class, None where they are not told.

    connected, tracking, pubsub: clients by INFO. table, table_most: keys that its tracking table holds and may hold (0:
    any number). dropped: clients that it has dropped for their output buffers. Each None where it is not told. listed:
    whether `clients` are all of them. busy: seconds that it took of the node's time, reckoned. problems: why something
    is missing, in sentences.
    """

    node: str
    primary: str
    clients: tuple[Client, ...] = ()
    limits: Mapping[str, Limit] | None = None
    connected: int | None = None
    tracking: int | None = None
    pubsub: int | None = None
    table: int | None = None
    table_most: int | None = None
    dropped: int | None = None
    listed: bool = False
    busy: float = 0.0
    problems: tuple[str, ...] = ()

    @property
    def is_replica(self) -> bool:
        return self.node != self.primary


@dataclass(frozen=True)
class Listening:
    """All nodes at one moment, epoch seconds. denied: why some node denies CLIENT LIST, a sentence, "" for none."""

    at: float
    nodes: tuple[NodeListeners, ...]
    denied: str = ""

    @property
    def busy(self) -> float:
        """Seconds that it took of the time of the node that has most clients."""
        return max(one.busy for one in self.nodes)


def listening(cache: Cache, *, replicas: bool = False) -> Listening:
    """Who listens, on every primary, and on replicas where these are asked for. Two round trips a node.

    Raises CacheError where no node can be asked.
    """
    at, found = time.time(), list[NodeListeners]()
    errors, denied = list[CacheError](), ""
    places = node_settings.nodes_of(cache, replicas=replicas)
    for node, primary in places:
        try:
            one, why = _on(cache, node, primary)
            found.append(one)
            denied = denied or why
        except CacheError as error:
            errors.append(error)
            found.append(NodeListeners(node.name, primary, problems=(error.sentence,)))
    if errors and len(errors) == len(places):
        raise errors[0]
    return Listening(at, tuple(found), denied)


def _on(cache: Cache, node: Node, primary: str) -> tuple[NodeListeners, str]:
    """(what one node tells, why it denies CLIENT LIST or "")."""
    problems = dict[str, None]()

    def told(reply: Any, *, needed: bool = True) -> Any:
        try:
            return checked(reply, cache.name)
        except CacheError as error:
            if needed:
                problems[error.sentence] = None
            return None

    questions = [("INFO", "clients"), ("INFO", "stats"), *(("CONFIG", "GET", one) for one in (_BUFFERS, _TABLE))]
    clients, stats, buffers, table = cache.pipeline(node, questions)
    facts = {**_facts(told(clients)), **_facts(told(stats))}
    limit = dict(node_settings.pairs(told(buffers, needed=False))).get(_BUFFERS)
    found = NodeListeners(
        node.name,
        primary,
        limits=limits_of(limit) if limit is not None else None,
        connected=_number(facts.get("connected_clients")),
        tracking=_number(facts.get("tracking_clients")),
        pubsub=_number(facts.get("pubsub_clients")),
        table=_number(facts.get("tracking_total_keys")),
        table_most=_number(dict(node_settings.pairs(told(table, needed=False))).get(_TABLE)),
        dropped=_number(facts.get("client_output_buffer_limit_disconnections")),
    )
    capabilities = cache.capabilities()
    filters = (capabilities.product == FILTERS[0]) and capabilities.release >= FILTERS[1]
    questions, left_out = _lists(found, filters=filters)
    problems |= dict.fromkeys(left_out)
    replies = cache.pipeline(node, questions) if questions else []
    denied = next((_why(cache, one) for one in replies if isinstance(one, Exception)), "")
    lists = [reply for reply in replies if isinstance(reply, bytes)]
    listed = {one.id: one for reply in lists for one in _listening(node.name, reply)}
    passed = sum(found.connected or 0 for words in questions if "FLAGS" in words)
    return replace(
        found,
        clients=tuple(listed.values()),
        listed=not denied and not left_out,
        busy=LISTED_SECONDS * sum(reply.count(b"\n") for reply in lists) + PASSED_SECONDS * passed,
        problems=tuple(problems),
    ), denied


def _lists(found: NodeListeners, *, filters: bool) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """(the lists that are worth asking for, sentences about those that are too long)."""
    asked, long = list[tuple[str, ...]](), list[str]()
    if found.pubsub is not None and found.pubsub > MOST_CLIENTS:
        long.append("clients in Pub/Sub mode")
    elif found.pubsub != 0:
        asked.append(("CLIENT", "LIST", "TYPE", "pubsub"))
    if filters:
        asked.append(("CLIENT", "LIST", "TYPE", "normal", "FLAGS", "O"))
        if (found.tracking or 0) > MOST_CLIENTS:
            long.append("clients that track keys")
        elif found.tracking != 0:
            asked.append(("CLIENT", "LIST", "TYPE", "normal", "FLAGS", "t"))
    elif found.tracking != 0 and (found.connected or 0) > MOST_CLIENTS:
        long.append("clients, some of which track keys")
    elif found.tracking != 0:
        asked.append(("CLIENT", "LIST", "TYPE", "normal"))
    return asked, tuple(f"There are more than {MOST_CLIENTS:,} {what}: they are counted, not listed." for what in long)


def _listening(node: str, reply: bytes) -> tuple[Client, ...]:
    # Most of a long list are clients that only send commands: their lines are not even taken apart.
    return parse(node, b"\n".join(line for line in reply.splitlines() if _LISTENS.search(line)))


def _why(cache: Cache, reply: Exception) -> str:
    error = reply if isinstance(reply, CacheError) else translate(reply, cache.name)
    return error.sentence


def _facts(reply: Any) -> Mapping[str, Any]:
    """INFO's, which redis-py reads, but not in every pipeline."""
    return reply if isinstance(reply, dict) else info.parse(reply) if isinstance(reply, bytes) else {}


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
