"""Stampedes on real servers, made by real readers: what is told of them, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import redis

from dashboard.cache.errors import Denied
from dashboard.cache.notifications.keyevents import SETTING
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.stampedes.episode import LONG_NAME
from dashboard.cache.stampedes.events import flags
from dashboard.cache.stampedes.run import Options, Watch, asks_for_new, watch
from tests.cache.hostile_keys import HOSTILE
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, running, start_cluster
from tests.stampeding import stampede, stampede_of_processes

KEY = "api:product:17"
LONG = Options(seconds=600.0)
READERS = 100


@pytest.fixture(scope="module")
def _told() -> Iterator[Server]:
    with running("--" + SETTING, flags(new=True), "--maxclients", "2000") as server:
        yield server


@pytest.fixture
def server(_told: Server) -> Server:
    with closing(_told.client()) as client:
        client.flushall()
        client.config_resetstat()
    return _told


@pytest.fixture
def plain(server: Server) -> Iterator[redis.Redis]:
    with closing(server.client()) as client:
        yield client


@pytest.fixture
def cache(server: Server) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={server.url}?timeout=60&connect_timeout=60"))) as cache:
        yield cache


class Watching:
    """A watch that goes on while a test does other things: what is told must be taken meanwhile."""

    def __init__(self, cache: Cache, options: Options = LONG) -> None:
        self._snapshots = watch(cache, options)
        self.last: Watch = next(self._snapshots)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go)
        self._thread.start()

    def _go(self) -> None:
        for snapshot in self._snapshots:
            self.last = snapshot
            if self._over.is_set():
                self._snapshots.close()  # type: ignore[attr-defined]
                return

    def reached(self, condition: Callable[[Watch], object], what: str) -> Watch:
        wait_until(lambda: bool(condition(self.last)), what)
        return self.last

    def close(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def watching(cache: Cache) -> Iterator[Watching]:
    with closing(Watching(cache)) as found:
        yield found


def expire(client: redis.Redis | redis.RedisCluster, key: str = KEY) -> None:
    """Let a key be there, and then be gone by its TTL."""
    client.set(key, "old", px=1)
    wait_until(lambda: not client.exists(key), "it expired")


@pytest.mark.parametrize("spread", ["threads", "processes"])
def test_a_hundred_readers_of_an_expired_key_raise_one_alert_without_a_lock_and_none_with_one(
    watching: Watching, server: Server, plain: redis.Redis, spread: str
) -> None:
    def readers(key: str, *, lock: bool) -> None:
        if spread == "threads":
            stampede(server.client, key, READERS, lock=lock)
        else:
            stampede_of_processes(HOST, server.port, key, READERS, 2, lock=lock)

    expire(plain, "api:user:5")
    readers("api:user:5", lock=True)
    found = watching.reached(lambda told: told.found.held, "the lock was seen to hold")
    assert found.found.alerts == ()
    assert found.found.misses >= READERS
    expire(plain)
    readers(KEY, lock=False)
    found = watching.reached(lambda told: told.found.alerts and told.found.filled == 2, "the stampede was told")
    (alert,) = found.found.alerts
    assert alert.key.text == KEY
    assert alert.episodes == 1
    assert alert.latest.cause == "expired"
    assert 20 <= alert.latest.misses <= READERS + 1
    assert alert.latest.refill is not None
    assert alert.latest.refills >= 1
    assert found.unheard == 0
    assert found.gaps == ()


def test_each_cause_is_told_as_the_server_tells_it(
    watching: Watching, server: Server, plain: redis.Redis, cache: Cache
) -> None:
    assert asks_for_new(cache)
    plain.set("removed:1", "x")
    plain.unlink("removed:1")
    stampede(server.client, "removed:1", 30, lock=False)
    stampede(server.client, "never:1", 30, lock=False)
    plain.set("evicted:1", "x")
    plain.config_set("maxmemory-policy", "allkeys-random")
    plain.config_set("maxmemory", 1)
    wait_until(lambda: not plain.exists("evicted:1"), "it was evicted")
    plain.config_set("maxmemory", 0)
    plain.config_set("maxmemory-policy", "noeviction")
    stampede(server.client, "evicted:1", 30, lock=False)
    found = watching.reached(lambda told: len(told.found.alerts) == 3, "all were told")
    causes = {one.key.text: one.latest.cause for one in found.found.alerts}
    assert causes == {"removed:1": "deleted", "never:1": "", "evicted:1": "evicted"}


@pytest.mark.parametrize(
    "refill",
    [
        ("SET", KEY, "x"),
        ("SETEX", KEY, "60", "x"),
        ("HSET", KEY, "f", "v"),
        ("RPUSH", KEY, "a", "b"),
        ("SADD", KEY, "a"),
        ("ZADD", KEY, "1", "a"),
        ("XADD", KEY, "*", "f", "v"),
        ("INCR", KEY),
        ("COPY", "other", KEY),
        ("SUNIONSTORE", KEY, "a set"),
    ],
    ids=lambda refill: refill[0],
)
def test_whatever_type_it_is_it_is_refilled_once(
    watching: Watching, plain: redis.Redis, refill: tuple[str, ...]
) -> None:
    plain.set("other", "x")
    plain.sadd("a set", "x")
    for _ in range(30):
        plain.get(KEY)
    plain.execute_command(*refill)  # type: ignore[no-untyped-call]
    (alert,) = watching.reached(lambda told: told.found.alerts, "it was told").found.alerts
    assert (alert.latest.misses, alert.latest.refills) == (30, 1)


def test_keys_that_are_never_filled_are_told_apart(
    watching: Watching, plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.cache.stampedes.count.ABSENT_SECONDS", 0.3)
    for _ in range(40):
        plain.get("no:such:1")
    found = watching.reached(lambda told: told.found.absent, "it was told")
    assert [(one.key.text, one.misses) for one in found.found.absent] == [("no:such:1", 40)]
    assert found.found.alerts == ()
    assert found.found.keys[0].count == 40


def test_hostile_names_are_told_as_they_are(watching: Watching, plain: redis.Redis) -> None:
    names = [*HOSTILE.values(), b"", b"\r\n+OK\r\n", b"x" * 3_000_000]
    for name in names:
        plain.get(name)
    found = watching.reached(lambda told: told.found.misses == len(names), "all were heard")
    kept = {from_printable(one.key.text) for one in found.found.keys if not one.key.cut}
    assert kept == {name for name in names if len(name) <= LONG_NAME}
    assert {one.key.cut for one in found.found.keys} >= {3_000_000}


def test_hit_ratios_are_told_with_an_interval_that_has_the_truth(
    server: Server, cache: Cache, plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.cache.notifications.primary_listener.LOOK_SECONDS", 0.2)
    plain.set("here:1", "x")
    over = threading.Event()

    def traffic() -> None:
        with closing(server.client()) as client:
            number = 0
            while not over.is_set():
                number += 1
                client.mget("here:1", "here:1", "here:1", f"here:{number % 7 + 2}")
                client.get("gone:1")

    thread = threading.Thread(target=traffic)
    with closing(Watching(cache, Options(seconds=600, reads=True))) as watching:
        thread.start()
        try:
            found = watching.reached(lambda told: told.bursts >= 10 and told.sampled > 500, "it was sampled")
            rows = {row.name: row for row in found.found.namespaces}
        finally:
            over.set()
            thread.join()
    here, gone = rows["here:*"], rows["gone:*"]
    assert here.hit_ratio is not None
    assert gone.hit_ratio is not None
    assert here.hit_ratio.low - 0.05 <= 0.75 <= here.hit_ratio.high + 0.05
    assert gone.hit_ratio.low <= 0.05
    assert here.p50 is None


def test_where_monitor_is_denied_misses_alone_are_told(
    server: Server, plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.cache.notifications.primary_listener.LOOK_SECONDS", 0.2)
    plain.execute_command("ACL", "SETUSER", "mo", "reset", "on", ">pw", "~*", "&*", "+@all", "-monitor")  # type: ignore[no-untyped-call]
    target = parse_target(f"shop=redis://mo:pw@{HOST}:{server.port}?timeout=60")
    with closing(Cache(target)) as cache, closing(Watching(cache, Options(seconds=600, reads=True))) as watching:
        plain.get("gone:1")
        found = watching.reached(lambda told: told.found.misses and told.reads_denied, "it was told")
    assert "MONITOR" in found.reads_denied
    assert found.found.namespaces[0].hit_ratio is None


def test_where_listening_is_denied_it_says_so(server: Server, plain: redis.Redis) -> None:
    plain.execute_command("ACL", "SETUSER", "deaf", "reset", "on", ">pw", "~*", "&*", "+@all", "-subscribe")  # type: ignore[no-untyped-call]
    target = parse_target(f"shop=redis://deaf:pw@{HOST}:{server.port}?timeout=60")
    with closing(Cache(target)) as cache, pytest.raises(Denied):
        next(watch(cache, LONG))


def test_a_connection_that_breaks_is_a_gap_and_it_goes_on(watching: Watching, plain: redis.Redis) -> None:
    for _ in range(30):
        plain.get(KEY)
    watching.reached(lambda told: told.found.misses == 30, "they were heard")
    plain.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
    watching.reached(lambda told: told.gaps and told.gaps[-1].seconds is not None, "it is heard again")
    # What happened in the gap is not known: the misses before it are of no episode any more.
    plain.set(KEY, "x")
    plain.get("sign")
    found = watching.reached(lambda told: told.found.misses == 31, "it goes on")
    assert found.found.alerts == ()


def test_thousands_of_misses_in_pipelines_are_all_counted(watching: Watching, plain: redis.Redis) -> None:
    for start in range(0, 30_000, 5_000):
        pipe = plain.pipeline(transaction=False)
        for number in range(start, start + 5_000):
            pipe.get(f"flood:{number}" if number % 2 else "hot:1")
        pipe.execute()
    found = watching.reached(lambda told: told.found.misses == 30_000, "all were heard")
    assert found.found.keys[0].key.text == "hot:1"
    assert found.found.keys[0].count == 15_000
    assert found.gaps == ()
    assert found.cpu > 0


def test_a_cluster_is_heard_on_every_primary() -> None:
    cluster: Cluster = start_cluster(3, "--" + SETTING, flags(new=True))
    try:
        target = parse_target(f"shop={cluster.url}?timeout=60&connect_timeout=60")
        with closing(Cache(target)) as cache, closing(Watching(cache)) as watching, closing(cluster.client()) as client:
            for name in ("a:1", "b:1", "c:1", "d:1", "e:1"):
                expire(client, name)
                for _ in range(25):
                    client.get(name)
                client.set(name, "x")
            found = watching.reached(lambda told: len(told.found.alerts) == 5, "all were told")
            nodes = {client.get_node_from_key(name).port for name in ("a:1", "b:1", "c:1", "d:1", "e:1")}  # type: ignore[no-untyped-call]
            assert len(nodes) > 1
            assert found.found.misses >= 125
            assert {one.latest.cause for one in found.found.alerts} == {"expired"}
    finally:
        cluster.stop()


def test_it_ends_when_its_time_is_over_and_leaves_no_connection_behind(cache: Cache, plain: redis.Redis) -> None:
    *_, last = watch(cache, Options(seconds=0.5))
    assert last.progress.ended
    assert last.progress.complete

    def listening() -> int:
        return sum(int(one["sub"]) > 0 for one in plain.client_list())

    snapshots = watch(cache, Options(seconds=600, reads=True))
    next(snapshots)
    assert listening() == 1
    snapshots.close()  # type: ignore[attr-defined]
    wait_until(lambda: listening() == 0, "it hung up")
    assert not [one for one in plain.client_list() if "O" in str(one["flags"])]
