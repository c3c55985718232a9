"""The age of evicted keys, estimated on a real server, held against the keys that it then really evicts."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from random import Random

import pytest
import redis

from dashboard.cache.eviction.age import NO_EVICTION, NO_KEYS, NO_LIMIT, eviction_age
from dashboard.cache.eviction.figures import NodeAge
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.servers import HOST, Cluster, Server, running

KEYS = 20_000
EVICTED = 400
"""So many keys are evicted while it is looked which: few enough that those which stand next do not change much."""


@contextlib.contextmanager
def cache_of(url: str) -> Iterator[Cache]:
    cache = Cache(parse_target(f"main={url}"))
    try:
        yield cache
    finally:
        cache.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with running("--maxmemory-samples", "5") as found:
        yield found


def fill(client: redis.Redis, *, idle: bool = False, used: bool = False, ttls: bool = False) -> dict[bytes, float]:
    """Keys whose idle times, counters or TTLs are spread evenly; what was planted, by key.

    RESTORE with IDLETIME and FREQ plants what else would take hours.
    """
    chance, planted = Random(5), dict[bytes, float]()
    client.set("model", "x" * 100)
    dump = client.dump("model")
    client.delete("model")
    pipe = client.pipeline(transaction=False)
    for number in range(KEYS):
        key, place = b"key:%d" % number, chance.random()
        ttl = 0
        extra: list[object] = []
        if ttls:
            ttl = int(100_000 + place * 3_600_000)
            planted[key] = ttl / 1000
        if idle:
            planted[key] = int(place * 10_000)
            extra = ["IDLETIME", int(planted[key])]
        if used:
            planted[key] = int(place * 200)
            extra = ["FREQ", int(planted[key])]
        pipe.execute_command("RESTORE", key, ttl, dump, *extra)
    pipe.execute()
    return planted


def squeeze(client: redis.Redis) -> set[bytes]:
    """Give the server so little memory that it evicts about EVICTED keys; which those were."""
    before = set(client.scan_iter(count=1000))
    limit = client.info("memory")["used_memory"] - client.info("memory")["mem_not_counted_for_evict"]
    client.config_set("maxmemory", limit)
    while client.info("stats")["evicted_keys"] < EVICTED:
        limit -= 4000
        client.config_set("maxmemory", limit)
        with contextlib.suppress(redis.OutOfMemoryError):
            client.set("new", "x")
    return before - set(client.scan_iter(count=1000))


def looked_at(server: Server, policy: str, roomy: bool = True) -> NodeAge:
    with server.client() as client, cache_of(server.url) as cache:
        client.config_set("maxmemory-policy", policy)
        if roomy:
            client.config_set("maxmemory", "1gb")
        (found,) = eviction_age(cache).nodes
    return found


def test_the_idle_time_under_lru_is_that_of_the_keys_that_are_then_evicted(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        planted = fill(client, idle=True)
        told = looked_at(server, "allkeys-lru")
        gone = sorted(planted[key] for key in squeeze(client) if key in planted)
    assert told.idle is not None
    assert len(gone) >= EVICTED * 0.8
    assert told.idle.p50.value == pytest.approx(statistics.median(gone), rel=0.08)
    assert told.idle.p10.value == pytest.approx(gone[len(gone) // 10], rel=0.08)
    assert told.frequency is None


def test_the_counter_under_lfu_is_that_of_the_keys_that_are_then_evicted(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
        planted = fill(client, used=True)
        told = looked_at(server, "allkeys-lfu")
        gone = sorted(planted[key] for key in squeeze(client) if key in planted)
    assert told.idle is None
    assert told.frequency is not None
    assert told.frequency.p50.value == pytest.approx(statistics.median(gone), abs=8)


def test_the_ttl_left_under_volatile_ttl_is_that_of_the_keys_that_are_then_evicted(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "volatile-ttl")
        planted = fill(client, ttls=True)
        told = looked_at(server, "volatile-ttl")
        gone = sorted(planted[key] for key in squeeze(client) if key in planted)
    assert told.ttl is not None
    # Of all keys half have more than 1900 s left; 100 s are three standard errors of what was evicted.
    assert told.ttl.p50.low - 100 <= statistics.median(gone) <= told.ttl.p50.high + 100


def test_the_idle_time_under_random_is_that_of_all_keys(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-random")
        planted = fill(client, idle=True)
        told = looked_at(server, "allkeys-random")
        gone = [planted[key] for key in squeeze(client) if key in planted]
    assert told.idle is not None
    assert told.idle.p50.low - 300 <= statistics.median(gone) <= told.idle.p50.high + 300
    assert told.first == told.fit == told.drawn


def test_under_volatile_lru_only_keys_with_a_ttl_are_looked_at(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "volatile-lru")
        pipe = client.pipeline(transaction=False)
        for number in range(4000):
            pipe.set(f"key:{number}", "x", ex=1000 if number % 4 == 0 else None)
        pipe.execute()
    told = looked_at(server, "volatile-lru")
    assert told.fit == pytest.approx(told.drawn / 4, rel=0.2)
    assert told.with_ttl.value == 1.0
    assert told.ttl is not None


def test_looking_touches_no_key_and_costs_no_walk(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        fill(client, idle=True)
        client.config_resetstat()
    looked_at(server, "allkeys-lru")
    with server.client() as client:
        called = client.info("commandstats")
        assert "cmdstat_scan" not in called
        assert called["cmdstat_randomkey"]["calls"] == 2000
        used = sum(one["usec"] for name, one in called.items() if "config" not in name)
        assert used < 50_000
        idle = [client.object("idletime", f"key:{number}") for number in range(0, KEYS, 100)]
    assert statistics.median(one for one in idle if one is not None) > 3000


def test_a_cache_declared_read_only_is_looked_at_too(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "1gb")
        fill(client, idle=True)
    with cache_of(f"{server.url}?read_only=yes") as cache:
        (told,) = eviction_age(cache).nodes
    assert told.idle is not None


def test_each_primary_of_a_cluster_has_its_own_figures(cluster: Cluster) -> None:
    with contextlib.closing(cluster.client()) as client:
        for number in range(3000):
            client.set(f"key:{number}", "x")
    for server in cluster.servers:
        with server.client() as one:
            one.config_set("maxmemory", "1gb")
            one.config_set("maxmemory-policy", "allkeys-lru")
    with cache_of(cluster.url) as cache:
        told = eviction_age(cache)
    for server in cluster.servers:
        with server.client() as one:
            one.config_set("maxmemory", "0")
            one.config_set("maxmemory-policy", "noeviction")
    assert sorted(one.node for one in told.nodes) == sorted(f"{HOST}:{one.port}" for one in cluster.servers)
    assert all(one.idle is not None and one.drawn >= 500 for one in told.nodes)


@pytest.mark.parametrize(
    ("policy", "limit", "why"),
    [("noeviction", "1gb", NO_EVICTION), ("allkeys-lru", "0", NO_LIMIT), ("allkeys-lru", "1gb", NO_KEYS)],
)
def test_where_nothing_is_evicted_it_says_why(server: Server, policy: str, limit: str, why: str) -> None:
    with server.client() as client:
        client.config_set("maxmemory", limit)
    assert looked_at(server, policy, roomy=False).problem == why


def test_where_the_samples_are_not_told_the_usual_number_is_taken_and_said(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "1gb")
        fill(client, idle=True)
        client.execute_command("ACL", "SETUSER", "mo", "on", ">pw", "~*", "+@all", "-config")
    with cache_of(f"redis://mo:pw@{HOST}:{server.port}") as cache:
        (told,) = eviction_age(cache).nodes
    assert (told.samples, told.samples_told) == (5, False)
    assert told.idle is not None


@pytest.mark.parametrize("command", ["randomkey", "object|idletime", "info"])
def test_what_is_denied_is_named_in_place_of_figures(server: Server, command: str) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "1gb")
        fill(client, idle=True)
        client.execute_command("ACL", "SETUSER", "mo", "on", ">pw", "~*", "+@all", f"-{command}")
    with cache_of(f"redis://mo:pw@{HOST}:{server.port}") as cache:
        (told,) = eviction_age(cache).nodes
    assert not told.told
    assert command.partition("|")[0].upper() in told.problem


def test_a_server_that_hangs_costs_one_time_out(server: Server) -> None:
    with server.client() as client, cache_of(f"{server.url}?timeout=0.3&connect_timeout=0.3") as cache:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "1gb")
        fill(client, idle=True)
        cache.primaries()
        client.execute_command("CLIENT", "PAUSE", "1500", "ALL")
        begun = time.monotonic()
        (told,) = eviction_age(cache).nodes
        assert "did not answer" in told.problem
        assert time.monotonic() - begun < 1.5
