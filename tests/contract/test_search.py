"""A search finds every key once, in steps that say where they stand, and claims to be complete only when it is."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dashboard.cache.reading import search as searching
from dashboard.cache.reading.search import Step, search, state_from_text
from dashboard.cache.selecting.selection import Selection, glob_escape
from dashboard.cache.servers.connect import Cache
from tests.cache.hostile_keys import HOSTILE
from tests.contract.sites import Site

MANY = 30_000


def _pages(cache: Cache, selection: Selection, seconds: float = 5.0, limit: int = 1000) -> Iterator[Step]:
    """All steps of a search, its state carried as text as a page carries it."""
    step = search(cache, selection, limit=limit, seconds=seconds)
    yield step
    while step.state is not None:
        step = search(cache, selection, state_from_text(step.state.to_text()), limit=limit, seconds=seconds)
        yield step


def _all(cache: Cache, selection: Selection, **options: float) -> list[bytes]:
    return [row.key for step in _pages(cache, selection, **options) for row in step.rows]  # type: ignore[arg-type]


def test_no_key_is_shown_twice_and_none_is_missed(shop: Cache, site: Site) -> None:
    many = MANY if site.kind == "standalone" else MANY // 5
    wanted = [b"key:%d" % number for number in range(many)]
    site.fill(wanted)
    steps = list(_pages(shop, Selection(b"*"), limit=2500))
    shown = [row.key for step in steps for row in step.rows]
    assert len(shown) == len(set(shown))
    assert set(shown) == set(wanted)
    assert all(len(step.rows) <= 2500 for step in steps)
    assert [step.complete for step in steps] == [False] * (len(steps) - 1) + [True]
    assert [step.found for step in steps] == sorted(step.found for step in steps)
    assert steps[-1].found == steps[-1].examined == steps[-1].total == many


def test_no_key_is_shown_twice_while_tables_grow_and_shrink(shop: Cache, site: Site) -> None:
    stay = [b"stay:%d" % number for number in range(3000)]
    site.fill(stay)
    guests = [b"guest:%d" % guest for guest in range(15_000)]
    shown: list[bytes] = []
    for number, step in enumerate(_pages(shop, Selection(b"stay:*"), limit=100)):
        shown += [row.key for row in step.rows]
        # Each round makes the tables several times larger or smaller, so that they are rehashed under the search.
        if number % 8 == 0:
            site.fill(guests)
        elif number % 8 == 4:
            site.remove(guests)
    assert len(shown) == len(set(shown))
    assert set(shown) == set(stay)


def test_an_examined_count_never_exceeds_the_total(shop: Cache, site: Site) -> None:
    site.fill(b"key:%d" % number for number in range(5000))
    before = 0
    for step in _pages(shop, Selection(b"*"), limit=130):
        assert before <= step.examined <= step.total == 5000
        before = step.examined


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_key_is_found_by_its_name_and_by_a_wildcard(name: str, shop: Cache, site: Site) -> None:
    key = HOSTILE[name]
    site.fill([key, b"zzz"])
    by_name = search(shop, Selection(glob_escape(key)))
    assert [row.key for row in by_name.rows] == [key]
    assert by_name.direct
    by_glob = _all(shop, Selection(glob_escape(key) + b"*"))
    assert key in by_glob
    assert set(by_glob) <= {key, b"zzz"}


def test_all_hostile_keys_stand_in_one_list(shop: Cache, site: Site) -> None:
    site.fill(HOSTILE.values())
    assert sorted(_all(shop, Selection(b"*"))) == sorted(HOSTILE.values())


def test_a_pasted_key_with_wildcards_in_its_name_comes_first(shop: Cache, site: Site) -> None:
    site.fill([b"q=[a]", b"q=a", b"page*", b"pages", b"page:1"])
    assert _all(shop, Selection(b"q=[a]")) == [b"q=[a]", b"q=a"]
    found = _all(shop, Selection(b"page*"))
    assert found[0] == b"page*"
    assert sorted(found) == [b"page*", b"page:1", b"pages"]


def test_a_key_that_is_named_is_answered_at_once_among_many(shop: Cache, site: Site) -> None:
    site.fill([b"k:%d" % number for number in range(MANY)])
    search(shop, Selection(b"warm"))
    site.forget_calls()
    found = search(shop, Selection(b"k:29999"))
    assert [row.key for row in found.rows] == [b"k:29999"]
    assert found.complete
    assert found.direct
    missing = search(shop, Selection(b"k:30000"))
    assert (missing.rows, missing.complete, missing.state) == ((), True, None)
    assert "scan" not in site.calls()


def test_a_search_is_not_complete_before_the_keyspace_is_through(shop: Cache, site: Site) -> None:
    site.fill(b"k:%d" % number for number in range(20_000))
    first = search(shop, Selection(b"nothing*"), seconds=0.0001)
    assert not first.complete
    assert first.state is not None
    assert first.examined < first.total == 20_000
    *_, last = _pages(shop, Selection(b"nothing*"))
    assert last.complete
    assert last.found == 0
    assert last.examined == 20_000


def test_a_full_page_that_ends_with_the_keyspace_is_complete(shop: Cache, site: Site) -> None:
    site.fill(b"k:%d" % number for number in range(50))
    step = search(shop, Selection(b"*"), limit=50)
    steps = 1
    while not step.complete:
        assert step.state
        step = search(shop, Selection(b"*"), step.state, limit=50)
        assert step.rows == ()
        steps += 1
    assert steps <= 1 + len(site.servers)
    assert not step.full


def test_an_empty_cache_is_complete_with_nothing(shop: Cache) -> None:
    step = search(shop, Selection(b"*"))
    assert (step.rows, step.found, step.examined, step.total, step.complete) == ((), 0, 0, 0, True)


def test_conditions_are_kept(shop: Cache, site: Site) -> None:
    site.fill([b"a:%d" % number for number in range(300)], ttl=30)
    site.fill([b"b:%d" % number for number in range(300)])
    for number in range(20):
        site.plain.hset(f"h:{number}", "f", "v")
    assert len(_all(shop, Selection(b"*", ttl="none"))) == 320
    assert len(_all(shop, Selection(b"*", ttl="<60"))) == 300
    assert len(_all(shop, Selection(b"*", type="hash"))) == 20
    assert len(_all(shop, Selection(b"*", type="HASH", ttl="none"))) == 20
    assert _all(shop, Selection(b"*", type="hash", ttl="any")) == []


def test_ranges_instants_and_sizes_are_conditions_too(shop: Cache, site: Site) -> None:
    small, large = [b"s:%d" % number for number in range(200)], [b"l:%d" % number for number in range(200)]
    site.fill(small, b"v", ttl=100)
    site.fill(large[:100], b"v" * 3000, ttl=1000)
    site.fill(large[100:], b"v" * 3000)
    now = int(time.time())
    assert sorted(_all(shop, Selection(ttl="60-120"))) == sorted(small)
    assert sorted(_all(shop, Selection(b"*", ttl=f"@{now + 900}-{now + 1100}"))) == sorted(large[:100])
    assert sorted(_all(shop, Selection(size=">2000"))) == sorted(large)
    assert sorted(_all(shop, Selection(b"l*", "string", "none", ">2000"))) == sorted(large[100:])
    assert _all(shop, Selection(b"s*", size=">2000")) == []


def test_a_key_that_vanishes_before_its_row_is_read_is_not_counted(
    shop: Cache, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fill([b"stays", b"goes"])
    collect = searching._collect

    def and_one_expires(*arguments: object) -> object:
        found = collect(*arguments)  # type: ignore[arg-type]
        site.plain.delete(b"goes")
        return found

    monkeypatch.setattr(searching, "_collect", and_one_expires)
    step = search(shop, Selection(b"*"))
    assert [row.key for row in step.rows] == [b"stays"]
    assert step.found == 1


def test_a_listing_gives_each_key_once_and_ends(shop: Cache, site: Site) -> None:
    wanted = {b"k:%d" % number for number in range(3000)} | {b"k:*"}
    site.fill(wanted)
    found = list(searching.listing(shop, Selection(b"k:*")))
    shown = [row.key for rows, _ in found for row in rows]
    assert len(shown) == len(set(shown)) == len(wanted)
    assert set(shown) == wanted
    assert found[-1][1].ended
    assert [len(rows) for rows, _ in searching.listing(shop, Selection(b"k:7"))] == [1]
