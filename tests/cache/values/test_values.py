"""page(): what an operator sees of each type of value, on a real server, by script and without."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.values.page import (
    BadCursor,
    Excerpt,
    Gone,
    HashRow,
    ListRow,
    SetRow,
    SortedSetRow,
    StreamGroup,
    StreamRow,
    StringRow,
    ValuePage,
    page,
)
from tests.servers import Cluster, Server

KEY = b"k\xff\n/\x00"


def opened(url: str) -> contextlib.closing[Cache]:
    return contextlib.closing(Cache(parse_target(f"values={url}")))


@pytest.fixture(params=["scripted", "unscripted"])
def cache(valkey: Server, request: pytest.FixtureRequest) -> Iterator[Cache]:
    """Two users of one server: one may run scripts, the other has to do without."""
    with valkey.client() as client:
        client.execute_command("ACL SETUSER unscripted on >secret ~* &* +@all -@scripting")
    user = "unscripted:secret@" if request.param == "unscripted" else ""
    with opened(f"redis://{user}127.0.0.1:{valkey.port}") as cache:
        assert cache.capabilities().can("EVAL_RO") == (request.param == "scripted")
        yield cache


def whole(data: bytes) -> Excerpt:
    return Excerpt(data, len(data))


def shown(found: ValuePage | Gone) -> ValuePage:
    assert isinstance(found, ValuePage)
    return found


def all_pages(cache: Cache, *, type: str, count: int, match: bytes | None = None) -> list[ValuePage]:  # noqa: A002
    pages = [shown(page(cache, KEY, type=type, count=count, match=match))]
    while (cursor := pages[-1].next) is not None:
        pages.append(shown(page(cache, KEY, type=type, count=count, match=match, cursor=cursor)))
    return pages


class TestString:
    def test_it_gives_a_range_and_the_length(self, cache: Cache) -> None:
        cache.client.set(KEY, b"\x00hello\xff")
        assert page(cache, KEY, type="string") == ValuePage("string", (StringRow(0, b"\x00hello\xff"),), 7, None)
        assert page(cache, KEY, type="string", cursor="3", max_bytes=2) == ValuePage(
            "string", (StringRow(3, b"ll"),), 7, "5"
        )

    def test_ranges_join_to_the_whole(self, cache: Cache) -> None:
        value = bytes(range(256)) * 10
        cache.client.set(KEY, value)
        offset: str | None = ""
        parts = []
        while offset is not None:
            found = shown(page(cache, KEY, type="string", cursor=offset, max_bytes=700))
            parts += [row.data for row in found.rows if isinstance(row, StringRow)]
            offset = found.next
        assert b"".join(parts) == value
        assert len(parts) == 4

    def test_an_empty_string_is_no_missing_key(self, cache: Cache) -> None:
        cache.client.set(KEY, b"")
        assert page(cache, KEY, type="string") == ValuePage("string", (StringRow(0, b""),), 0, None)

    def test_beyond_its_end_is_nothing(self, cache: Cache) -> None:
        cache.client.set(KEY, b"abc")
        assert page(cache, KEY, type="string", cursor="99") == ValuePage("string", (StringRow(99, b""),), 3, None)


class TestHash:
    def test_it_gives_fields_values_and_field_ttls(self, cache: Cache) -> None:
        cache.client.hset(KEY, mapping={b"a\xff": b"1", b"empty": b"", b"": b"no name"})
        at = int(time.time()) + 1000
        cache.client.execute_command("HPEXPIREAT", KEY, at * 1000, "FIELDS", 1, b"a\xff")
        found = shown(page(cache, KEY, type="hash"))
        assert (found.total, found.next) == (3, None)
        assert set(found.rows) == {
            HashRow(whole(b"a\xff"), whole(b"1"), float(at)),
            HashRow(whole(b"empty"), whole(b"")),
            HashRow(whole(b""), whole(b"no name")),
        }

    def test_pages_cover_it_and_no_page_repeats_a_field(self, cache: Cache) -> None:
        cache.client.hset(KEY, mapping={f"field:{n}": n for n in range(5000)})
        pages = all_pages(cache, type="hash", count=500)
        seen = {}
        for found in pages:
            rows = [row for row in found.rows if isinstance(row, HashRow)]
            assert len({row.field for row in rows}) == len(rows)
            assert found.total == 5000
            seen.update({row.field.data: row.value.data for row in rows})
        assert seen == {b"field:%d" % n: b"%d" % n for n in range(5000)}
        assert len(pages) > 3

    def test_a_compact_one_comes_at_once(self, cache: Cache) -> None:
        cache.client.hset(KEY, mapping={f"field:{n}": n for n in range(300)})
        found = shown(page(cache, KEY, type="hash", count=10))
        assert (len(found.rows), found.next) == (300, None)

    def test_fields_are_found_by_pattern(self, cache: Cache) -> None:
        cache.client.hset(KEY, mapping={f"field:{n}": n for n in range(5000)})
        pages = all_pages(cache, type="hash", count=100, match=b"field:*77")
        names = {row.field.data for found in pages for row in found.rows if isinstance(row, HashRow)}
        assert names == {b"field:%d" % n for n in range(5000) if str(n).endswith("77")}

    def test_a_field_named_outright_is_found_in_one_page(self, cache: Cache) -> None:
        cache.client.hset(KEY, mapping={f"field:{n}": n for n in range(5000)} | {"q=[a]": "x"})
        found = shown(page(cache, KEY, type="hash", match=b"field:4711"))
        assert (found.rows, found.total, found.next) == ((HashRow(whole(b"field:4711"), whole(b"4711")),), 5001, None)
        assert shown(page(cache, KEY, type="hash", match=b"field:")).rows == ()
        assert shown(page(cache, KEY, type="hash", match=rb"q=\[a\]")).rows == (HashRow(whole(b"q=[a]"), whole(b"x")),)


class TestList:
    def test_it_is_paged_by_position(self, cache: Cache) -> None:
        cache.client.rpush(KEY, *range(250))
        pages = all_pages(cache, type="list", count=100)
        assert [len(found.rows) for found in pages] == [100, 100, 50]
        assert [row for found in pages for row in found.rows] == [ListRow(n, whole(b"%d" % n)) for n in range(250)]
        assert pages[0].total == 250

    def test_a_full_last_page_has_no_next(self, cache: Cache) -> None:
        cache.client.rpush(KEY, *range(200))
        assert [len(found.rows) for found in all_pages(cache, type="list", count=100)] == [100, 100]

    def test_beyond_its_end_is_nothing(self, cache: Cache) -> None:
        cache.client.rpush(KEY, "a")
        assert page(cache, KEY, type="list", cursor="5") == ValuePage("list", (), 1, None)


class TestSet:
    @pytest.mark.parametrize("size", [40, 3000])
    def test_pages_cover_it_and_no_page_repeats_a_member(self, cache: Cache, size: int) -> None:
        cache.client.sadd(KEY, *(f"member:{n}" for n in range(size)))
        members = set()
        for found in all_pages(cache, type="set", count=100):
            rows = [row.member.data for row in found.rows if isinstance(row, SetRow)]
            assert len(set(rows)) == len(rows)
            members |= set(rows)
        assert members == {b"member:%d" % n for n in range(size)}

    def test_a_member_named_outright_is_looked_up(self, cache: Cache) -> None:
        cache.client.sadd(KEY, *range(3000))
        assert shown(page(cache, KEY, type="set", match=b"2718")).rows == (SetRow(whole(b"2718")),)
        assert shown(page(cache, KEY, type="set", match=b"none")).rows == ()


class TestSortedSet:
    @pytest.mark.parametrize("size", [30, 250])
    def test_it_is_paged_by_rank_with_scores(self, cache: Cache, size: int) -> None:
        cache.client.zadd(KEY, {f"m{n:03}": n / 4 for n in range(size)})
        pages = all_pages(cache, type="zset", count=100)
        assert [row for found in pages for row in found.rows] == [
            SortedSetRow(whole(b"m%03d" % n), n / 4, n) for n in range(size)
        ]

    def test_infinite_scores_are_shown(self, cache: Cache) -> None:
        cache.client.zadd(KEY, {"a": float("-inf"), "b": float("inf")})
        assert [row.score for row in shown(page(cache, KEY, type="zset")).rows if isinstance(row, SortedSetRow)] == [
            float("-inf"),
            float("inf"),
        ]

    def test_members_are_found_by_pattern_or_name(self, cache: Cache) -> None:
        cache.client.zadd(KEY, {f"m{n}": n for n in range(500)})
        pages = all_pages(cache, type="zset", count=100, match=b"m*99")
        rows = [row for found in pages for row in found.rows]
        assert {(row.member.data, row.score, row.rank) for row in rows if isinstance(row, SortedSetRow)} == {
            (b"m%d" % n, float(n), None) for n in (99, 199, 299, 399, 499)
        }
        assert shown(page(cache, KEY, type="zset", match=b"m7")).rows == (SortedSetRow(whole(b"m7"), 7.0, 7),)


class TestStream:
    def test_it_is_paged_from_the_newest(self, cache: Cache) -> None:
        for n in range(1, 251):
            cache.client.xadd(KEY, {"n": n}, id=f"{n}-0")
        pages = all_pages(cache, type="stream", count=100)
        assert [len(found.rows) for found in pages] == [100, 100, 50]
        assert [row.id for found in pages for row in found.rows if isinstance(row, StreamRow)] == [
            f"{n}-0" for n in range(250, 0, -1)
        ]
        assert pages[0].rows[0] == StreamRow("250-0", ((whole(b"n"), whole(b"250")),), 1)
        assert pages[0].total == 250

    def test_a_full_last_page_has_no_next(self, cache: Cache) -> None:
        for n in range(1, 201):
            cache.client.xadd(KEY, {"n": n}, id=f"0-{n}")
        assert [len(found.rows) for found in all_pages(cache, type="stream", count=100)] == [100, 100]

    def test_paging_goes_on_where_an_entry_was_deleted(self, cache: Cache) -> None:
        for n in range(1, 21):
            cache.client.xadd(KEY, {"n": n}, id=f"{n}-0")
        first = shown(page(cache, KEY, type="stream", count=5))
        cache.client.xdel(KEY, "16-0", "15-0")
        second = shown(page(cache, KEY, type="stream", count=5, cursor=first.next or ""))
        assert [row.id for row in second.rows if isinstance(row, StreamRow)] == [f"{n}-0" for n in range(14, 9, -1)]

    def test_a_name_that_comes_twice_in_an_entry_is_shown_twice(self, cache: Cache) -> None:
        cache.client.execute_command("XADD", KEY, "1700000000123-0", "a", "1", "a", "2")
        row = shown(page(cache, KEY, type="stream")).rows[0]
        assert row == StreamRow(
            "1700000000123-0", ((whole(b"a"), whole(b"1")), (whole(b"a"), whole(b"2"))), field_count=2
        )
        assert isinstance(row, StreamRow)
        assert row.at == pytest.approx(1700000000.123)

    def test_many_fields_are_cut_and_counted(self, cache: Cache) -> None:
        cache.client.xadd(KEY, {f"f{n}": n for n in range(500)})
        row = shown(page(cache, KEY, type="stream")).rows[0]
        assert isinstance(row, StreamRow)
        assert (len(row.fields), row.field_count) == (100, 500)

    def test_it_tells_of_its_groups(self, cache: Cache) -> None:
        cache.client.xadd(KEY, {"n": 1}, id="1-0")
        cache.client.xadd(KEY, {"n": 2}, id="2-0")
        cache.client.xgroup_create(KEY, b"workers", id="0")
        cache.client.xreadgroup(b"workers", b"me", {KEY: ">"}, count=1)
        assert shown(page(cache, KEY, type="stream")).groups == (StreamGroup(b"workers", 1, 1, "1-0", 1),)


class TestAnyType:
    @pytest.mark.parametrize("kind", ["string", "hash", "list", "set", "zset", "stream", "ReJSON-RL", "none"])
    def test_a_key_that_vanished_is_gone(self, cache: Cache, kind: str) -> None:
        assert page(cache, KEY, type=kind) == Gone("none")

    @pytest.mark.parametrize("kind", ["string", "hash", "list", "zset", "stream", "ReJSON-RL"])
    def test_a_key_that_changed_its_type_is_gone(self, cache: Cache, kind: str) -> None:
        cache.client.sadd(KEY, "a")
        assert page(cache, KEY, type=kind) == Gone("set")

    @pytest.mark.parametrize("kind", ["hash", "set", "zset"])
    def test_a_look_up_in_what_is_gone_is_gone(self, cache: Cache, kind: str) -> None:
        cache.client.set(KEY, "a")
        assert page(cache, KEY, type=kind, match=b"x") == Gone("string")

    @pytest.mark.parametrize(
        ("kind", "cursor"),
        [
            ("string", "-1"),
            ("string", "1" * 19),
            ("string", "٣"),
            ("list", "0:0"),
            ("zset", "+1"),
            ("hash", "12"),
            ("hash", "99999999999999999999:0"),
            ("set", "1:1\n"),
            ("stream", "+"),
            ("stream", "1-99999999999999999999"),
        ],
    )
    def test_a_cursor_that_is_none_is_refused(self, cache: Cache, kind: str, cursor: str) -> None:
        with pytest.raises(BadCursor, match="does not name a page"):
            page(cache, KEY, type=kind, cursor=cursor)

    def test_looking_does_not_touch(self, cache: Cache) -> None:
        cache.client.hset(KEY, mapping={f"field:{n}": n for n in range(600)})
        deadline = time.monotonic() + 120
        while cache.client.object("IDLETIME", KEY) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        page(cache, KEY, type="hash")
        assert cache.client.object("IDLETIME", KEY) >= 2


def test_a_cluster_serves_every_type(cluster: Cluster) -> None:
    with opened(cluster.url) as cache:
        for number in range(6):
            cache.client.set(f"s{number}", "v")
            cache.client.rpush(f"l{number}", "v")
            cache.client.hset(f"h{number}", "f", "v")
            cache.client.xadd(f"x{number}", {"f": "v"})
            for kind in ("string", "list", "hash", "stream"):
                name = f"{'x' if kind == 'stream' else kind[0]}{number}".encode()
                assert shown(page(cache, name, type=kind)).total == 1


def test_a_cache_declared_read_only_shows_everything(valkey: Server) -> None:
    with valkey.client() as client:
        client.hset(KEY, "f", "v")
    with opened(f"{valkey.url}?read_only=yes") as cache:
        assert shown(page(cache, KEY, type="hash")).rows == (HashRow(whole(b"f"), whole(b"v")),)
