"""Opening what is large: measured by the bytes that the server has sent, never by the clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import redis

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.values.page import Excerpt, HashRow, ListRow, SortedSetRow, StreamRow, StringRow, ValuePage, page
from tests.servers import Server

MIB = 2**20
GIANT = 64 * MIB


class Meter:
    """Bytes that the server sends, and the commands that it runs, within a block."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.sent = 0
        self.calls: dict[str, int] = {}

    def __enter__(self) -> Meter:
        self._client.config_resetstat()
        return self

    def __exit__(self, *_: object) -> None:
        self.sent = self._client.info("stats")["total_net_output_bytes"]
        stats = self._client.info("commandstats")
        self.calls = {name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()}


@pytest.fixture
def client(valkey: Server) -> Iterator[redis.Redis]:
    with valkey.client() as client:
        yield client
        client.flushall()


@pytest.fixture
def cache(valkey: Server) -> Iterator[Cache]:
    with contextlib.closing(Cache(parse_target(f"large={valkey.url}"))) as cache:
        cache.capabilities()
        yield cache


def shown(found: object) -> ValuePage:
    assert isinstance(found, ValuePage)
    return found


def test_of_a_large_string_only_a_range_travels(client: redis.Redis, cache: Cache) -> None:
    client.setrange("big", GIANT - 3, b"end")
    with Meter(client) as meter:
        first = shown(page(cache, b"big", type="string"))
    assert first.total == GIANT
    assert first.next == str(MIB)
    assert meter.sent < 2 * MIB
    assert (meter.calls["getrange"], meter.calls.get("get")) == (1, None)
    last = shown(page(cache, b"big", type="string", cursor=str(GIANT - 5)))
    assert last.rows == (StringRow(GIANT - 5, b"\x00\x00end"),)


def test_a_hash_of_300_000_fields_opens_with_one_page(client: redis.Redis, cache: Cache) -> None:
    client.eval("for n = 1, 300000 do redis.call('HSET', KEYS[1], 'field:' .. n, string.rep('v', 50)) end", 1, "wide")
    with Meter(client) as meter:
        found = shown(page(cache, b"wide", type="hash"))
    assert found.total == 300_000
    assert 100 <= len(found.rows) < 200
    assert found.next
    assert meter.sent < 64 * 1024
    assert meter.calls.get("hgetall") is None
    assert meter.calls["eval_ro"] == 1


def test_a_giant_among_a_hashs_values_is_named_by_its_size_and_not_read(client: redis.Redis, cache: Cache) -> None:
    client.setrange("big", GIANT - 1, b"x")
    client.hset("h", mapping={"small": "v", "middle": "m" * 100_000})
    client.eval("redis.call('HSET', KEYS[1], 'giant', redis.call('GET', KEYS[2]))", 2, "h", "big")
    with Meter(client) as meter:
        rows = {
            row.field.data: row.value for row in shown(page(cache, b"h", type="hash")).rows if isinstance(row, HashRow)
        }
    assert rows[b"giant"] == Excerpt(b"", GIANT)
    assert rows[b"middle"] == Excerpt(b"m" * 65536, 100_000)
    assert rows[b"small"] == Excerpt(b"v", 1)
    assert not rows[b"middle"].whole
    assert rows[b"small"].whole
    assert meter.calls["hget"] == 2
    assert meter.sent < 200_000


def test_without_scripts_a_giant_among_a_hashs_values_is_not_read_either(client: redis.Redis, valkey: Server) -> None:
    client.execute_command("ACL SETUSER unscripted on >secret ~* &* +@all -@scripting")
    client.hset("h", mapping={"small": "v", "giant": b"g" * 9 * MIB})
    place = f"redis://unscripted:secret@127.0.0.1:{valkey.port}"
    with contextlib.closing(Cache(parse_target(f"large={place}"))) as cache:
        cache.capabilities()
        with Meter(client) as meter:
            found = shown(page(cache, b"h", type="hash"))
    rows = {row.field.data: row.value for row in found.rows if isinstance(row, HashRow)}
    assert rows == {b"small": Excerpt(b"v", 1), b"giant": Excerpt(b"", 9 * MIB)}
    assert meter.sent < 100_000


def test_a_giant_element_is_cut_on_the_server(client: redis.Redis, cache: Cache) -> None:
    client.rpush("l", "a", b"g" * GIANT, "z")
    client.zadd("z", {b"g" * GIANT: 1, "b": 2})
    client.xadd("x", {"giant": b"g" * GIANT})
    client.sadd("s", "a", b"g" * GIANT)
    giant = Excerpt(b"g" * 65536, GIANT)
    with Meter(client) as meter:
        elements = shown(page(cache, b"l", type="list", count=2))
        ranked = shown(page(cache, b"z", type="zset", count=1))
        entries = shown(page(cache, b"x", type="stream"))
        members = shown(page(cache, b"s", type="set"))
    assert elements.rows == (ListRow(0, Excerpt(b"a", 1)), ListRow(1, giant))
    assert ranked.rows == (SortedSetRow(giant, 1.0, 0),)
    assert isinstance(entries.rows[0], StreamRow)
    assert entries.rows[0].fields == ((Excerpt(b"giant", 5), giant),)
    assert len(members.rows) == 2
    assert meter.sent < 500_000
    assert shown(page(cache, b"l", type="list", cursor=elements.next or "")).rows == (ListRow(2, Excerpt(b"z", 1)),)


def test_a_page_stops_when_it_weighs_enough(client: redis.Redis, cache: Cache) -> None:
    client.rpush("l", *(b"%03d" % n + b"e" * 60_000 for n in range(100)))
    rows = []
    cursor: str | None = ""
    while cursor is not None:
        with Meter(client) as meter:
            found = shown(page(cache, b"l", type="list", cursor=cursor))
        assert meter.sent < 1.5 * MIB
        rows += [row.value.data[:3] for row in found.rows if isinstance(row, ListRow)]
        cursor = found.next
    assert rows == [b"%03d" % n for n in range(100)]


@pytest.fixture
def unscripted(client: redis.Redis, valkey: Server) -> Iterator[Cache]:
    client.execute_command("ACL SETUSER unscripted on >secret ~* &* +@all -@scripting")
    place = f"redis://unscripted:secret@127.0.0.1:{valkey.port}"
    with contextlib.closing(Cache(parse_target(f"large={place}"))) as cache:
        cache.capabilities()
        yield cache


def test_without_scripts_large_elements_make_small_pages(client: redis.Redis, unscripted: Cache) -> None:
    for n in range(60):
        client.rpush("l", b"%d" % n + b"e" * MIB)
    with Meter(client) as meter:
        found = shown(page(unscripted, b"l", type="list"))
    assert 1 <= len(found.rows) <= 16
    assert found.next == str(len(found.rows))
    assert meter.sent < 20 * MIB
    assert "may not run scripts" in found.notes[0]


def test_without_scripts_elements_too_large_to_fetch_are_not_fetched(client: redis.Redis, unscripted: Cache) -> None:
    client.rpush("l", b"e" * GIANT)
    with Meter(client) as meter:
        found = shown(page(unscripted, b"l", type="list"))
    assert (found.rows, found.total, found.next) == ((), 1, None)
    assert "too large to be fetched whole" in found.notes[0]
    assert meter.sent < 10_000


def test_a_compact_encoding_of_many_elements_is_still_paged(client: redis.Redis, cache: Cache) -> None:
    client.config_set("hash-max-listpack-entries", 10_000)
    try:
        client.hset("h", mapping={f"f{n}": n for n in range(2500)})
        assert client.object("ENCODING", "h") == b"listpack"
    finally:
        client.config_set("hash-max-listpack-entries", 512)
    seen: list[bytes] = []
    cursor: str | None = ""
    while cursor is not None:
        found = shown(page(cache, b"h", type="hash", cursor=cursor))
        assert len(found.rows) <= 1000
        seen += [row.field.data for row in found.rows if isinstance(row, HashRow)]
        cursor = found.next
    assert sorted(seen) == sorted(b"f%d" % n for n in range(2500))
