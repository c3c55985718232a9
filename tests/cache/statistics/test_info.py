"""INFO of real servers, and what is computed from readings."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import pytest

from dashboard.cache.statistics.info import COUNTERS, POLICIES, Reading, parse, reading, restored
from dashboard.cache.statistics.rates import rates, sum_rates, total
from tests.servers import Cluster, Server, running


def take(server: Server) -> Reading:
    with closing(server.client()) as client:
        return reading(parse(client.execute_command("INFO DEFAULT")), time.time(), f"127.0.0.1:{server.port}")


def made(at: float = 0.0, node: str = "a:1", **values: float) -> Reading:
    return Reading(at, node, values)


def test_it_reads_what_a_real_server_tells(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_set("maxmemory", "64mb")
        client.config_set("maxmemory-policy", "volatile-lfu")
        client.set("lasting", "1")
        client.set("fleeting", "1", ex=100)
        client.select(3)
        client.set("elsewhere", "1", ex=100)
    seen = take(valkey)
    assert seen.get("keys") == 3
    assert seen.get("keys_with_ttl") == 2
    assert seen.get("maxmemory") == 64 * 1024 * 1024
    assert 0 < seen.get("used_memory") < seen.get("used_memory_rss")
    assert seen.get("connected_clients") >= 1
    assert seen.get("primary") == 1
    assert seen.get("rdb_ok") == 1
    assert seen.get("loading") == 0
    assert seen.facts["maxmemory_policy"] == "volatile-lfu"
    assert seen.facts["role"] == "master"
    assert seen.facts["product"] == "valkey"
    assert seen.facts["version"].startswith("9.")
    assert seen.share_without_ttl == pytest.approx(1 / 3)
    assert seen.fill == pytest.approx(seen.counted_memory / (64 * 1024 * 1024))


def test_it_keeps_every_counter_of_a_current_server(valkey: Server) -> None:
    only_of_redis = {"expired_keys_active"}
    assert set(COUNTERS) - only_of_redis <= set(take(valkey).values)


def test_it_tells_where_memory_went_on_a_real_server(valkey: Server) -> None:
    seen = take(valkey)
    parts = ("used_memory_overhead", "used_memory_startup", "allocator_resident")
    assert all(seen.get(part) > 0 for part in parts)
    assert seen.get("used_memory_overhead") + seen.get("used_memory_dataset") == pytest.approx(seen.get("used_memory"))
    assert {
        "mem_clients_normal",
        "mem_aof_buffer",
        "mem_cluster_links",
        "mem_replication_backlog",
        "current_cow_peak",
    } <= set(seen.values)
    assert seen.get("allocator_told") == 0  # this build uses the allocator of libc


def test_the_stale_share_of_several_is_the_worst() -> None:
    whole = total([made(expired_stale_perc=3), made(node="b:1", expired_stale_perc=12)])
    assert whole is not None
    assert whole.get("expired_stale_perc") == 12


def test_it_reads_a_replica_and_its_primary() -> None:
    """A primary of its own: the backlog of its replica stays with it, 10 MB that others' limits would feel."""
    with running() as primary, running("--replicaof", f"127.0.0.1 {primary.port}") as replica:
        deadline = time.monotonic() + 120
        while not (seen := take(replica)).get("primary_link"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while not (above := take(primary)).get("replicas_online"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert seen.get("primary") == 0
    assert above.get("connected_slaves") == 1
    assert above.get("replica_lag") < 20


def test_its_numbers_alone_bring_back_policy_and_role(valkey: Server) -> None:
    seen = take(valkey)
    again = restored(12.0, seen.node, seen.values)
    assert again.at == seen.at
    assert again.facts == {"role": "master", "maxmemory_policy": "noeviction"}


def test_it_survives_lines_that_nobody_expects() -> None:
    lines = (
        b"# Head",
        b"no colon",
        b"used_memory:nan",
        b"maxmemory:12",
        b"maxmemory_policy:\xff",
        b"db0:keys=x,y",
    )
    text = b"\r\n".join(lines)
    seen = reading(parse(text), 5.0, "a:1")
    assert seen.get("maxmemory") == 12
    assert "used_memory" not in seen.values
    assert seen.get("policy") == -1
    assert "maxmemory_policy" not in restored(5.0, "a:1", seen.values).facts
    assert seen.get("keys") == 0
    assert seen.share_without_ttl is None


def test_stored_policies_keep_their_positions() -> None:
    assert POLICIES[:8] == (
        "noeviction",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    )


def test_fill_leaves_out_buffers_that_do_not_count() -> None:
    assert made(used_memory=110, mem_not_counted_for_evict=10, maxmemory=100).fill == 1.0
    assert made(used_memory=110).fill is None


def test_rates_are_growth_over_time() -> None:
    a = made(100.0, total_commands_processed=1000, keyspace_hits=10, keyspace_misses=10, used_memory=50)
    b = made(104.0, total_commands_processed=1400, keyspace_hits=19, keyspace_misses=11, used_memory=30)
    seen = rates(a, b)
    assert seen.per_second("total_commands_processed") == 100
    assert seen.hit_ratio == 0.9
    assert seen.reads == 10
    assert seen.gained["used_memory"] == -20
    assert not seen.restarted


def test_there_is_no_hit_ratio_without_reads() -> None:
    a = made(0.0, keyspace_hits=5, keyspace_misses=5)
    assert rates(a, replace(a, at=2.0)).hit_ratio is None


def test_there_are_no_rates_within_one_moment() -> None:
    a = made(1.0, total_commands_processed=5)
    assert rates(a, a).per_second("total_commands_processed") == 0
    assert rates(a, a).main_thread_share is None


def test_a_restart_never_makes_a_rate_negative(valkey: Server) -> None:
    with running() as server, closing(server.client()) as client:
        for _ in range(50):
            client.get("missing")
        before = take(server)
        server.restart()
        client.get("missing")
        after = take(server)
        server.stop()
    seen = rates(before, after)
    assert seen.restarted
    assert seen.change["keyspace_misses"] == 1
    assert min(seen.change.values()) >= 0


def test_a_restart_shows_even_when_the_counters_have_overtaken() -> None:
    a = made(0.0, run=1, uptime_in_seconds=5, total_commands_processed=10)
    b = made(60.0, run=2, uptime_in_seconds=55, total_commands_processed=500)
    assert rates(a, b).restarted
    assert rates(a, b).change["total_commands_processed"] == 500


def test_resetstat_sets_all_statistics_back_together(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        for _ in range(50):
            client.get("missing")
        before = take(valkey)
        client.config_resetstat()
        client.get("missing")
        after = take(valkey)
    seen = rates(before, after)
    assert not seen.restarted
    assert seen.change["keyspace_misses"] == 1
    assert seen.change["total_commands_processed"] == after.get("total_commands_processed")
    assert seen.change["used_cpu_user"] == pytest.approx(after.get("used_cpu_user") - before.get("used_cpu_user"))


def test_a_counter_that_was_unknown_before_has_not_grown() -> None:
    assert rates(made(0.0), made(2.0, evicted_keys=900)).change["evicted_keys"] == 0


def test_rates_of_several_primaries_add_up() -> None:
    fast = rates(made(0.0, keyspace_hits=0, keyspace_misses=0), made(2.0, keyspace_hits=200, keyspace_misses=0))
    slow = rates(made(0.0, keyspace_hits=0, keyspace_misses=0), made(4.0, keyspace_hits=0, keyspace_misses=100))
    both = sum_rates([fast, slow])
    assert both is not None
    assert both.per_second("keyspace_hits") == 100
    assert both.per_second("keyspace_misses") == 25
    assert both.hit_ratio == 0.8
    assert sum_rates([]) is None
    assert sum_rates([rates(made(1.0), made(1.0))]) is None


def test_the_total_of_a_cluster_is_the_sum_of_its_primaries(cluster: Cluster) -> None:
    with closing(cluster.client()) as client:
        for number in range(300):
            client.set(f"key:{number}", "x", ex=100)
    parts = [take(server) for server in cluster.servers]
    whole = total(parts)
    assert whole is not None
    assert whole.node == ""
    assert whole.get("keys") == whole.get("keys_with_ttl") == 300
    assert whole.get("used_memory") == sum(part.get("used_memory") for part in parts)
    assert whole.get("uptime_in_seconds") == min(part.get("uptime_in_seconds") for part in parts)
    assert whole.facts["maxmemory_policy"] == "noeviction"


def test_the_total_has_a_limit_only_where_every_primary_has_one() -> None:
    limited, open_ended = made(maxmemory=10, used_memory=5), made(node="b:1", maxmemory=0, used_memory=5)
    assert total([limited, limited]).get("maxmemory") == 20  # type: ignore[union-attr]
    assert total([limited, open_ended]).get("maxmemory") == 0  # type: ignore[union-attr]
    assert total([]) is None
    assert total([limited]) is limited


def test_the_total_names_a_policy_only_where_all_agree() -> None:
    lru = Reading(0.0, "a:1", {}, {"maxmemory_policy": "allkeys-lru", "role": "master"})
    lfu = Reading(0.0, "b:1", {}, {"maxmemory_policy": "allkeys-lfu", "role": "master"})
    whole = total([lru, lfu])
    assert whole is not None
    assert whole.facts == {"role": "master"}


def test_the_mean_ttl_of_several_is_weighted_by_their_keys() -> None:
    whole = total([made(keys_with_ttl=3, avg_ttl_ms=1000), made(keys_with_ttl=1, avg_ttl_ms=5000)])
    assert whole is not None
    assert whole.get("avg_ttl_ms") == 2000
