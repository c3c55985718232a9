"""What this user may do on this server, found out by asking for each thing in its most harmless form.

A server says NOPERM before it looks at a command's arguments' meaning, so a setting that does not
exist or a key that nobody has tells whether the command is allowed without doing anything. All
questions go in one round trip over a connection of their own, which is closed afterwards: SUBSCRIBE
and MONITOR would change the state of a shared one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from redis.exceptions import NoPermissionError, RedisError

from dashboard.cache.errors import Busy, CacheError, Loading, translate
from dashboard.cache.servers.guard import only_looks

NOT_ALLOWED = "not allowed for this user"
NOT_KNOWN = "not known to this server"
READ_ONLY = "the cache is declared read-only"
UNSAFE = "would crash this version of the server while slots move"


@dataclass(frozen=True)
class Capabilities:
    """Product and version as the server names itself, and each command of ours that it denies, with why."""

    product: str
    version: str
    mode: str = "standalone"
    denied: Mapping[str, str] = field(default_factory=dict)

    def can(self, command: str) -> bool:
        """Whether a command such as "UNLINK" or "CONFIG SET" may be used here."""
        return command not in self.denied

    def why_not(self, command: str) -> str:
        """'CONFIG SET: not allowed for this user', or '' where it is allowed."""
        return f"{command}: {self.denied[command]}" if command in self.denied else ""

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers, for comparing; () where the server tells none."""
        return tuple(int(part) for part in self.version.split(".") if part.isdigit())


def no_touch_is_safe(product: str, release: tuple[int, ...]) -> bool:
    """Whether a cluster's node survives CLIENT NO-TOUCH.

    Redis 8.0 to 8.2 and some of Valkey 7.2 to 8.1 follow a null pointer when such a client names a key of a
    slot that is being moved (redis/redis#13512 and #14415, valkey-io/valkey#1499 and #2347).
    """
    if product.lower() == "valkey":
        return release >= (9, 0)
    return release[:1] == (7,) or release >= (8, 4)


def _questions(key: bytes) -> dict[str, tuple[object, ...]]:
    """Command -> its harmless form. The order matters: what changes the connection's state comes last."""
    return {
        "INFO": ("INFO", "server"),
        "DBSIZE": ("DBSIZE",),
        "SCAN": ("SCAN", "0", "MATCH", key, "COUNT", "1"),
        "TYPE": ("TYPE", key),
        "PTTL": ("PTTL", key),
        "MEMORY USAGE": ("MEMORY", "USAGE", key),
        "OBJECT": ("OBJECT", "ENCODING", key),
        "UNLINK": ("UNLINK", key),
        "DEL": ("DEL", key),
        "PEXPIRE": ("PEXPIRE", key, "1"),
        "DUMP": ("DUMP", key),
        "RESTORE": ("RESTORE", key, "0", "this is no dump"),
        "PUBLISH": ("PUBLISH", key, ""),
        "SPUBLISH": ("SPUBLISH", key, ""),
        "PERSIST": ("PERSIST", key),
        "EVAL": ("EVAL", "return 1", "0"),
        "EVAL_RO": ("EVAL_RO", "return 1", "0"),
        "CONFIG GET": ("CONFIG", "GET", "maxmemory"),
        "CONFIG SET": ("CONFIG", "SET", "cachedeck-probe", "1"),
        "CLIENT": ("CLIENT", "ID"),
        "CLIENT NO-TOUCH": ("CLIENT", "NO-TOUCH", "ON"),
        "LATENCY": ("LATENCY", "LATEST"),
        "LATENCY HISTOGRAM": ("LATENCY", "HISTOGRAM", "cachedeck-probe"),
        "SLOWLOG": ("SLOWLOG", "LEN"),
        "SUBSCRIBE": ("SUBSCRIBE", key),
        "UNSUBSCRIBE": ("UNSUBSCRIBE", key),
        "MONITOR": ("MONITOR",),
    }


def probe(client: redis.Redis, *, read_only: bool) -> Capabilities:
    """Ask one server (1 round trip). Raises redis-py's exceptions, also while it is loading or runs a script."""
    questions = _questions(b"cachedeck:probe:" + secrets.token_hex(8).encode())
    asked = {name: words for name, words in questions.items() if not read_only or only_looks(words)}
    connection: Any = client.connection_pool.make_connection()
    try:
        connection.connect()
        connection.send_packed_command(connection.pack_commands(asked.values()), check_health=False)
        replies = {name: _reply(connection) for name in asked}
    finally:
        connection.disconnect()
    denied = dict.fromkeys(questions.keys() - asked.keys(), READ_ONLY)
    denied |= {name: reason for name, reply in replies.items() if (reason := _reason(reply))}
    denied.pop("UNSUBSCRIBE", None)
    return _capabilities(replies.get("INFO"), denied)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except (RedisError, CacheError) as error:
        if isinstance(error, redis.ConnectionError | redis.TimeoutError):
            raise
        return error


def _reason(reply: object) -> str:
    if not isinstance(reply, RedisError):
        return ""
    if isinstance(translate(reply, ""), Loading | Busy):  # it says nothing about permission
        raise reply
    text = str(reply).lower()
    if isinstance(reply, NoPermissionError):
        # A user that may run the command but not on our invented key (or channel) is allowed to run it.
        return "" if ("key" in text or "channel" in text) and "command" not in text else NOT_ALLOWED
    if (
        text.startswith(("unknown command", "unknown subcommand", "err unknown command"))
        or "unknown subcommand" in text
    ):
        return NOT_KNOWN
    return ""


def _capabilities(info: object, denied: Mapping[str, str]) -> Capabilities:
    """Names the product: a Valkey server also tells a Redis version for old clients, which is not its own."""
    lines = info.decode("utf-8", "replace").splitlines() if isinstance(info, bytes) else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    mode = facts.get("redis_mode", facts.get("server_mode", "standalone"))
    for product, field_name in (
        ("Valkey", "valkey_version"),
        ("Dragonfly", "dragonfly_version"),
        ("Garnet", "garnet_version"),
        ("Redis", "redis_version"),
    ):
        if field_name in facts:
            found = Capabilities(product, facts[field_name].removeprefix("df-v"), mode, denied)
            if mode == "cluster" and not no_touch_is_safe(product, found.release):
                return replace(found, denied={"CLIENT NO-TOUCH": UNSAFE, **denied})
            return found
    return Capabilities("Redis-compatible server", "", mode, denied)
