"""Findings about eviction and expiry, each on a real server."""

from __future__ import annotations

import time
from dataclasses import replace

from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.picture import Analysed, Known, picture
from tests.cache.findings.looked import NOW, between, fill, looked, now, plain, said, taken, unsaid, with_values
from tests.programs import wait_until
from tests.servers import Server, running

LRU = ("--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru")
VOLATILE = ("--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru")


def test_evictions() -> None:
    with running(*LRU) as server:
        unsaid("evicting", between(server, lambda: fill(server, 1000)))
        found = said("evicting", between(server, lambda: fill(server, 20_000)))
        assert "memory is full" in found.sentence
        assert "allkeys-lru" in found.sentence


def _filled(server: Server, keys: int, name: str) -> None:
    """Written, and evicted: on a busy machine that lags behind, as it is bounded by time."""
    fill(server, keys, name=name)
    wait_until(lambda: taken(server).get("used_memory") < 8.5 * 1024 * 1024, "memory is within its limit again")


def test_young_keys_by_how_soon_as_many_go_as_there_are() -> None:
    with running(*LRU) as server:
        fill(server, 9000)
        fast = between(server, lambda: _filled(server, 30_000, "n"), seconds=60)
        assert "as many as there are go in" in said("young-evictions", fast).sentence
        slow = between(server, lambda: _filled(server, 3000, "m"), seconds=300)
        unsaid("young-evictions", slow)


def test_young_keys_by_how_long_they_were_idle() -> None:
    with running(*LRU) as server:
        slow = between(server, lambda: fill(server, 12_000), seconds=300)
        drawn = looked(server)
        assert "half of them were used" in said("young-evictions", with_values(slow, **drawn)).sentence
        unsaid("young-evictions", with_values(slow, eviction_idle=drawn["eviction_idle"] + 3600))


def test_memory_above_its_limit_for_long() -> None:
    with running("--maxmemory", "8mb", "--maxmemory-policy", "volatile-lru") as server, server.client() as client:
        fill(server, 5000)
        unsaid("eviction-behind", between(server, lambda: None, seconds=1))

        def above() -> None:
            client.config_set("maxmemory", "2mb")
            fill(server, 100)
            wait_until(lambda: taken(server).get("total_eviction_exceeded_time") > 500, "it is above for half a second")

        found = said("eviction-behind", between(server, above, seconds=3))
        assert found.sentence.startswith("Memory was above maxmemory for")


def test_nothing_to_evict() -> None:
    with running(*VOLATILE) as server:
        fill(server, 200)
        assert "no key has a TTL" in said("nothing-to-evict", now(server)).sentence
        fill(server, 200, ttl=600)
        unsaid("nothing-to-evict", now(server))


def test_much_that_is_never_evicted_by_keys() -> None:
    with running(*VOLATILE) as server:
        fill(server, 200, ttl=600)
        unsaid("never-evicted", now(server))
        fill(server, 100, name="for-ever")
        found = said("never-evicted", now(server))
        assert plain(found) == "33.3 % of the keys (100) have no TTL and can never be evicted under volatile-lru."


def test_much_that_is_never_evicted_by_the_last_analysis() -> None:
    """Few keys, and most of the memory: the number of keys alone says that all is well."""
    with running(*VOLATILE) as server:
        fill(server, 500, size=10, ttl=600)
        fill(server, 20, size=50_000, name="for-ever")
        seen = now(server)
        unsaid("never-evicted", seen)
        analysed = Analysed(1_100_000, 1_010_000, NOW - 7200)
        found = said("never-evicted", replace(seen, known=Known(analysed)))
        assert "91.8 % of memory" in plain(found)
        assert "by the analysis of 2 h ago" in plain(found)


def test_keys_that_never_expire() -> None:
    with running(*VOLATILE) as server:
        fill(server, 200, ttl=600)
        assert said("never-expire", now(server)).level == "ok"
        fill(server, 200, name="for-ever")
        assert said("never-expire", now(server)).level == "warning"
    with running() as server:
        unsaid("never-expire", now(server))


def test_keys_that_have_expired_and_are_still_there() -> None:
    with running("--hz", "10") as server, server.client() as client:
        unsaid("stale-keys", now(server))
        ends = int(time.time() * 1000) + 2500
        script = "for i = 1, 50000 do redis.call('SET', ARGV[2] .. i, 'x', 'PXAT', ARGV[1]) end"
        for part in range(8):
            client.execute_command("EVAL", script, 0, ends, f"{part}:")
        found: list[Reading] = []

        def stale() -> bool:
            found.append(taken(server))
            return found[-1].get("expired_stale_perc") > 10

        wait_until(stale, "many keys have expired together")
        seen = picture(NOW, 2.0, [found[-1]], {}, {})
        assert "have expired and are still in memory" in said("stale-keys", seen).sentence
