"""Regret, measured on real servers that evict, are restarted, fail over, or are too fast for who listens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from dashboard.cache.errors import CacheError, Denied
from dashboard.cache.eviction.regret import Options, Trace, regret
from dashboard.cache.notifications.keyevents import FLAGS, SETTING
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.programs import wait_until
from tests.servers import HOST, Server, running, start_cluster, start_cluster_replicas

TOLD = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru", "--" + SETTING, FLAGS)
LONG = Options(seconds=60.0, followed=60.0, confirm=False)
SHORT = Options(seconds=1.5, followed=0.5, confirm=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with running(*TOLD) as server:
        yield server


@pytest.fixture
def plain(server: Server) -> Iterator[redis.Redis]:
    with closing(server.client()) as client:
        yield client


@pytest.fixture
def cache(server: Server) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={server.url}?timeout=1&connect_timeout=1"))) as cache:
        yield cache


def press(client: redis.Redis | redis.RedisCluster, keys: int = 4000) -> None:
    """Write so much that keys are evicted."""
    stamp = time.monotonic_ns()
    pipe = client.pipeline(transaction=False) if isinstance(client, redis.Redis) else client.pipeline()
    for number in range(keys):
        pipe.set(f"key:{stamp}:{number}", "x" * 2000)
    pipe.execute()


def evicted(client: redis.Redis) -> int:
    return int(client.info("stats")["evicted_keys"])


def reached(snapshots: Iterator[Trace], condition: object, seconds: float = 120.0) -> Trace:
    """The first snapshot that meets a condition."""
    ends = time.monotonic() + seconds
    for trace in snapshots:
        if condition(trace):  # type: ignore[operator]
            return trace
        assert time.monotonic() < ends, trace
    raise AssertionError("it ended without")


def test_every_eviction_that_the_server_counts_is_heard_of(cache: Cache, plain: redis.Redis) -> None:
    snapshots = regret(cache, SHORT)
    next(snapshots)
    press(plain)
    *_, last = snapshots
    # Memory is full to the brim: a connection more or less may cost a key at any moment.
    assert 1000 < last.counted <= last.regret.evictions <= evicted(plain) < last.counted + 100
    assert (last.unheard, last.gaps) == (0, ())
    assert last.progress.ended
    assert last.progress.complete
    assert last.events == last.regret.evictions + last.misses


def test_what_was_evicted_before_is_no_loss(cache: Cache, plain: redis.Redis) -> None:
    press(plain)
    before = evicted(plain)
    *_, last = regret(cache, Options(seconds=0.5, followed=0.1, confirm=False))
    assert last.counted <= evicted(plain) - before < 200
    assert last.unheard == 0


def test_a_connection_that_is_killed_is_a_gap_and_it_listens_again(cache: Cache, plain: redis.Redis) -> None:
    snapshots = regret(cache, LONG)
    next(snapshots)
    press(plain)
    before = reached(snapshots, lambda trace: trace.regret.evictions >= evicted(plain))
    plain.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    after = reached(snapshots, lambda trace: trace.gaps and trace.gaps[-1].seconds is not None)
    (gap,) = after.gaps
    assert gap.node == f"{HOST}:{plain.connection_pool.connection_kwargs['port']}"
    assert "cannot be reached" in gap.why
    assert after.regret.cut == before.regret.evictions
    press(plain)
    reached(snapshots, lambda trace: trace.regret.evictions > before.regret.evictions)
    snapshots.close()  # type: ignore[attr-defined]


def test_what_is_evicted_in_a_gap_is_counted_as_not_heard_of(
    cache: Cache, plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.cache.notifications.primary_listener.LOOK_SECONDS", 0.3)
    snapshots = regret(cache, LONG)
    next(snapshots)
    plain.execute_command("ACL", "SETUSER", "default", "-subscribe")
    plain.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    assert reached(snapshots, lambda trace: trace.gaps).gaps[0].seconds is None
    press(plain)
    trace = reached(snapshots, lambda trace: trace.unheard > 1000)
    assert trace.unheard <= evicted(plain)
    assert trace.progress.lost
    plain.execute_command("ACL", "SETUSER", "default", "+subscribe")
    trace = reached(snapshots, lambda trace: trace.gaps[0].seconds is not None)
    assert not trace.progress.lost
    snapshots.close()  # type: ignore[attr-defined]


def test_a_restart_is_a_gap_and_its_new_counters_are_no_loss(
    server: Server, cache: Cache, plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.cache.notifications.primary_listener.LOOK_SECONDS", 0.3)
    snapshots = regret(cache, LONG)
    next(snapshots)
    press(plain)
    before = reached(snapshots, lambda trace: trace.counted >= evicted(plain) and not trace.unheard)
    server.restart()
    reached(snapshots, lambda trace: trace.gaps and trace.gaps[-1].seconds is not None)
    with closing(server.client()) as again:
        press(again, 3000)
        anew = evicted(again)
    after = reached(snapshots, lambda trace: trace.counted >= before.counted + anew)
    assert after.counted == before.counted + anew
    assert reached(snapshots, lambda trace: not trace.unheard).regret.evictions == after.counted
    snapshots.close()  # type: ignore[attr-defined]


def test_notifications_that_somebody_switches_off_are_evictions_that_were_not_heard_of(
    cache: Cache, plain: redis.Redis
) -> None:
    snapshots = regret(cache, SHORT)
    next(snapshots)
    plain.config_set(SETTING, "")
    press(plain)
    *_, last = snapshots
    assert last.regret.evictions == 0
    assert 1000 < last.unheard == last.counted <= evicted(plain)


def test_another_databases_keys_are_not_taken_for_ours(server: Server, cache: Cache) -> None:
    snapshots = regret(cache, SHORT)
    next(snapshots)
    with closing(server.client(db=5)) as other:
        press(other)
        other.get("nobody")
        count = evicted(other)
    *_, last = snapshots
    assert (last.regret.evictions, last.misses) == (0, 0)
    assert last.unheard >= count > 1000


def test_a_listener_that_is_too_slow_is_hung_up_on_and_says_so(cache: Cache, plain: redis.Redis) -> None:
    plain.config_set("client-output-buffer-limit", "pubsub 64kb 0 0")
    snapshots = regret(cache, LONG)
    next(snapshots)
    pipe = plain.pipeline(transaction=False)
    for _ in range(1000):  # 20 MB, more than a socket holds
        pipe.get("x" * 20_000)
    pipe.execute()
    trace = reached(snapshots, lambda trace: trace.gaps)
    assert trace.gaps[0].at >= 0
    snapshots.close()  # type: ignore[attr-defined]


def test_it_leaves_no_connection_behind(cache: Cache, plain: redis.Redis) -> None:
    def listening() -> int:
        return sum(int(one["sub"]) > 0 for one in plain.client_list())

    snapshots = regret(cache, LONG)
    next(snapshots)
    assert listening() == 1
    snapshots.close()  # type: ignore[attr-defined]
    wait_until(lambda: listening() == 0, "it hung up")


def test_it_ends_early_where_nothing_is_left_to_be_followed(cache: Cache) -> None:
    *_, last = regret(cache, Options(seconds=0.5, followed=60.0, confirm=False))
    assert last.progress.ended
    assert last.progress.elapsed < 30


def test_where_no_primary_can_be_heard_it_is_an_error(cache: Cache, server: Server, plain: redis.Redis) -> None:
    plain.execute_command("ACL", "SETUSER", "deaf", "reset", "on", ">pw", "~*", "&*", "+@all", "-subscribe")
    with closing(Cache(parse_target(f"shop=redis://deaf:pw@{HOST}:{server.port}"))) as deaf, pytest.raises(Denied):
        next(regret(deaf, LONG))
    server.stop()
    with pytest.raises(CacheError):
        next(regret(cache, LONG))


def test_without_info_it_says_nothing_of_losses(server: Server, plain: redis.Redis) -> None:
    plain.execute_command("ACL", "SETUSER", "mute", "reset", "on", ">pw", "~*", "&*", "+@all", "-info")
    with closing(Cache(parse_target(f"shop=redis://mute:pw@{HOST}:{server.port}"))) as cache:
        snapshots = regret(cache, SHORT)
        next(snapshots)
        press(plain)
        *_, last = snapshots
    assert 1000 < last.regret.evictions <= evicted(plain)
    assert (last.counted, last.unheard) == (0, 0)


def test_the_age_of_evicted_keys_is_confirmed_by_keys_that_were_drawn_before(
    server: Server, cache: Cache, plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.cache.notifications.primary_listener.LOOK_SECONDS", 0.2)
    old = {b"old:%d" % number: 1000 + number for number in range(1000)}
    dump = plain.execute_command("DUMP", plain.set("one", "x" * 1000) and "one")
    for key, idle in old.items():
        plain.execute_command("RESTORE", key, 3_600_000, dump, "IDLETIME", idle)
    snapshots = regret(cache, Options(seconds=3.0, followed=0.1))
    next(snapshots)
    told = None
    for trace in snapshots:
        press(plain, 400)
        told = trace.confirmed
    assert told is not None
    assert told.idle is not None
    # Of those that had been drawn the planted ones go first, and each is at most 6 s older than it was.
    assert told.of >= 20
    assert 1000 <= told.idle.p90.value <= 2006
    assert told.ttl is not None
    assert 3500 < told.ttl.p50.value <= 3600


def test_where_a_replica_takes_over_it_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.cache.notifications.primary_listener.LOOK_SECONDS", 0.5)
    cluster = start_cluster(3, *TOLD)
    replicas = []
    try:
        replicas = start_cluster_replicas(cluster, *TOLD)
        target = f"shop={cluster.url}?timeout=1&connect_timeout=1"
        with closing(Cache(parse_target(target))) as cache, closing(cluster.client()) as client:
            snapshots = regret(cache, LONG)
            next(snapshots)
            lost = cluster.servers[0]
            with closing(replicas[0].client()) as heir:
                wait_until(lambda: bool(heir.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")), "it took over")
                wait_until(lambda: heir.execute_command("ROLE")[0] == b"master", "it is a primary")
                trace = reached(snapshots, lambda trace: any(gap.node == f"{HOST}:{lost.port}" for gap in trace.gaps))
                assert "primary" in trace.gaps[0].why
                before = trace.misses
                slots = next(
                    key
                    for key in (f"k{number}" for number in range(1000))
                    if client.get_node_from_key(key).port in (lost.port, replicas[0].port)
                )
                heir.get(slots)
                reached(snapshots, lambda trace: trace.misses > before)
            snapshots.close()  # type: ignore[attr-defined]
    finally:
        for replica in replicas:
            replica.stop()
        cluster.stop()
