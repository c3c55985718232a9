"""Other servers take over in the middle of an invalidation or its undo: no key is forgotten or counted twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from dashboard.cache.errors import CacheError
from dashboard.cache.invalidation.acting import BY_COMMANDS, BY_SCRIPT
from dashboard.cache.invalidation.mode import Gently
from dashboard.cache.invalidation.report import Done, Undone
from dashboard.cache.invalidation.restore import Options as UndoOptions
from dashboard.cache.invalidation.restore import restore
from dashboard.cache.invalidation.run import Options, invalidate
from dashboard.cache.invalidation.task import Task
from dashboard.cache.invalidation.work import MOVED
from dashboard.cache.reading.keeping import Keeping, Read
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.capability import Capabilities
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking import turns
from dashboard.cache.walking.governor import Budget
from tests.cache.invalidating import Memory, done, undone
from tests.contract.sites import SERVICE, start_sentinel
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, running, start_cluster, start_cluster_replicas

MANY = 3000
STEPS = Options(Budget(share=1.0, first_count=20, hold_ms=0.05), every=0.0)
TASK = Task(Selection(b"k:*"))
TIMEOUTS = "timeout=1&connect_timeout=1"
QUICK = ("--repl-diskless-sync-delay", "0")
TAG = b"{wanderer}"
SLOT = redis.cluster.key_slot(TAG)
WANDERERS = [b"k:%b:%d" % (TAG, number) for number in range(200)]


@pytest.fixture(params=[BY_SCRIPT, BY_COMMANDS])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == BY_COMMANDS:
        able = Capabilities.can
        monkeypatch.setattr(
            Capabilities, "can", lambda self, command: not command.startswith("EVAL") and able(self, command)
        )
    return str(request.param)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={url}?{TIMEOUTS}"))) as cache:
        yield cache


def _until(running: Iterator[Done], keys: int) -> Done:
    return next(found for found in running if found.counts.done >= keys)


def _undo(cache: Cache, safe: Memory) -> Iterator[Undone]:
    return restore(cache, safe.frames, safe.count, safe.standing, options=UndoOptions(STEPS.budget, every=0.0))


# --- a primary's replica takes over -------------------------------------------------------------------------


@contextlib.contextmanager
def _replicated() -> Iterator[tuple[Cluster, list[Server], Cache]]:
    """A cluster of which each primary has a replica that is in step, with MANY keys."""
    options = ("--cluster-node-timeout", "1000", *QUICK)
    cluster, replicas = start_cluster(3, *options), []
    try:
        replicas = start_cluster_replicas(cluster, *options)
        with closing(cluster.client()) as client:
            pipe = client.pipeline()  # type: ignore[no-untyped-call]
            for number in range(MANY):
                pipe.set(f"k:{number}", "v")
            pipe.execute()
        for server in (*cluster.servers, *replicas):
            with server.client() as one:
                wait_until(lambda one=one: _are_all_replicated(one), "every node tells of every replica")  # type: ignore[misc]
        hosts = ",".join(f"{HOST}:{server.port}" for server in (*cluster.servers, *replicas))
        with _opened(f"redis+cluster://{hosts}") as cache:
            yield cluster, replicas, cache
    finally:
        for server in (*cluster.servers, *replicas):
            server.stop()


def _are_all_replicated(client: redis.Redis) -> bool:
    if client.info("replication")["role"] == "master":
        client.execute_command("WAIT", 1, 1000)
    return all(len(nodes) == 2 for _, _, *nodes in client.execute_command(b"CLUSTER", b"SLOTS"))


def _left(servers: list[Server]) -> int:
    """Keys of those of these servers that are primaries now."""
    found = 0
    for server in servers:
        with server.client() as client:
            found += client.dbsize() if client.info("replication")["role"] == "master" else 0
    return found


def test_a_primary_that_is_killed_and_one_that_hands_over_are_followed_by_their_replicas() -> None:
    with _replicated() as (cluster, replicas, cache):
        safe = Memory()
        running = invalidate(cache, TASK, safe, STEPS)
        _until(running, MANY // 4)
        with replicas[0].client() as client:
            client.execute_command("CLUSTER", "FAILOVER")
            wait_until(lambda: client.info("replication")["role"] == "master", "it has taken over")
        before = _until(running, MANY // 2).counts
        assert before.unsure == 0
        cluster.servers[1].stop()
        *_, last = running
        servers = [cluster.servers[0], cluster.servers[2], *replicas]
        assert last.progress.complete, last.progress.lost
        assert last.notes == ()
        # What the killed one had removed and not yet told its replica was found there, and removed once more.
        assert last.counts.removed + last.counts.unsure >= MANY
        assert (_left(servers), len(safe.names)) == (0, MANY)
        undoing = _undo(cache, safe)
        next(found for found in undoing if found.back >= MANY // 4)
        with cluster.servers[0].client() as client:
            client.execute_command("CLUSTER", "FAILOVER")
            wait_until(lambda: client.info("replication")["role"] == "master", "it has taken over again")
        *_, back = undoing
        assert back.restored + back.unsure == MANY
        assert back.refused == {}
        assert _left(servers) == MANY


def test_a_demotion_of_which_the_sentinels_tell_later_is_followed() -> None:
    """By hand: nobody ends the connections to the old primary, which refuses writes."""
    with (
        running(*QUICK) as primary,
        running(*QUICK, "--replicaof", f"{HOST} {primary.port}") as replica,
        primary.client() as client,
        replica.client() as other,
    ):
        client.mset({f"k:{number}": "v" for number in range(MANY)})
        wait_until(lambda: other.info("replication")["master_link_status"] == "up", "it replicates")
        sentinel = start_sentinel(primary)
        try:
            with _opened(f"redis+sentinel://{HOST}:{sentinel.port}/{SERVICE}") as cache:
                safe = Memory()
                running_ = invalidate(cache, TASK, safe, STEPS)
                _until(running_, MANY // 4)
                client.execute_command("WAIT", 1, 5000)
                other.execute_command("REPLICAOF", "NO", "ONE")
                client.execute_command("REPLICAOF", HOST, replica.port)
                with sentinel.client() as watcher:
                    watcher.execute_command("SENTINEL", "REMOVE", SERVICE)
                    watcher.execute_command("SENTINEL", "MONITOR", SERVICE, HOST, replica.port, 1)
                *_, last = running_
                assert (other.dbsize(), len(safe.names)) == (0, MANY)
                assert last.counts.removed + last.counts.unsure == MANY
                assert undone(cache, TASK, safe).restored == MANY
        finally:
            sentinel.stop()


# --- a slot moves -------------------------------------------------------------------------------------------


@dataclass
class Move:
    """A slot with all of WANDERERS: where it is, and where it goes."""

    cluster: Cluster
    cache: Cache
    old: Server
    new: Server

    def begin(self, keys: int) -> None:
        """It is on its way: so many of its keys that there are have been moved, the others not yet."""
        self._tell(self.new, "IMPORTING", _id(self.old))
        self._tell(self.old, "MIGRATING", _id(self.new))
        with self.old.client() as client:
            for key in client.execute_command("CLUSTER", "GETKEYSINSLOT", SLOT, keys):
                client.execute_command("MIGRATE", HOST, self.new.port, key, 0, 5000)

    def end(self) -> None:
        with self.old.client() as client:
            for key in client.execute_command("CLUSTER", "GETKEYSINSLOT", SLOT, 1000):
                client.execute_command("MIGRATE", HOST, self.new.port, key, 0, 5000, "REPLACE")
        for server in (self.new, self.old, *self.cluster.servers):
            self._tell(server, "NODE", _id(self.new))
        wait_until(lambda: all(_owner(server) == self.new.port for server in self.cluster.servers), "all agree")
        self.old, self.new = self.new, self.old

    def _tell(self, server: Server, *words: object) -> None:
        with server.client() as client:
            client.execute_command("CLUSTER", "SETSLOT", SLOT, *words)

    @property
    def left(self) -> int:
        return sum(_size(server) for server in self.cluster.servers)


def _size(server: Server) -> int:
    with server.client() as client:
        return int(client.dbsize())


def _id(server: Server) -> bytes:
    with server.client() as client:
        return bytes(client.execute_command(b"CLUSTER", b"MYID"))


def _owner(server: Server) -> int | None:
    with server.client() as client:
        for first, last, primary, *_ in client.execute_command(b"CLUSTER", b"SLOTS"):
            if first <= SLOT <= last:
                return int(primary[1])
    return None


@pytest.fixture(scope="module")
def _own_cluster() -> Iterator[Cluster]:
    cluster = start_cluster()
    yield cluster
    cluster.stop()


@pytest.fixture
def move(_own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Move]:
    monkeypatch.setattr(turns, "RETRY_SECONDS", 0.05)
    cluster = _own_cluster
    cluster.flush()
    with closing(cluster.client()) as client:
        for key in (*WANDERERS, *(b"k:%d" % number for number in range(600))):
            client.set(key, "v")
    old = next(server for server in cluster.servers if _owner(cluster.servers[0]) == server.port)
    new = next(server for server in cluster.servers if server is not old)
    with _opened(cluster.url) as cache:
        cache.primaries()
        found = Move(cluster, cache, old, new)
        yield found
        cluster.flush()
        for server in cluster.servers:
            found._tell(server, "STABLE")


ALL_KEYS = 800


@pytest.mark.parametrize("vault", [True, False])
def test_keys_of_a_slot_that_is_on_its_way_are_found_on_both_sides(move: Move, way: str, vault: bool) -> None:
    move.begin(100)
    task, safe = Task(Selection(b"k:*"), vault=vault), Memory()
    last = done(move.cache, task, safe, STEPS)
    assert (last.counts.found, last.counts.removed, last.counts.unsure) == (ALL_KEYS, ALL_KEYS, 0)
    assert move.left == 0
    if vault:
        assert undone(move.cache, task, safe).restored == ALL_KEYS
        assert move.left == ALL_KEYS
    move.end()


def test_ttls_of_a_slot_that_is_on_its_way_are_lowered(move: Move, way: str) -> None:
    move.begin(100)
    last = done(move.cache, Task(Selection(b"k:*"), Gently(600)), Memory(), STEPS)
    assert (last.counts.found, last.counts.lowered, last.counts.unsure) == (ALL_KEYS, ALL_KEYS, 0)
    move.end()


@pytest.mark.parametrize("when", ["kept and not yet removed", "found and not yet kept"])
def test_a_slot_that_moves_in_the_middle_is_followed(
    move: Move, way: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are dealt with where they are by then."""
    moving = _once(move)
    safe = Memory(moving if when == "kept and not yet removed" else None)
    if when == "found and not yet kept":
        read = Keeping.read

        def moved_before(self: Keeping, *given: Any, **more: Any) -> Read:
            moving(None)
            return read(self, *given, **more)

        monkeypatch.setattr(Keeping, "read", moved_before)
    last = done(move.cache, TASK, safe, STEPS)
    assert (last.counts.found, last.counts.removed, last.counts.unsure) == (ALL_KEYS, ALL_KEYS, 0)
    assert (move.left, len(safe.names)) == (0, ALL_KEYS)
    assert last.notes == (MOVED,)
    undoing = _undo(move.cache, safe)
    next(undoing)
    _move_at_once(move)
    *_, back = undoing
    assert (back.restored, back.refused, move.left) == (ALL_KEYS, {}, ALL_KEYS)


def test_keys_that_moved_past_the_search_are_said_to_have_been_missed_perhaps(move: Move) -> None:
    """Also where it was ended and taken up meanwhile."""
    safe = Memory()
    running = invalidate(move.cache, TASK, safe, STEPS)
    next(running)
    running.close()  # type: ignore[attr-defined]
    _move_at_once(move)
    last = done(move.cache, TASK, safe, STEPS)
    assert last.notes == (MOVED,)
    assert last.counts.removed == ALL_KEYS - move.left
    assert done(move.cache, TASK, Memory(), STEPS).notes == ()
    assert move.left == 0


def _move_at_once(move: Move) -> None:
    move.begin(0)
    move.end()


def _once(move: Move) -> Callable[[object], None]:
    moved: list[bool] = []

    def at_that_moment(_records: object) -> None:
        if not moved:
            moved.append(True)
            _move_at_once(move)

    return at_that_moment


def test_an_undo_on_a_cluster_that_looks_different_by_now_needs_no_second_try(move: Move, way: str) -> None:
    """The picture of the cluster that Cachedeck has is from before."""
    safe = Memory()
    done(move.cache, TASK, safe, STEPS)
    _move_at_once(move)
    back = undone(move.cache, TASK, safe)
    assert (back.restored, back.refused, move.left) == (ALL_KEYS, {}, ALL_KEYS)


def test_a_slot_that_was_left_half_moved_is_said_and_no_key_is_forgotten(
    move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner sends who asks for a key that it has not to a server that does not know of it."""
    monkeypatch.setattr("dashboard.cache.invalidation.run.PATIENCE_SECONDS", 0.3)
    move._tell(move.old, "MIGRATING", _id(move.new))
    names = Task(Selection(keys=(*WANDERERS, b"k:{wanderer}:gone")))
    safe = Memory()
    with pytest.raises(CacheError, match="is moving these keys between its nodes"):
        done(move.cache, names, safe, STEPS)
    move._tell(move.old, "STABLE")
    counts = done(move.cache, names, safe, STEPS).counts
    assert (counts.found, counts.removed, move.left) == (200, 200, 600)
