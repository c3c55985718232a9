"""Rows, one key's TTL and its end: the same on every kind of cache, for keys of any bytes and every type."""

from __future__ import annotations

import pytest

from dashboard.cache.reading import keys
from dashboard.cache.reading.keys import GONE, LONGEST_TTL, NO_TTL
from dashboard.cache.selecting.selection import Selection, glob_escape
from dashboard.cache.servers.connect import Cache
from tests.cache.hostile_keys import HOSTILE
from tests.cache.invalidating import removed
from tests.contract.sites import Site

MANY = [b"key:%d" % number for number in range(500)]


def test_rows_come_in_the_order_asked_and_without_the_missing(shop: Cache, site: Site) -> None:
    site.fill(MANY)
    asked = [*reversed(MANY), b"missing"]
    found = keys.rows(shop, asked)
    assert list(found) == list(reversed(MANY))
    assert all(key == row.key for key, row in found.items())
    assert keys.rows(shop, []) == {}


def test_rows_take_one_round_trip_for_each_primary(shop: Cache, site: Site) -> None:
    site.fill(MANY)
    keys.rows(shop, MANY[:1])
    asked = set()
    for node, of_node in shop.group(MANY).values():
        asked |= {(node.name, key) for key in of_node}
    assert len(asked) == len(MANY)
    assert len(shop.group(MANY)) == len(site.servers)
    site.forget_calls()
    keys.rows(shop, MANY)
    calls = site.calls()
    columns = ("type", "pttl", "memory|usage", "object|idletime")
    assert [calls.get(column) for column in columns] == [500] * 4


def test_a_row_tells_type_ttl_memory_and_idle_time(shop: Cache, site: Site) -> None:
    plain = site.plain
    plain.set("s", "x" * 5000, px=50_000)
    plain.hset("h", "f", "v")
    plain.rpush("l", "a")
    plain.sadd("se", "a")
    plain.zadd("z", {"a": 1})
    plain.xadd("st", {"f": "v"})
    found = keys.rows(shop, [b"s", b"h", b"l", b"se", b"z", b"st"])
    assert [row.type for row in found.values()] == ["string", "hash", "list", "set", "zset", "stream"]
    string = found[b"s"]
    assert 0 < string.pttl_ms <= 50_000
    assert string.ttl == string.pttl_ms / 1000
    assert string.memory is not None
    assert string.memory > 5000
    assert string.idle is not None
    assert string.frequency is None
    assert found[b"h"].pttl_ms == found[b"h"].ttl == NO_TTL


def test_a_row_tells_the_frequency_where_the_policy_keeps_it(site: Site) -> None:
    site.each("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    try:
        site.fill([b"k"])
        cache = site.open()
        row = keys.look(cache, b"k")
        cache.close()
    finally:
        site.each("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert row
    assert row.frequency is not None
    assert row.idle is None


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_key_can_be_looked_at_retimed_and_deleted(key: bytes, shop: Cache, site: Site) -> None:
    site.fill([key, b"other"])
    row = keys.look(shop, key)
    assert row
    assert (row.key, row.type, row.pttl_ms) == (key, "string", NO_TTL)
    assert [row.key for row in keys.look_up(shop, Selection(glob_escape(key)))] == [key]
    assert keys.set_ttl(shop, key, 100).before_ms == NO_TTL
    assert 90 < site.plain.ttl(key) <= 100
    assert keys.persist(shop, key).after_ms == NO_TTL
    assert site.plain.ttl(key) == -1
    assert removed(shop, key)
    assert site.plain.exists(key) == 0
    assert site.plain.exists(b"other") == 1


def test_a_look_up_keeps_the_other_conditions(shop: Cache, site: Site) -> None:
    site.fill([b"k"], ttl=50)
    assert keys.look_up(shop, Selection(b"k", type="string", ttl="<60"))
    assert not keys.look_up(shop, Selection(b"k", type="hash"))
    assert not keys.look_up(shop, Selection(b"k", ttl="none"))
    assert not keys.look_up(shop, Selection(b"missing"))


def test_set_ttl_says_before_and_after(shop: Cache, site: Site) -> None:
    site.fill([b"k"], ttl=1000)
    found = keys.set_ttl(shop, b"k", 60)
    assert 990_000 < found.before_ms <= 1_000_000
    assert 50_000 < found.after_ms <= 60_000
    assert not found.missing
    keys.set_ttl(shop, b"k", LONGEST_TTL)
    assert site.plain.ttl(b"k") > LONGEST_TTL - 60


def test_a_key_that_is_gone_is_said_to_be(shop: Cache) -> None:
    for found in (keys.set_ttl(shop, b"gone", 60), keys.persist(shop, b"gone")):
        assert found.missing
        assert found.after_ms == GONE
    assert not removed(shop, b"gone")
    assert keys.look(shop, b"gone") is None


def test_jitter_spreads_ttls_evenly_around_the_one_given(shop: Cache, site: Site) -> None:
    site.fill(MANY[:200])
    after = [keys.set_ttl(shop, key, 1000, jitter=0.2).after_ms / 1000 for key in MANY[:200]]
    assert all(790 < ttl <= 1200 for ttl in after)
    assert min(after) < 850
    assert max(after) > 1150
    # The mean of 200 draws from 800..1200 has a standard deviation of 8.2.
    assert 950 < sum(after) / len(after) < 1050


def test_jitter_of_a_short_ttl_never_deletes(shop: Cache, site: Site) -> None:
    site.fill(MANY[:50])
    for key in MANY[:50]:
        assert keys.set_ttl(shop, key, 0.001, jitter=1.0).before_ms == NO_TTL
    site.fill([b"k"])
    assert keys.set_ttl(shop, b"k", 0).after_ms in (0, 1, GONE)


def test_delete_uses_unlink(shop: Cache, site: Site) -> None:
    site.fill([b"k"])
    shop.capabilities()
    site.forget_calls()
    removed(shop, b"k")
    calls = site.calls()
    assert calls["unlink"] == 1
    assert "del" not in calls


def test_one_command_goes_to_the_server_of_its_key(shop: Cache, site: Site) -> None:
    site.fill(MANY[:60])
    holders = set()
    for key in MANY[:60]:
        node = shop.node_of(key)
        holders.add(node.name)
        assert node.client.exists(key) == 1
        assert shop.execute("GET", key) == b"v"
    assert len(holders) == len(site.servers)


def test_primaries_are_all_there_in_a_stable_order(shop: Cache, site: Site) -> None:
    names = [node.name for node in shop.primaries()]
    assert names == sorted(names) == [node.name for node in shop.primaries()]
    ports = [int(node.client.info("server")["tcp_port"]) for node in shop.primaries()]
    assert sorted(ports) == sorted(server.port for server in site.servers)
