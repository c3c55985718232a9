"""Changes that the database has yet to get: a stream of the cache server, read by one consumer group (write-behind).

An entry has the fields kind, row and values (JSON), version and key. It stays in the stream until the database has it,
so the length of the stream is what is owed, and the id of its first entry says since when.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.client import Pipeline

from dashboard.demo.caching.lua import lua
from dashboard.demo.caching.remote import Remote
from dashboard.demo.keyspace import Keyspace

GROUP = "flushers"
BATCH = 500  # changes that are read at once: the more, the more of them one replaces
CLAIM_AFTER_SECONDS = 10.0  # a flusher that has not dealt with its changes for so long is taken for dead
MOST_DEAD = 10_000  # dead letters that are kept, about


@dataclass(frozen=True)
class QueuedChange:
    """One entry of the stream: what a row's changeable columns are from this version on."""

    id: bytes
    kind: str
    row: int | str
    values: Mapping[str, Any]
    version: int
    key: str


@dataclass(frozen=True)
class Unreadable:
    """An entry that no shop has written, or a damaged one."""

    id: bytes


@dataclass(frozen=True)
class QueueFigures:
    """length: changes that the database has yet to get; lag_seconds: age of the oldest of them, by the server's clock;
    dead: dead letters."""

    length: int
    lag_seconds: float
    dead: int


class Queue:
    """Every method raises CacheTrouble."""

    def __init__(self, remote: Remote, keys: Keyspace, claim_after: float = CLAIM_AFTER_SECONDS) -> None:
        self._remote = remote
        self._keys = keys
        self._claim_after = claim_after
        self._settle, self._bury = (remote.script(lua(name)) for name in ("settle", "bury"))

    def batches(self, consumer: str) -> Iterator[list[QueuedChange | Unreadable]]:
        """All that waits, oldest first: what `consumer` was given before and has not settled, with what dead
        flushers had; then what is new. What the caller does not settle comes again next time."""
        if not self._remote.ask(lambda client: client.exists(self._keys.writes)):
            return  # one question, and not five which the server counts as misses of a key that nobody reads
        self._claim(consumer)
        after = b"0"
        while entries := self._read(consumer, after):
            yield entries
            after = entries[-1].id
        while entries := self._read(consumer, b">"):
            yield entries

    def settle(self, key: str, version: int, ids: Sequence[bytes]) -> None:
        """The database has this version of the row of `key`, so the changes that `ids` name are done."""
        self._settle((self._keys.writes, self._keys.pending(key)), (GROUP, version, *ids))

    def is_newest(self, change: QueuedChange) -> bool:
        """Whether no later change of its row was queued."""
        found = self._remote.ask(lambda client: client.hget(self._keys.pending(change.key), "version"))
        return found == str(change.version).encode()

    def bury(self, dead: QueuedChange | Unreadable, reason: str) -> bool:
        """Put it among the dead letters, and let readers see again what the database has. False where it has left the
        queue meanwhile."""
        key, version = (dead.key, dead.version) if isinstance(dead, QueuedChange) else ("", 0)
        keys = (self._keys.writes, self._keys.dead_writes, self._keys.pending(key), key, self._keys.lease(key))
        return bool(self._bury(keys, (GROUP, version, dead.id, reason, MOST_DEAD)))

    def leave(self, consumer: str) -> None:
        """Strike a consumer that ends off the group, unless it leaves something for others to take over."""

        def question(client: redis.Redis) -> None:
            if not client.xpending_range(self._keys.writes, GROUP, "-", "+", 1, consumer):
                client.xgroup_delconsumer(self._keys.writes, GROUP, consumer)

        self._remote.ask(question)

    def length(self) -> int:
        return int(self._remote.ask(lambda client: client.xlen(self._keys.writes)))

    def figures(self) -> QueueFigures:
        """One round trip."""
        writes, dead = self._keys.writes, self._keys.dead_writes

        def questions(pipe: Pipeline) -> None:
            pipe.xlen(writes)
            pipe.xrange(writes, count=1)
            pipe.time()
            pipe.xlen(dead)

        length, oldest, (seconds, micros), buried = self._remote.ask_all(questions)
        begun = int(oldest[0][0].split(b"-")[0]) / 1000 if oldest else seconds + micros / 1e6
        return QueueFigures(length, max(seconds + micros / 1e6 - begun, 0.0), buried)

    def warning(self) -> str | None:
        """What is wrong with the server as the home of a queue, in a sentence; None where nothing is."""
        found = self._remote.ask(lambda client: {**client.info("memory"), **client.info("persistence")})
        if found.get("maxmemory") and str(found.get("maxmemory_policy", "")).startswith("allkeys-"):
            return (
                f"maxmemory-policy is {found['maxmemory_policy']}: the server may evict the queue, and with it changes "
                "that were acknowledged; a volatile-* policy or noeviction keeps it."
            )
        if not found.get("aof_enabled"):
            return (
                "appendonly is off: changes that were acknowledged and not yet written to the database are lost when "
                "the server ends."
            )
        return None

    def _claim(self, consumer: str) -> None:
        """Take over what others have had for too long; it is then among what `consumer` has not settled."""
        idle = round(self._claim_after * 1000)
        self._in_group(lambda client: client.xautoclaim(self._keys.writes, GROUP, consumer, idle, count=BATCH))

    def _read(self, consumer: str, after: bytes) -> list[QueuedChange | Unreadable]:
        streams = {self._keys.writes: after}
        found = self._in_group(lambda client: client.xreadgroup(GROUP, consumer, streams, count=BATCH))
        entries = found[0][1] if found else []
        return [_change(entry_id, fields) for entry_id, fields in entries]

    def _in_group(self, question: Any) -> Any:
        """The answer to a question about the group, which is made where there is a stream and no group yet."""

        def with_group(client: redis.Redis) -> Any:
            try:
                return question(client)
            except redis.ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            if not client.exists(self._keys.writes):
                return []
            _make_group(client, self._keys.writes)
            return question(client)

        return self._remote.ask(with_group)


def _make_group(client: redis.Redis, stream: str) -> None:
    try:
        client.xgroup_create(stream, GROUP, id="0")
    except redis.ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):  # somebody else has just made it
            raise


def _change(entry_id: bytes, fields: Mapping[bytes, bytes] | None) -> QueuedChange | Unreadable:
    try:
        plain = {name.decode(): value.decode() for name, value in (fields or {}).items()}
        row, values, version = json.loads(plain["row"]), json.loads(plain["values"]), int(plain["version"])
        kind, key = plain["kind"], plain["key"]
    except (ValueError, KeyError, RecursionError):
        return Unreadable(entry_id)
    if not isinstance(row, int | str) or isinstance(row, bool) or not isinstance(values, dict):
        return Unreadable(entry_id)
    return QueuedChange(entry_id, kind, row, values, version, key)
