"""One connection that hears what one node tells. It is read without redis-py's own loop, which takes twenty times as
long for a message, and on a busy cache there are tens of thousands a second.

RESP2, as everywhere, and RESP3 where client-side caching's stream is asked for, which nothing else carries.
https://valkey.io/topics/pubsub/, /topics/client-side-caching/, /topics/protocol/ (push types).
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from redis._parsers.hiredis import NOT_ENOUGH_DATA

from dashboard.cache.errors import CacheError, Denied, ServerError, TimedOut, translate
from dashboard.cache.events.subscription import PREFIXES, Kind, Source, Subscription
from dashboard.cache.selecting.glob import is_wild
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.servers.connect import Cache, Node

PING_SECONDS = 2.0
"""How often the server is asked whether it is there: where nothing happens, silence says nothing."""
READ_BYTES = 256 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""Of one message. A larger one is not waited for: it would have to be held as a whole."""
MOST_READS = 16  # of one take, so that a flood comes in portions

_SUBSCRIBE: dict[Kind, str] = {
    "channel": "SUBSCRIBE",
    "pattern": "PSUBSCRIBE",
    "sharded": "SSUBSCRIBE",
    "event": "PSUBSCRIBE",
    "key": "PSUBSCRIBE",
}
_TOLD = frozenset({b"message", b"pmessage", b"smessage", b"invalidate"})


def _verb(source: Source) -> str:
    """A notification without a wildcard in its name is a channel like any other, and told at less cost."""
    plain = source.kind in PREFIXES and b"\\" not in source.name and not is_wild(source.name)
    return "SUBSCRIBE" if plain else _SUBSCRIBE[source.kind]


@dataclass(frozen=True)
class Refusal:
    """A source that is not heard, and why."""

    source: Source
    error: CacheError


class Ear:
    """What one node tells of a subscription, on a connection of its own. Raises CacheError; then it is to be closed.

    refusals: sources that this user may not listen to, or that this server does not know; Ear() raises the first where
    nothing is left. bytes: that came by the network since. asked, answered: pings sent, and answered.

    Two round trips to connect, and one for all sources.
    """

    def __init__(self, cache: Cache, node: Node, subscription: Subscription) -> None:
        self.node = node
        self.bytes = 0
        self.asked = self.answered = 0
        self.refusals: tuple[Refusal, ...] = ()
        self._cache = cache
        self._unfinished = 0
        self._early: list[list[Any]] = []
        self._into = bytearray(READ_BYTES)
        self._asked_at = self._read_at = time.monotonic()
        with cache.asking(node):
            pool: Any = node.client.connection_pool
            self._connection = pool.connection_class(
                **{**pool.connection_kwargs, "protocol": 3 if subscription.tracks else 2}
            )
            try:
                self._connection.connect()
                self._listen(subscription)
            except BaseException:
                self._connection.disconnect()
                raise

    def fileno(self) -> int:
        """Of the socket, to wait for what comes. Raises TimedOut where the connection is gone."""
        sock = self._connection._sock
        if sock is None:
            raise TimedOut(f"{self.node.name} has closed the connection.")
        return int(sock.fileno())

    def take(self) -> list[list[Any]]:
        """What has come by now, in its order, as servers write it; waits for nothing.

        [b"message" or b"smessage", channel, payload], [b"pmessage", pattern, channel, payload],
        [b"invalidate", [key, ...] or None for all of them].
        """
        found, self._early = self._early, []
        with self._cache.asking(self.node):
            for _ in range(MOST_READS):
                if not self._read():
                    break
                for message in self._whole():
                    if message[0] in _TOLD:
                        found.append(message)
                    elif message[0] == b"sunsubscribe":
                        raise ServerError(f"{self.node.name} owns a sharded channel's slot no more.")
        return found

    def ping(self) -> None:
        """Ask for a sign of life, once in a while; what was published before comes before its answer.

        Raises TimedOut where the one before was not answered in time. In a flood the answer stands at the end of a
        queue: whoever has something to say is there.
        """
        now = time.monotonic()
        if self.answered < self.asked:
            if now - max(self._asked_at, self._read_at) > self._cache.target.timeout:
                raise TimedOut(f"{self.node.name} did not answer within the time-out.")
            return
        if now - self._asked_at >= PING_SECONDS:
            self._ask(now)

    def drained(self, seconds: float) -> list[list[Any]]:
        """All that was published before now; waits for it so long at most."""
        found, ends = list[list[Any]](), time.monotonic() + seconds
        self._ask(time.monotonic())
        while self.answered < self.asked and time.monotonic() < ends:
            self._wait(ends)
            found += self.take()
        return found

    def close(self) -> None:
        with suppress(redis.RedisError, OSError):
            self._connection.disconnect()

    def _ask(self, now: float) -> None:
        self._asked_at = now
        with self._cache.asking(self.node):
            self._connection.send_command("PING", check_health=False)
            self.asked += 1

    def _listen(self, subscription: Subscription) -> None:
        """One command for each source, so that a refusal can be told to belong to it."""
        db = self._cache.target.db
        plain = [one for one in subscription.sources if one.kind != "tracking"]
        commands: list[tuple[Any, ...]] = [(_verb(one), one.channel(db)) for one in plain]
        sources, prefixes = [*plain], subscription.names("tracking")
        if prefixes:
            sources.insert(0, Source("tracking", prefixes[0]))
            # An empty prefix would be taken for one of its own: all keys are no prefix at all.
            named = [word for prefix in prefixes if prefix for word in ("PREFIX", prefix)]
            commands.insert(0, ("CLIENT", "TRACKING", "ON", "BCAST", *named))
        pack = self._connection.pack_command
        self._connection.send_packed_command([part for one in commands for part in pack(*one)], check_health=False)
        self._confirm(sources)

    def _confirm(self, sources: Sequence[Source]) -> None:
        """Wait for an answer to each command; what is published meanwhile is kept for take()."""
        refused, left = list[Refusal](), list(sources)
        ends = time.monotonic() + self._cache.target.timeout
        while left:
            self._wait(ends)
            if time.monotonic() > ends:
                raise TimedOut(f"{self.node.name} did not answer within the time-out.")
            while self._read():  # with TLS, more may have come than the socket itself tells of
                pass
            for reply in self._whole(errors=True):
                if isinstance(reply, Exception):
                    refused.append(Refusal(left[0], self._refusal(left[0], reply)))
                elif isinstance(reply, list) and reply[0] in _TOLD:
                    self._early.append(reply)
                    continue
                left.pop(0)
        self.bytes = 0
        self.refusals = tuple(refused)
        if len(refused) == len(sources):
            raise refused[0].error

    def _refusal(self, source: Source, reply: Exception) -> CacheError:
        error = reply if isinstance(reply, CacheError) else translate(reply, self._cache.name)
        if not isinstance(error, Denied):
            return error
        if error.command:
            return error
        return Denied(
            f"Cachedeck's user on {self._cache.name} may not listen to the channel "
            f"{printable(source.channel(self._cache.target.db))} (NOPERM).",
        )

    def _wait(self, ends: float) -> None:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        poll.poll(max(ends - time.monotonic(), 0.0) * 1000)

    def _read(self) -> bool:
        """Feed the parser with what has come; whether something had. Raises redis-py's errors."""
        sock = self._connection._sock
        if sock is None:
            raise redis.ConnectionError("The connection is closed.")
        sock.settimeout(0)
        try:
            size = sock.recv_into(self._into)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            sock.settimeout(self._cache.target.timeout)
        if not size:
            raise redis.ConnectionError("The server has closed the connection.")
        self._connection._parser._reader.feed(self._into, 0, size)
        self._read_at = time.monotonic()
        self.bytes += size
        self._unfinished += size
        if self._unfinished > MOST_BYTES:
            raise ServerError(f"{self.node.name} tells a message of more than {MOST_BYTES >> 20} MB: it is not taken.")
        return True

    def _whole(self, *, errors: bool = False) -> list[Any]:
        """The replies that are there as a whole. Raises an error reply, unless errors are wanted as such."""
        get, found = self._connection._parser._reader.gets, list[Any]()
        while (reply := get(False)) is not NOT_ENOUGH_DATA:
            self._unfinished = 0
            if isinstance(reply, Exception):
                if not errors:
                    raise reply
                found.append(reply)
            elif isinstance(reply, list):
                if reply[0] == b"pong":
                    self.answered += 1
                else:
                    found.append(reply)
            elif reply == b"PONG":
                self.answered += 1
            elif errors:
                found.append(reply)
        return found
