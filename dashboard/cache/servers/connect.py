"""Cache: one configured server, cluster or sentinel-watched primary, reached through redis-py.

Nothing connects before it is used. What a connection does by itself, and what it refuses to send to a
cache declared read-only, stands in clients.py.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import AskError, MovedError, RedisError

from dashboard.cache.errors import CacheError, Denied, ReadOnlyCache, TimedOut, translating
from dashboard.cache.servers.capability import Capabilities, probe
from dashboard.cache.servers.clients import client_for, replica_client
from dashboard.cache.servers.target import Target

TOPOLOGY_SECONDS = 10.0  # how old our picture of a cluster's primaries may be
CAPABILITY_SECONDS = 60.0  # an ACL can be changed while we are connected
FAILURE_SECONDS = 2.0
POLICY_SECONDS = 5.0

T = TypeVar("T")


@dataclass(frozen=True)
class Node:
    """One primary. `name` is host:port as the cluster names it; `client` speaks to this server only."""

    name: str
    client: redis.Redis


class Cache:
    """One cache. Thread-safe; make one for each target and process, and close it at the end.

    Every method that speaks to the server raises a CacheError (dashboard/cache/errors.py).
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._client: redis.Redis | RedisCluster | None = None
        self._failure: tuple[float, CacheError] | None = None
        self._topology_at = 0.0
        self._answering = ""
        self._silent: dict[str, float] = {}  # primaries that timed out, by name, and when
        self._capabilities: tuple[float, Capabilities | CacheError] | None = None
        self._policy: tuple[float, str] | None = None
        self._replicas: dict[str, Node] = {}

    def __repr__(self) -> str:
        return f"Cache({self.target!r})"

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def client(self) -> Any:
        """redis.Redis, or RedisCluster which sends a single-key command to the right primary. RESP2, bytes."""
        with self._lock:
            if self._client is None:
                # Somebody has just tried: a page's parts, and pages that queue up here, pay one time-out together.
                if self._failure and time.monotonic() - self._failure[0] < FAILURE_SECONDS:
                    raise self._failure[1]
                try:
                    with translating(self.name):
                        self._client = client_for(self.target)
                except CacheError as error:
                    self._failure = (time.monotonic(), error)
                    raise
                self._topology_at = time.monotonic()
            return self._client

    def primaries(self, *, fresh: bool = False) -> tuple[Node, ...]:
        """Every primary, in a stable order. A cluster's picture is renewed when older than 10 s (1 round trip).

        fresh: renew it in any case, because a primary has just failed; sentinels are asked for theirs again.
        """
        client = self.client
        if not isinstance(client, RedisCluster):
            if fresh and self.target.kind == "sentinel":
                client.connection_pool.disconnect(inuse_connections=False)
            return (Node(self._single_name(), client),)
        if fresh or time.monotonic() - self._topology_at > TOPOLOGY_SECONDS:
            self._look_at_the_cluster_again(client)
        found: list[ClusterNode] = client.get_primaries()  # type: ignore[no-untyped-call]
        nodes = sorted(found, key=lambda node: str(node.name))
        return tuple(Node(node.name, client.get_redis_connection(node)) for node in nodes)

    def _look_at_the_cluster_again(self, client: RedisCluster, *entries: tuple[str, int]) -> None:
        """A new picture of a cluster's primaries; the old one serves until a node can be asked again."""
        self._topology_at = time.monotonic()
        with suppress(RedisError, OSError, IndexError):  # IndexError: redis-py's, for a cluster without any slot
            client.nodes_manager.initialize(additional_startup_nodes_info=list(entries))

    def partition(self) -> str:
        """Which slots of a cluster are together on one primary, whichever that is, as a checksum; "" for no cluster.

        It stays the same when a replica takes over, and changes when slots move. One round trip.
        """
        client = self.client
        if not isinstance(client, RedisCluster):
            return ""
        self._look_at_the_cluster_again(client)
        slots: dict[str, list[int]] = {}
        for slot, nodes in sorted(client.nodes_manager.slots_cache.items()):
            slots.setdefault(str(nodes[0].name), []).append(slot)
        return hashlib.sha256(repr(sorted(slots.values())).encode()).hexdigest()[:16]

    def replica(self, host: str, port: int) -> Node:
        """The replica at an address that its primary tells, reached as the primary is; connects when it is used."""
        name = f"{host}:{port}"
        with self._lock:
            if name not in self._replicas:
                self._replicas[name] = Node(name, replica_client(self.target, host, port))
            return self._replicas[name]

    def node_of(self, key: bytes) -> Node:
        """The primary that serves this key."""
        client = self.client
        if not isinstance(client, RedisCluster):
            return Node(self._single_name(), client)
        with translating(self.name):
            node = client.get_node_from_key(key)  # type: ignore[no-untyped-call]
        return Node(node.name, client.get_redis_connection(node))

    def group(self, keys: Sequence[bytes]) -> dict[str, tuple[Node, list[bytes]]]:
        """Keys by the primary that serves them, in their order; no round trip."""
        groups: dict[str, tuple[Node, list[bytes]]] = {}
        for key in keys:
            node = self.node_of(key)
            groups.setdefault(node.name, (node, []))[1].append(key)
        return groups

    def execute(self, *arguments: Any, node: Node | None = None) -> Any:
        """One command, to `node` or to where its key lives; the reply as redis-py gives it."""
        client: Any = node.client if node else self.client
        with self._asking(node.name if node else self._single_name()):
            return client.execute_command(*arguments)

    @contextmanager
    def _asking(self, node: str) -> Iterator[None]:
        """Translate errors; and a primary that timed out is not asked again for FAILURE_SECONDS.

        A page asks for several things one after the other, and would wait for each of them.
        """
        if time.monotonic() - self._silent.get(node, -FAILURE_SECONDS) < FAILURE_SECONDS:
            raise TimedOut(f"{self.name} did not answer within the time-out.")
        try:
            with translating(self.name):
                yield
        except TimedOut:
            if node:
                self._silent[node] = time.monotonic()
            raise

    def asking(self, node: Node) -> AbstractContextManager[None]:
        """For modules of this package that use a node's connections themselves: errors translated as everywhere."""
        return self._asking(node.name)

    def pipeline(self, node: Node, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Commands to one primary in one round trip. A command's error stands in the list as an exception.

        In a cluster, a command whose slot has moved is sent again to where it is now (1 more round trip each).
        """
        with self._asking(node.name):
            pipe: Any = node.client.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            replies = list(pipe.execute(raise_on_error=False))
        moved = {index: reply for index, reply in enumerate(replies) if isinstance(reply, AskError | MovedError)}
        places = {(reply.host, reply.port) for reply in moved.values() if isinstance(reply, MovedError)}
        if places:
            self._look_at_the_cluster_again(self.client, *places)
        for index, reply in moved.items():
            replies[index] = self._sent_on(commands[index], reply)
        return replies

    def _sent_on(self, command: Sequence[Any], sent_away: AskError) -> Any:
        """The reply from where a slot is now. (RedisCluster itself takes no command whose name is bytes.)"""
        node = self.client.get_node(sent_away.host, sent_away.port)
        if node is None:
            return sent_away
        try:
            with translating(self.name):
                pipe: Any = self.client.get_redis_connection(node).pipeline(transaction=False)
                if not isinstance(sent_away, MovedError):
                    pipe.execute_command("ASKING")
                pipe.execute_command(*command)
                return pipe.execute(raise_on_error=False)[-1]
        except CacheError as error:
            return error

    def require_writable(self) -> None:
        """Refuse early, with the sentence that the connection's guard would give. Raises ReadOnlyCache."""
        if self.target.read_only:
            raise ReadOnlyCache(f"{self.name} is declared read-only here.")

    def capabilities(self) -> Capabilities:
        """What this user may do on this server; probed again when older than 60 s (1 round trip).

        A failure is kept for 2 s, so that a server which is down does not cost every part of a page
        a time-out of its own.
        """
        known = self._capabilities
        lasts = FAILURE_SECONDS if known and isinstance(known[1], CacheError) else CAPABILITY_SECONDS
        if known is None or time.monotonic() - known[0] > lasts:
            known = self._capabilities = (time.monotonic(), self._probe())
        if isinstance(known[1], CacheError):
            raise known[1]
        return known[1]

    def _probe(self) -> Capabilities | CacheError:
        def asked(node: Node) -> Capabilities:
            with self._asking(node.name):
                return probe(node.client, read_only=self.target.read_only)

        try:
            return self._from_any(asked)
        except CacheError as error:
            return error

    def _from_any(self, ask: Callable[[Node], T]) -> T:
        """What the first primary says that can be asked, beginning with the one that answered last time."""
        errors: list[CacheError] = []
        for node in sorted(self.primaries(), key=lambda node: node.name != self._answering):
            try:
                answer = ask(node)
            except CacheError as error:
                errors.append(error)
            else:
                self._answering = node.name
                return answer
        raise errors[0]

    def policy(self) -> str:
        """maxmemory-policy of a primary, "" where INFO is denied; at most 5 s old (1 round trip)."""
        known = self._policy
        if known is None or time.monotonic() - known[0] > POLICY_SECONDS:
            known = self._policy = (time.monotonic(), self._from_any(self._policy_of))
        return known[1]

    def _policy_of(self, node: Node) -> str:
        try:
            return str(self.execute("INFO", "memory", node=node).get("maxmemory_policy", ""))
        except Denied:
            return ""

    def close(self) -> None:
        """Close every connection; the next use would connect again."""
        with self._lock:
            client, self._client = self._client, None
            replicas, self._replicas = self._replicas, {}
        for replica in replicas.values():
            replica.client.close()
            replica.client.connection_pool.disconnect()
        if client is not None:
            client.close()
            if isinstance(client, redis.Redis):
                client.connection_pool.disconnect()

    def _single_name(self) -> str:
        """Of the one primary, "" for a cluster."""
        if self.target.kind == "cluster":
            return ""
        if self.target.socket:
            return self.target.socket
        if self.target.kind == "sentinel":
            return self.target.service
        host, port = self.target.hosts[0]
        return f"{host}:{port}"
