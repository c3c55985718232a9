"""redis-py's clients for a target: which connection class, which options, how often it tries again.

A connection names itself, asks not to touch what it reads (CLIENT NO-TOUCH, Redis 7.2 and Valkey), so
that looking does not change what LRU or LFU evicts, and on a cache declared read-only it refuses to
pack any command that could write, whoever sends it.
"""

from __future__ import annotations

from functools import cache as memoise
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from dashboard.cache.errors import ClusterDown, ReadOnlyCache
from dashboard.cache.servers.capability import no_touch_is_safe
from dashboard.cache.servers.guard import command_name, only_looks
from dashboard.cache.servers.target import Target

CLIENT_NAME = "cachedeck"


class _LookingPacker:
    """Packs commands as the connection's own packer does, but none that could write."""

    def __init__(self, packer: Any, name: str) -> None:
        self._packer = packer
        self._name = name

    def pack(self, *arguments: object) -> Any:
        if not only_looks(arguments):
            raise ReadOnlyCache(f"{self._name} is declared read-only here: {command_name(arguments)} was not sent.")
        return self._packer.pack(*arguments)


@memoise
def _connection_class(base: Any, guarded_name: str, *, of_cluster: bool = False, of_replica: bool = False) -> Any:
    """`base`, polite (NO-TOUCH), and where a name is given guarded against writing to the cache of that name.

    A cluster's replica answers for its primary's keys only to who has said READONLY.
    """

    class Polite(base):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            if guarded_name:
                self._command_packer = _LookingPacker(self._command_packer, guarded_name)  # type: ignore[has-type]

        def on_connect_check_health(self, check_health: bool = True) -> None:
            super().on_connect_check_health(check_health=check_health)
            self._ask("CLIENT", "SETNAME", CLIENT_NAME)
            if not of_cluster or _survives_no_touch(self._ask("HELLO")):
                self._ask("CLIENT", "NO-TOUCH", "ON")
            if of_cluster and of_replica:
                self._ask("READONLY")

        def _ask(self, *words: str) -> Any:
            """The reply, None for an error: an older server (NO-TOUCH: Redis 7.2), or denied. We can do without."""
            self.send_command(*words, check_health=False)
            try:
                return self.read_response()
            except ResponseError:
                return None

    Polite.__name__ = f"Polite{base.__name__}"
    return Polite


def _survives_no_touch(hello: Any) -> bool:
    """Whether a node that answers HELLO so may be asked for NO-TOUCH; not where it does not tell its version."""
    if not isinstance(hello, list):
        return False
    facts = dict(zip(hello[::2], hello[1::2], strict=False))
    product, version = (bytes(facts.get(name, b"")).decode("ascii", "replace") for name in (b"server", b"version"))
    return no_touch_is_safe(product, tuple(int(part) for part in version.split(".") if part.isdigit()))


def _retry() -> Retry:
    """Once more, at once, for a connection that died while idle; never after a time-out, which has cost enough."""
    return Retry(NoBackoff(), 1, supported_errors=(Disconnected,))


def _options(target: Target) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": target.username or None,
        "password": target.password or None,
        "socket_timeout": target.timeout,
        "socket_connect_timeout": target.connect_timeout,
        "protocol": 2,
    }
    if target.tls:
        options["ssl_cert_reqs"] = "required" if target.tls.verify else "none"
        options["ssl_check_hostname"] = target.tls.verify
        options["ssl_ca_certs"] = target.tls.ca or None
        options["ssl_certfile"] = target.tls.cert or None
        options["ssl_keyfile"] = target.tls.key or None
    return options


def client_for(target: Target) -> redis.Redis | RedisCluster:
    """A client with a pool of its own. Only a cluster is connected to at once: its slots are asked for.

    Raises redis-py's exceptions, and ClusterDown for a cluster without a primary.
    """
    guarded_name = target.name if target.read_only else ""
    options = _options(target)
    base: Any = SSLConnection if target.tls else Connection
    if target.kind == "cluster":
        return _cluster(target, options | {"connection_class": _connection_class(base, guarded_name, of_cluster=True)})
    if target.kind == "sentinel":
        return _sentinel(target, options, guarded_name)
    place: dict[str, Any] = {}
    if target.socket:
        base, place["path"] = UnixDomainSocketConnection, target.socket
    else:
        place["host"], place["port"] = target.hosts[0]
    pool = redis.ConnectionPool(
        connection_class=_connection_class(base, guarded_name), db=target.db, retry=_retry(), **options, **place
    )
    return redis.Redis.from_pool(pool)


def replica_client(target: Target, host: str, port: int) -> redis.Redis:
    """A client, with a pool of its own, for one replica of a target: as the target's servers are reached."""
    guarded_name = target.name if target.read_only else ""
    base: Any = SSLConnection if target.tls else Connection
    kind = _connection_class(base, guarded_name, of_cluster=target.kind == "cluster", of_replica=True)
    pool = redis.ConnectionPool(
        connection_class=kind, db=target.db, retry=_retry(), host=host, port=port, **_options(target)
    )
    return redis.Redis.from_pool(pool)


def _cluster(target: Target, options: dict[str, Any]) -> RedisCluster:
    host, port = target.hosts[0]
    # The URL form is what lets redis-py take a connection class for a cluster's nodes.
    place = f"[{host}]" if ":" in host else host
    try:
        return RedisCluster(
            url=f"redis://{place}:{port}",
            startup_nodes=[ClusterNode(*address) for address in target.hosts[1:]],  # type: ignore[no-untyped-call]
            require_full_coverage=False,
            # Its own retries come after time-outs too, each with another look at all nodes. MOVED and ASK are
            # followed without them; a connection that died while idle fails once.
            retry=Retry(NoBackoff(), 0),
            **options,
        )
    except IndexError:  # redis-py's, for want of a primary
        raise ClusterDown(f"The cluster {target.name} serves no slots: it has no primary.") from None


def _sentinel(target: Target, options: dict[str, Any], guarded_name: str) -> redis.Redis:
    own = {
        "username": target.sentinel_username or None,
        "password": target.sentinel_password or None,
        "socket_timeout": target.timeout,
        "socket_connect_timeout": target.connect_timeout,
        # Without it redis-py asks a sentinel that hangs ten times more, inside the retries of the connection itself.
        "retry": Retry(NoBackoff(), 0),
    }
    if target.tls:
        own |= {name: value for name, value in options.items() if name.startswith("ssl_")} | {"ssl": True}
    watchers = Sentinel(list(target.hosts), sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    base = SentinelManagedSSLConnection if target.tls else SentinelManagedConnection
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        target.service,
        watchers,
        connection_class=_connection_class(base, guarded_name),
        db=target.db,
        retry=_retry(),
        **options,
    )
    return redis.Redis.from_pool(pool)
