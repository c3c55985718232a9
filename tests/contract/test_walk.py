"""The walk visits every key of every primary, gently, through SCAN alone, and can be left and taken up again."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict

import pytest

from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.walk import Budget, Place, Position, walk
from tests.contract.sites import Site

FAST = Budget(share=1.0)


def _seen(cache: Cache, selection: Selection | None = None) -> list[bytes]:
    return [key for batch in walk(cache, selection or Selection(), FAST) for key in batch.found]


def test_every_key_is_seen_and_every_primary_visited(shop: Cache, site: Site) -> None:
    wanted = {b"k:%d" % number for number in range(5000)}
    site.fill(wanted)
    batches = list(walk(shop, Selection(), FAST))
    assert {key for batch in batches for key in batch.found} == wanted
    assert {batch.node.name for batch in batches} == {node.name for node in shop.primaries()}
    last = batches[-1].position
    assert last.ended
    assert not last.lost
    assert last.examined == last.total == 5000


def test_every_key_that_stays_is_seen_while_others_come_and_go(shop: Cache, site: Site) -> None:
    stay = {b"stay:%d" % number for number in range(4000)}
    site.fill(stay)
    stop = threading.Event()

    def churn() -> None:
        rounds = 0
        while not stop.is_set():
            guests = [b"guest:%d:%d" % (rounds, number) for number in range(3000)]
            site.fill(guests)
            site.remove(guests)
            rounds += 1

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        for _ in range(3):
            seen = set()
            for batch in walk(shop, Selection(), Budget(share=0.3)):
                seen.update(batch.found)
                assert batch.position.examined <= batch.position.total
            assert stay <= seen
    finally:
        stop.set()
        writer.join(120)
    assert not writer.is_alive()


def test_an_empty_batch_does_not_end_it(shop: Cache, site: Site) -> None:
    """A search for three keys among many goes through SCAN replies that hold nothing."""
    site.fill(b"k:%d" % number for number in range(20_000))
    site.fill([b"needle:1", b"needle:2", b"needle:3"])
    batches = list(walk(shop, Selection(b"needle:*"), FAST))
    assert {key for batch in batches for key in batch.found} == {b"needle:1", b"needle:2", b"needle:3"}
    assert sum(not batch.found for batch in batches) > 3


def test_a_sparse_keyspace_is_walked_to_its_end(shop: Cache, site: Site) -> None:
    """Of a table that was large, most buckets are empty."""
    site.fill(b"k:%d" % number for number in range(20_000))
    site.fill(b"left:%d" % key for key in range(10))
    site.remove([b"k:%d" % number for number in range(20_000)])
    assert set(_seen(shop)) == {b"left:%d" % key for key in range(10)}


def test_it_can_be_left_and_taken_up_at_any_batch(shop: Cache, site: Site) -> None:
    wanted = {b"k:%d" % number for number in range(1500)}
    site.fill(wanted)
    seen: set[bytes] = set()
    position = Position()
    steps = 0
    while not position.ended:
        batch = next(walk(shop, Selection(), FAST, position))
        assert batch.before.examined == position.examined
        text = json.dumps({name: asdict(place) for name, place in batch.position.places.items()})
        position = Position({name: Place(**raw) for name, raw in json.loads(text).items()})
        seen.update(batch.found)
        steps += 1
    assert seen == wanted
    assert steps > len(site.servers)


def test_a_walk_that_has_ended_gives_nothing_more(shop: Cache, site: Site) -> None:
    site.fill([b"k"])
    *_, last = walk(shop, Selection(), FAST)
    assert list(walk(shop, Selection(), FAST, last.position)) == []


def test_conditions_are_the_servers_and_ours(shop: Cache, site: Site) -> None:
    site.fill([b"a:%d" % number for number in range(100)], ttl=30)
    site.fill([b"b:%d" % number for number in range(100)])
    site.plain.hset("h", "f", "v")
    assert {key[:1] for key in _seen(shop, Selection(ttl="any"))} == {b"a"}
    assert {key[:1] for key in _seen(shop, Selection(ttl="none"))} == {b"b", b"h"}
    assert _seen(shop, Selection(type="hash")) == [b"h"]
    assert _seen(shop, Selection(type="hash", ttl=">1")) == []


def test_a_time_budget_ends_it_early_and_says_where(shop: Cache, site: Site) -> None:
    site.fill(b"k:%d" % number for number in range(20_000))
    *_, last = walk(shop, Selection(), Budget(seconds=0.0))
    assert not last.position.ended
    assert 0 < last.position.examined < last.position.total == 20_000


def test_it_never_sends_keys(shop: Cache, site: Site) -> None:
    site.fill(b"k:%d" % number for number in range(1000))
    shop.primaries()
    site.forget_calls()
    _seen(shop, Selection(b"k:1*", type="string", ttl="none"))
    calls = site.calls()
    assert "keys" not in calls
    assert calls["dbsize"] == len(site.servers)
    assert calls["scan"] >= len(site.servers)


def test_closing_it_stops_it(shop: Cache, site: Site) -> None:
    site.fill(b"k:%d" % number for number in range(2000))
    walking = walk(shop, Selection(), FAST)
    next(walking)
    site.forget_calls()
    walking.close()
    assert "scan" not in site.calls()
    with pytest.raises(StopIteration):
        next(walking)
