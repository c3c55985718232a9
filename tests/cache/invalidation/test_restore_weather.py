"""Bad weather for an undo: what cannot be given back is said key by key, and what was ended is done again."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import redis

from dashboard.cache.errors import CacheError, Denied, OutOfMemory, ReadOnlyCache, ReadOnlyReplica, ServerError
from dashboard.cache.invalidation.mode import Now, Stale
from dashboard.cache.invalidation.report import Undone
from dashboard.cache.invalidation.restore import NEWER, Options, restore
from dashboard.cache.invalidation.task import Task
from dashboard.cache.reading.keeping import Kept
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers import connect
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking import turns
from dashboard.cache.walking.governor import Budget
from tests.cache.invalidating import Memory, done, undone
from tests.servers import Server
from tests.wire import wire_to

MANY = 600
ALL = "~* &* +@all"
TASK = Task(Selection(b"k:*"))
WAYS = ("", " -@scripting")
STEPS = Budget(share=1.0, first_count=20, hold_ms=0.05)
MODULE_2 = b"\x07"  # the type of a module's value in an RDB file, followed by the module's number


@dataclass
class Removed:
    """A server from which MANY keys k:* were removed, and what is in the vault of them."""

    server: Server
    client: redis.Redis
    safe: Memory
    task: Task = TASK

    def may(self, rights: str) -> None:
        self.client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", *rights.split())

    def cache(self, port: int | None = None, query: str = "") -> closing[Cache]:
        url = f"redis://bob:pw@127.0.0.1:{port or self.server.port}?timeout=0.4&connect_timeout=0.4{query}"
        return closing(Cache(parse_target(f"shop={url}")))

    def undo(self, cache: Cache) -> Iterator[Undone]:
        options = Options(STEPS, every=0.0, lowered=self.task.lowers)
        return restore(cache, self.safe.frames, self.safe.count, self.safe.standing, options=options)

    def tamper(self, key: bytes, dump: bytes) -> None:
        for frame in self.safe.held:
            frame[:] = [Kept(one.key, one.pttl, one.at, dump) if one.key == key else one for one in frame]

    @property
    def back(self) -> int:
        return int(self.client.dbsize())


@pytest.fixture
def removed(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Removed]:
    monkeypatch.setattr(turns, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(connect, "FAILURE_SECONDS", 0.05)
    with valkey.client() as client:
        client.mset({f"k:{number}": f"{number} " * 500 for number in range(MANY)})
        found = Removed(valkey, client, Memory())
        found.may(ALL)
        with found.cache() as cache:
            done(cache, TASK, found.safe)
        assert found.back == 0
        yield found
        client.execute_command("ACL", "DELUSER", "bob")


def _until(running: Iterator[Undone], keys: int = MANY // 3) -> Undone:
    return next(found for found in running if found.back >= keys)


def _drained(running: Iterator[Undone], kind: type[CacheError]) -> tuple[Undone | None, CacheError]:
    seen: list[Undone] = []
    with pytest.raises(kind) as error:
        seen.extend(running)
    return seen[-1] if seen else None, error.value


@pytest.mark.parametrize("scripts", WAYS)
def test_where_the_memory_is_used_up_what_came_back_is_counted_and_the_rest_comes_back_later(
    removed: Removed, scripts: str
) -> None:
    removed.may(ALL + scripts)
    used = removed.client.info("memory")["used_memory"]
    removed.client.config_set("maxmemory", used + 400_000)
    with removed.cache() as cache:
        last, error = _drained(removed.undo(cache), OutOfMemory)
        assert "maxmemory reached" in error.sentence
        assert last
        assert 0 < last.restored == removed.back < MANY
        assert last.refused == {}
        removed.client.config_set("maxmemory", 0)
        again = undone(cache, TASK, removed.safe)
    assert (again.restored, again.same) == (MANY - last.restored, last.restored)
    assert removed.back == MANY


@pytest.mark.parametrize("scripts", WAYS)
def test_what_this_server_cannot_read_is_refused_key_by_key_and_the_rest_comes_back(
    removed: Removed, scripts: str
) -> None:
    removed.may(ALL + scripts)
    dump = next(one.dump for frame in removed.safe.held for one in frame if one.key == b"k:1")
    removed.tamper(b"k:1", dump[:-20] + b"x" + dump[-19:])
    removed.tamper(b"k:2", _dump_of(dump[:-10], version=9999))
    removed.tamper(b"k:3", _dump_of(MODULE_2 + b"\x81" + b"nobodys8" + b"\x00"))
    removed.tamper(b"k:4", b"")
    with removed.cache() as cache:
        last = undone(cache, TASK, removed.safe)
    assert (last.restored, sum(last.refused.values()), removed.back) == (MANY - 4, 4, MANY - 4)
    told = {one.name: one.why for one in last.named}
    assert set(told) == {"k:1", "k:2", "k:3", "k:4"}
    assert all("is damaged, or of a newer version" in told[key] for key in ("k:1", "k:2", "k:4"))
    assert "of a type that it does not know" in told["k:3"]
    assert last.progress.ended


def _dump_of(body: bytes, version: int = 11) -> bytes:
    """What DUMP would give: what a value is, the format's version, and a CRC-64 (Jones) of both."""
    whole = body + version.to_bytes(2, "little")
    crc = 0
    for byte in whole:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return whole + crc.to_bytes(8, "little")


def test_the_checksum_of_these_tests_is_that_of_the_server(removed: Removed) -> None:
    one = removed.safe.held[0][0]
    assert _dump_of(one.dump[:-10], int.from_bytes(one.dump[-10:-8], "little")) == one.dump


@pytest.mark.parametrize("scripts", WAYS)
def test_keys_that_exist_again_are_left_whatever_they_are(removed: Removed, scripts: str) -> None:
    removed.may(ALL + scripts)
    removed.client.set("k:1", "other")
    removed.client.hset("k:2", "f", "v")
    kept = next(one.dump for frame in removed.safe.held for one in frame if one.key == b"k:3")
    removed.client.restore("k:3", 900_000, kept)
    with removed.cache() as cache:
        last = undone(cache, TASK, removed.safe)
    assert (last.restored, last.newer) == (MANY - 3, 3)
    assert {one.name: one.why for one in last.named} == dict.fromkeys(("k:1", "k:2", "k:3"), NEWER)
    assert (removed.client.get("k:1"), removed.client.type("k:2")) == (b"other", b"hash")
    assert removed.client.ttl("k:3") > 0


@pytest.mark.parametrize("scripts", WAYS)
def test_one_that_is_ended_in_the_middle_is_done_again(removed: Removed, scripts: str) -> None:
    removed.may(ALL + scripts)
    with removed.cache() as cache:
        running = removed.undo(cache)
        first = _until(running)
        running.close()  # type: ignore[attr-defined]
        assert first.restored == removed.back
        removed.client.set(removed.client.randomkey(), "changed since")
        *_, last = removed.undo(cache)
    assert (last.restored, last.same, last.newer) == (MANY - first.restored, first.restored - 1, 1)
    assert removed.back == MANY


@pytest.mark.parametrize("scripts", WAYS)
def test_a_right_that_is_taken_away_in_the_middle_ends_it_with_exact_counts(removed: Removed, scripts: str) -> None:
    removed.may(ALL + scripts)
    with removed.cache() as cache:
        running = removed.undo(cache)
        _until(running)
        removed.may(f"{ALL} -restore{scripts}")
        last, error = _drained(running, Denied)
        assert error.sentence == "Cachedeck's user on shop may not run RESTORE."
        assert last
        assert (last.restored, last.refused) == (removed.back, {})
        removed.may(ALL + scripts)
        assert undone(cache, TASK, removed.safe).restored == MANY - last.restored


def test_where_restoring_is_denied_it_is_said_before_anything_is_done(removed: Removed) -> None:
    removed.may(f"{ALL} -restore")
    with removed.cache() as cache:
        _, error = _drained(removed.undo(cache), Denied)
    assert error.sentence == "Cachedeck's user on shop may not run RESTORE, so nothing can be given back."


def test_a_cache_that_is_declared_read_only_is_given_nothing(removed: Removed) -> None:
    with removed.cache(query="&read_only=yes") as cache:
        _drained(removed.undo(cache), ReadOnlyCache)
    assert removed.back == 0


@pytest.mark.parametrize("scripts", WAYS)
def test_keys_that_are_not_this_users_are_refused_one_by_one(removed: Removed, scripts: str) -> None:
    removed.may(f"~k:1* &* +@all{scripts}")
    with removed.cache() as cache:
        last = undone(cache, TASK, removed.safe)
    mine = sum(str(number).startswith("1") for number in range(MANY))
    assert (last.restored, removed.back) == (mine, mine)
    assert last.refused == {"Cachedeck's user on shop has no permission for this key.": MANY - mine}


@pytest.mark.parametrize("scripts", WAYS)
def test_what_a_call_has_given_back_whose_answer_was_lost_is_unsure(removed: Removed, scripts: str) -> None:
    removed.may(ALL + scripts)
    with wire_to(removed.server) as wire, removed.cache(wire.port) as cache:
        running = removed.undo(cache)
        _until(running)
        wire.lose(b"RESTORE")
        *_, last = running
        assert wire.has_lost
    assert (last.restored + last.unsure, last.same, last.newer) == (MANY, 0, 0)
    assert last.unsure > 0
    assert removed.back == MANY


def test_a_server_that_hangs_for_a_while_is_waited_for(removed: Removed) -> None:
    with removed.cache() as cache:
        running = removed.undo(cache)
        _until(running)
        os.kill(removed.server.process.pid, signal.SIGSTOP)
        timer = threading.Timer(0.7, lambda: os.kill(removed.server.process.pid, signal.SIGCONT))
        timer.start()
        *_, last = running
        timer.join()
    assert (last.restored + last.unsure, last.same) == (MANY, 0)
    assert removed.back == MANY


@pytest.mark.parametrize("scripts", WAYS)
def test_a_primary_that_becomes_a_replica_ends_it_and_one_that_is_so_for_a_moment_does_not(
    removed: Removed, scripts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed.may(ALL + scripts)
    with removed.cache() as cache:
        running = removed.undo(cache)
        first = _until(running, MANY // 4)
        with _demoted(removed.client):
            for _ in range(10):
                next(running)
        _until(running, first.restored + MANY // 4)
        monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.1)
        with _demoted(removed.client):
            last, error = _drained(running, ReadOnlyReplica)
        assert error.sentence == "shop refuses writes: it is a read-only replica."
        assert last
        assert (last.restored, last.refused) == (removed.back, {})
        assert undone(cache, TASK, removed.safe).restored == MANY - last.restored


@contextlib.contextmanager
def _demoted(client: redis.Redis) -> Iterator[None]:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("scripts", WAYS)
def test_where_no_write_is_taken_it_is_said_once_and_not_of_each_key(removed: Removed, scripts: str) -> None:
    removed.may(ALL + scripts)
    removed.client.config_set("min-replicas-to-write", 1)
    try:
        with removed.cache() as cache:
            last, error = _drained(removed.undo(cache), ServerError)
    finally:
        removed.client.config_set("min-replicas-to-write", 0)
    assert "Not enough good replicas to write" in error.sentence
    assert last
    assert (last.restored, last.refused) == (0, {})


@pytest.mark.parametrize("scripts", WAYS)
@pytest.mark.parametrize("mode", [Now(), Stale(1000)])
def test_what_was_kept_once_more_comes_back_as_it_was_last(removed: Removed, mode: Now | Stale, scripts: str) -> None:
    """Whichever part of it was done before the undo was ended."""
    removed.may(ALL + scripts)
    written: list[bytes] = []

    def write(records: list[Kept]) -> None:
        if not written:
            written.append(records[0].key)
            removed.client.set(written[0], "the last value")

    removed.client.mset({f"late:{number}": "v" for number in range(50)})
    task, safe = Task(Selection(b"late:*"), mode), Memory(write)  # type: ignore[arg-type]
    with removed.cache() as cache:
        done(cache, task, safe)
        options = Options(Budget(share=1.0, first_count=1, hold_ms=0.01), every=0.0, lowered=task.lowers)
        running = restore(cache, safe.frames, safe.count, safe.standing, options=options)
        first = _until(running, 10)
        running.close()  # type: ignore[attr-defined]
        last = undone(cache, task, safe)
    assert (first.back + last.back, last.same, last.newer) == (50, first.back, 0)
    assert removed.client.get(written[0]) == b"the last value"
    assert removed.client.ttl(written[0]) == -1
