"""TTL, instant and size conditions mean the same keys wherever they are asked, and what cannot be asked is said."""

from __future__ import annotations

from contextlib import closing

import pytest

from dashboard.cache.errors import Denied
from dashboard.cache.reading import keys
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.filtering import meets, needs_look
from tests.contract.sites import Site
from tests.servers import running

INSTANT = 4_000_000_000  # a whole second far ahead


def _meeting(cache: Cache, selection: Selection, names: list[bytes]) -> set[bytes]:
    return {key for node, mine in cache.group(names).values() for key in meets(cache, node, selection, mine)}


def test_only_a_ttl_or_a_size_needs_a_look() -> None:
    assert not needs_look(Selection(b"a*", "hash"))
    assert needs_look(Selection(ttl="any"))
    assert needs_look(Selection(size=">1"))


def test_a_range_of_instants_picks_what_expires_in_it(shop: Cache, site: Site) -> None:
    names = [b"k:%d" % number for number in range(600)]
    site.fill(names)
    for number, name in enumerate(names):  # 200 each at the second before, at it, and at its last millisecond
        site.plain.pexpireat(name, (INSTANT * 1000 - 1000, INSTANT * 1000, INSTANT * 1000 + 999)[number % 3])
    found = _meeting(shop, Selection(ttl=f"@{INSTANT}-{INSTANT + 1}"), names)
    # Between PTTL and TIME the clock goes on, so that the last millisecond may be counted to the next second.
    assert {name for number, name in enumerate(names) if number % 3 == 1} <= found
    assert not {name for number, name in enumerate(names) if number % 3 == 0} & found
    assert _meeting(shop, Selection(ttl=f"@{INSTANT}-{INSTANT + 2}"), names) == {
        name for number, name in enumerate(names) if number % 3
    }


def test_a_size_and_a_range_of_ttl_are_both_kept(shop: Cache, site: Site) -> None:
    small, large, gone = [b"s:%d" % n for n in range(50)], [b"l:%d" % n for n in range(50)], [b"gone"]
    site.fill(small, b"v", ttl=100)
    site.fill(large[:25], b"v" * 2000, ttl=100)
    site.fill(large[25:], b"v" * 2000, ttl=1000)
    everyone = [*small, *large, *gone]
    assert _meeting(shop, Selection(size=">1500"), everyone) == set(large)
    assert _meeting(shop, Selection(size="<1500"), everyone) == set(small)
    assert _meeting(shop, Selection(ttl="60-120", size=">1500"), everyone) == set(large[:25])


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(b"k", ttl="50-101"), True),
        (Selection(b"k", ttl="0-50"), False),
        (Selection(b"k", ttl="@1-9999999999"), True),
        (Selection(b"k", ttl="@1-2"), False),
        (Selection(b"k", size=">500"), True),
        (Selection(b"k", size="<500"), False),
    ],
)
def test_a_key_that_is_named_must_meet_them_too(selection: Selection, found: bool, shop: Cache, site: Site) -> None:
    site.fill([b"k"], b"v" * 1000, ttl=100)
    assert [row.key for row in keys.look_up(shop, selection)] == [b"k"] * found


def test_a_size_that_may_not_be_asked_is_an_error_and_not_an_empty_list() -> None:
    with running() as server, server.client() as client:
        client.set("k", "v")
        client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all", "-memory")
        with closing(Cache(parse_target(f"shop=redis://bob:pw@127.0.0.1:{server.port}"))) as cache:
            selection = Selection(b"k", size=">1")
            with pytest.raises(Denied, match="MEMORY"):
                meets(cache, cache.node_of(b"k"), selection, [b"k"])
            with pytest.raises(Denied, match="MEMORY"):
                keys.look_up(cache, selection)
