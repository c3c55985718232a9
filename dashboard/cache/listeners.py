"""Who listens to a cache's servers: clients with client-side caching on, and clients in Pub/Sub mode, node by node.

CLIENT LIST costs a server about 2 µs a client, in its main thread: Pub/Sub clients are asked for alone, all others only
where INFO says that some of them track keys, and neither where there are more than MOST_CLIENTS.
https://valkey.io/commands/client-list/, https://valkey.io/topics/client-side-caching/
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dashboard.cache import info, tuning
from dashboard.cache.client_list import Client, parse
from dashboard.cache.connect import Cache, Node
from dashboard.cache.errors import CacheError, checked, translate
from dashboard.cache.listener_risk import Limit, limits_of

MOST_CLIENTS = 20_000
"""Of one node and sort: a longer list, of 8 MB and 40 ms of the server's time, is not asked for."""

_BUFFERS, _TABLE = "client-output-buffer-limit", "tracking-table-max-keys"
_LONG = {"pubsub": "clients in Pub/Sub mode", "normal": "clients, some of which track keys"}

# t: tracks keys, R: its target is gone, B: by prefixes, P: Pub/Sub, O: MONITOR.
_LISTENS = re.compile(rb" flags=[^ ]*[tRBPO]")


@dataclass(frozen=True)
class NodeListeners:
    """One node. clients: those that listen. limits: by class, None where they are not told.

    connected, tracking, pubsub: clients by INFO. table, table_most: keys that its tracking table holds and may hold (0:
    any number). dropped: clients that it has dropped for their output buffers. Each None where it is not told. listed:
    whether `clients` are all of them. problems: why something is missing, in sentences.
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
    problems: tuple[str, ...] = ()

    @property
    def is_replica(self) -> bool:
        return self.node != self.primary


@dataclass(frozen=True)
class Listening:
    """All nodes at one moment, epoch seconds. took: seconds that the slowest of them needed, the network included.
    denied: the command that some node denies, with why not, "" for none."""

    at: float
    nodes: tuple[NodeListeners, ...]
    took: float
    denied: str = ""


def listening(cache: Cache, *, replicas: bool = False) -> Listening:
    """Who listens, on every primary, and on replicas where these are asked for. Two round trips a node.

    Raises CacheError where no node can be asked.
    """
    at, took, found = time.time(), 0.0, list[NodeListeners]()
    errors, denied = list[CacheError](), ""
    places = tuning.nodes_of(cache, replicas=replicas)
    for node, primary in places:
        begun = time.monotonic()
        try:
            one, why = _on(cache, node, primary)
            found.append(one)
            denied = denied or why
        except CacheError as error:
            errors.append(error)
            found.append(NodeListeners(node.name, primary, problems=(error.sentence,)))
        took = max(took, time.monotonic() - begun)
    if errors and len(errors) == len(places):
        raise errors[0]
    return Listening(at, tuple(found), took, denied)


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
    limit = dict(tuning.pairs(told(buffers, needed=False))).get(_BUFFERS)
    found = NodeListeners(
        node.name,
        primary,
        limits=limits_of(limit) if limit is not None else None,
        connected=_number(facts.get("connected_clients")),
        tracking=_number(facts.get("tracking_clients")),
        pubsub=_number(facts.get("pubsub_clients")),
        table=_number(facts.get("tracking_total_keys")),
        table_most=_number(dict(tuning.pairs(told(table, needed=False))).get(_TABLE)),
        dropped=_number(facts.get("client_output_buffer_limit_disconnections")),
    )
    questions, left_out = _lists(found)
    problems |= dict.fromkeys(left_out)
    replies = cache.pipeline(node, questions) if questions else []
    denied = next((_why(cache, one) for one in replies if isinstance(one, Exception)), "")
    listed = {one.id: one for reply in replies if isinstance(reply, bytes) for one in _listening(node.name, reply)}
    return replace(
        found, clients=tuple(listed.values()), listed=not denied and not left_out, problems=tuple(problems)
    ), denied


def _lists(found: NodeListeners) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """(the lists that are worth asking for, sentences about those that are too long)."""
    wanted = [("pubsub", found.pubsub, found.pubsub), ("normal", found.tracking, found.connected)]
    asked = [(kind, length or 0) for kind, listen, length in wanted if listen != 0]
    long = [kind for kind, length in asked if length > MOST_CLIENTS]
    sentences = tuple(
        f"{found.node} has more than {MOST_CLIENTS:,} {_LONG[kind]}: they are counted, and not listed." for kind in long
    )
    return [("CLIENT", "LIST", "TYPE", kind) for kind, _ in asked if kind not in long], sentences


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
