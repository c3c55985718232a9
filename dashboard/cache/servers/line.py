"""A connection to one server on which questions are sent before their answers are waited for.

A walk asks all primaries at once like this, and works on one batch while the server works on the next, without a
thread for each. Commands are packed through the connection (so a read-only cache refuses here too), and replies
are read from its parser directly, which takes a third of what redis-py's pipelines take.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis._parsers.hiredis import NOT_ENOUGH_DATA

from dashboard.cache.servers.connect import Cache, Node

Command = tuple[Any, ...]
TRICKLE = 3.0  # times a command's time-out, for the whole of an answer that has begun to come


class Line:
    """Takes a connection from the node's pool when it is first used; `close` gives it back. Raises CacheError."""

    def __init__(self, cache: Cache, node: Node) -> None:
        self._cache = cache
        self._node = node
        self._connection: Any = None
        self._expected = 0
        self._sent_at = 0.0
        self._failure: Exception | None = None

    def send(self, commands: Sequence[Command], words: Sequence[bytes] = ()) -> None:
        """Send commands; their replies are then to be read, all of them. words: further ones of the last command."""
        with self._cache.asking(self._node), self._or_hang_up():
            pack = self._taken().pack_commands
            if not words:
                self._send(pack(commands), len(commands))
                return
            ending = _lengthened(b"".join(pack(commands[-1:])), words)
            self._send([*pack(commands[:-1]), ending], len(commands))

    def ask_of_each(
        self,
        heads: Sequence[bytes],
        keys: Sequence[bytes],
        before: Sequence[Command] = (),
        after: Sequence[Command] = (),
    ) -> None:
        """Send the commands with these `heads` (see `head`) for each of the keys, between those `before` and `after`.

        Packed by hand, which takes a tenth of what packing each command takes. For commands that only look: it passes
        by what refuses others for a cache declared read-only.
        """
        frame = b"".join(head + b"$%d\r\n%b\r\n" for head in heads)
        asked = [frame % ((len(key), key) * len(heads)) for key in keys]
        with self._cache.asking(self._node), self._or_hang_up():
            pack = self._taken().pack_commands
            packed = b"".join([*pack(before), *asked, *pack(after)])
            self._send([packed], len(before) + len(heads) * len(keys) + len(after))

    def _taken(self) -> Any:
        if self._connection is None:
            self._connection = self._node.client.connection_pool.get_connection()
        return self._connection

    def _send(self, packed: Sequence[bytes], expected: int) -> None:
        self._connection.send_packed_command(packed)
        self._expected = expected
        self._sent_at = time.monotonic()

    def fileno(self) -> int:
        """Of the socket, to wait for what comes."""
        return int(self._connection._sock.fileno())

    def ready(self) -> bool:
        """Whether an answer has begun to come (or never will, which `read` then says)."""
        try:
            return self._connection is None or self.overdue() or bool(self._connection.can_read(0))
        except (redis.RedisError, OSError) as error:
            self._failure = error
            return True

    def overdue(self) -> bool:
        """Whether the answer lets us wait for longer than a command may take."""
        return time.monotonic() - self._sent_at > self._cache.target.timeout

    def read(self) -> list[Any]:
        """The replies, in order; a command's error stands in the list as redis-py's exception."""
        with self._cache.asking(self._node), self._or_hang_up():
            if self._failure is not None:
                raise self._failure
            if self.overdue() and not self._connection.can_read(0):
                raise redis.TimeoutError
            replies = self._replies()
        self._expected = 0
        return replies

    def _replies(self) -> list[Any]:
        """As many as are expected. A server that lets them trickle has a few times as long as a command may take, not
        for ever."""
        parser = self._connection._parser
        get = parser._reader.gets
        replies: list[Any] = []
        while len(replies) < self._expected:
            reply = get(False)
            if reply is NOT_ENOUGH_DATA:
                left = self._sent_at + TRICKLE * self._cache.target.timeout - time.monotonic()
                if left <= 0:
                    raise redis.TimeoutError
                parser.read_from_socket(timeout=min(left, self._cache.target.timeout))
            elif isinstance(reply, redis.ConnectionError):
                raise reply
            else:
                replies.append(reply)
        return replies

    def close(self) -> None:
        """Give the connection back, or end it where answers are still to come: they would be taken for others."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._expected:
                connection.disconnect()
            self._node.client.connection_pool.release(connection)
        self._expected = 0

    def _or_hang_up(self) -> _HangingUp:
        return _HangingUp(self)


class _HangingUp:
    """After an error nobody knows what the next bytes on a connection belong to."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._line._expected = 1
            self._line.close()


def head(*words: bytes) -> bytes:
    """The beginning of a command in RESP, to be followed by a key."""
    parts = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    return b"*%d\r\n%b" % (len(words) + 1, parts)


def _lengthened(command: bytes, words: Sequence[bytes]) -> bytes:
    """A packed command with more words at its end: packed by hand, as in Line.ask_of_each."""
    count, _, rest = command.partition(b"\r\n")
    more = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join([b"*%d\r\n" % (int(count[1:]) + len(more)), rest, *more])


def packed(cache: Cache, node: Node, commands: Sequence[Command], words: Sequence[bytes] = ()) -> list[Any]:
    """Many small questions in one round trip, and their replies. words: as in Line.send. Raises CacheError."""
    if not commands:
        return []
    line = Line(cache, node)
    try:
        line.send(commands, words)
        return line.read()
    finally:
        line.close()


def first_ready(lines: Mapping[str, Line], seconds: float | None) -> str | None:
    """The name of a line that has something to read, waiting for it so long (None: as long as a command may take)."""
    if len(lines) == 1 and seconds is None:
        return next(iter(lines))  # reading waits as well
    for name, line in lines.items():
        if line.ready():
            return name
    patience = min(line._cache.target.timeout for line in lines.values())
    wait = patience if seconds is None else min(seconds, patience)
    try:
        select.select(list(lines.values()), [], [], wait)
    except ValueError:  # a descriptor of 1024 and more
        poll = select.poll()
        for line in lines.values():
            poll.register(line, select.POLLIN)
        poll.poll(wait * 1000)
    return next((name for name, line in lines.items() if line.ready()), None)
