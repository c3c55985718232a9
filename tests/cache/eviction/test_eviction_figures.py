"""From keys that were drawn at random to those that are evicted: which they are, and the figures with intervals."""

from __future__ import annotations

import bisect
from random import Random

import pytest

from dashboard.cache.eviction.figures import LEAST, Drawn, EvictionAge, NodeAge, age_of, evicted_first


def idle(*seconds: float) -> list[Drawn]:
    return [Drawn(idle=one, ttl=None) for one in seconds]


def evicted_by_the_server(ages: list[float], samples: int, evictions: int, seed: int) -> list[float]:
    """evictionPoolPopulate and performEvictions of evict.c: a pool of the 16 oldest seen; the oldest of it goes."""
    chance, pool, gone = Random(seed), list[float](), list[float]()
    for _ in range(evictions):
        for _ in range(samples):
            age = chance.choice(ages)
            if len(pool) < 16:
                bisect.insort(pool, age)
            elif age > pool[0]:
                del pool[0]
                bisect.insort(pool, age)
        gone.append(pool.pop())
    return gone[evictions // 10 :]


@pytest.mark.parametrize("samples", [3, 5, 10, 64])
def test_it_says_of_lru_what_the_servers_own_algorithm_evicts(samples: int) -> None:
    chance = Random(1)
    ages = [chance.expovariate(1 / 600) for _ in range(50_000)]
    truth = sorted(evicted_by_the_server(ages, samples, 20_000, 2))
    told = age_of(NodeAge("a", "allkeys-lru", samples), idle(*chance.choices(ages, k=20_000)))
    assert told.idle is not None
    for share, found in ((0.1, told.idle.p10), (0.5, told.idle.p50), (0.9, told.idle.p90)):
        assert found.value == pytest.approx(truth[int(share * len(truth))], rel=0.05)


def test_the_oldest_go_first_and_one_of_so_many_as_are_drawn() -> None:
    fit, first = evicted_first("allkeys-lru", idle(*range(100)), 5)
    assert len(fit) == 100
    assert sorted(one.idle for one in first if one.idle is not None) == list(range(80, 100))


def test_with_one_sample_lru_is_random() -> None:
    assert len(evicted_first("allkeys-lru", idle(*range(100)), 1)[1]) == 100


def test_the_least_used_go_first_under_lfu() -> None:
    drawn = [Drawn(frequency=number % 256) for number in range(1000)]
    _, first = evicted_first("allkeys-lfu", drawn, 10)
    assert {one.frequency for one in first} == set(range(25))


def test_those_that_expire_next_go_first_under_ttl() -> None:
    drawn = [Drawn(idle=1.0, ttl=float(number)) for number in range(100)] + idle(*range(1000))
    fit, first = evicted_first("volatile-ttl", drawn, 5)
    assert len(fit) == 100
    assert max(one.ttl for one in first if one.ttl is not None) == 19


def test_under_volatile_policies_keys_without_ttl_never_go() -> None:
    drawn = [Drawn(idle=1.0, ttl=10.0)] * 50 + idle(*[9999.0] * 50)
    for policy in ("volatile-lru", "volatile-random", "volatile-ttl"):
        fit, first = evicted_first(policy, drawn, 1)
        assert all(one.ttl == 10.0 for one in (*fit, *first))


def test_random_takes_all_alike() -> None:
    drawn = idle(*range(100))
    assert evicted_first("allkeys-random", drawn, 5) == (drawn, drawn)


def test_noeviction_takes_none() -> None:
    assert evicted_first("noeviction", idle(1, 2, 3), 5) == ([], [])


def test_of_too_few_keys_nothing_is_told() -> None:
    told = age_of(NodeAge("a", "allkeys-lru", 5), idle(*range(5 * LEAST - 5)))
    assert not told.told
    assert age_of(NodeAge("a", "allkeys-lru", 5), idle(*range(5 * LEAST))).told


def test_the_interval_holds_what_it_promises() -> None:
    """The median of those that are evicted lies in it 95 times of a hundred, nearly."""
    truth, missed = 900.0, 0  # of ages from 0 to 1000, a fifth is evicted: 800 to 1000
    for seed in range(200):
        chance = Random(seed)
        told = age_of(NodeAge("a", "allkeys-lru", 5), idle(*(chance.uniform(0, 1000) for _ in range(2000))))
        assert told.idle is not None
        assert told.idle.p50.low <= told.idle.p50.value <= told.idle.p50.high
        missed += not told.idle.p50.low <= truth <= told.idle.p50.high
    assert missed <= 20


def test_lfu_tells_its_counter_and_no_idle_time() -> None:
    told = age_of(NodeAge("a", "allkeys-lfu", 5), [Drawn(frequency=number % 20, ttl=60.0) for number in range(500)])
    assert told.idle is None
    assert told.frequency is not None
    assert told.frequency.p90.value <= 4
    assert told.ttl is not None


def test_the_share_with_a_ttl_is_of_those_that_go() -> None:
    old = [Drawn(idle=5000.0 + number, ttl=60.0) for number in range(200)]
    told = age_of(NodeAge("a", "allkeys-lru", 5), [*old, *idle(*range(800))])
    assert told.with_ttl.value == 1.0


def test_the_youngest_primary_is_that_with_the_shortest_median() -> None:
    ages = [age_of(NodeAge(name, "allkeys-lru", 1), idle(*[seconds] * 50)) for name, seconds in (("a", 90), ("b", 30))]
    youngest = EvictionAge(0.0, (*ages, NodeAge("c", problem="it is down"))).youngest
    assert youngest is not None
    assert youngest.node == "b"
    assert EvictionAge(0.0, (NodeAge("c"),)).youngest is None
