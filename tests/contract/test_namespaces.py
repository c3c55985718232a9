"""The namespaces below a prefix, exact where all was examined and an honest estimate where not."""

from __future__ import annotations

import pytest

from dashboard.cache.reading import namespaces as naming
from dashboard.cache.reading.namespaces import namespaces
from dashboard.cache.servers.connect import Cache
from tests.cache.hostile_keys import HOSTILE
from tests.contract.sites import Site


def test_children_are_counted_by_size(shop: Cache, site: Site) -> None:
    site.fill([b"api:%d" % number for number in range(30)])
    site.fill([b"sess:%d:x" % number for number in range(20)])
    site.fill([b"plain", b"other"])
    found = namespaces(shop, b"", b":", seconds=5)
    assert [(child.prefix, child.name, child.keys.value) for child in found.children] == [
        (b"api:", b"api", 30),
        (b"sess:", b"sess", 20),
    ]
    assert (found.plain.value, found.others.value, found.exact) == (2, 0, True)


def test_a_prefix_opens_one_level(shop: Cache, site: Site) -> None:
    site.fill([b"a:b:1", b"a:b:2", b"a:c:1", b"a:leaf", b"ab:x", b"a"])
    found = namespaces(shop, b"a:", b":", seconds=5)
    assert {(child.prefix, child.name, child.keys.value) for child in found.children} == {
        (b"a:b:", b"b", 2),
        (b"a:c:", b"c", 1),
    }
    assert found.plain.value == 1


def test_a_prefix_with_wildcards_in_it_means_itself(shop: Cache, site: Site) -> None:
    site.fill([b"q[a]*:x:1", b"qa:x:1", b"q\\:y:1"])
    assert [child.name for child in namespaces(shop, b"q[a]*:", b":", seconds=5).children] == [b"x"]
    assert [child.name for child in namespaces(shop, b"q\\:", b":", seconds=5).children] == [b"y"]


def test_a_separator_may_be_longer_or_another(shop: Cache, site: Site) -> None:
    site.fill([b"a::b", b"a:b", b"a/b"])
    assert [child.prefix for child in namespaces(shop, b"", b"::", seconds=5).children] == [b"a::"]
    assert [child.prefix for child in namespaces(shop, b"", b"/", seconds=5).children] == [b"a/"]


def test_hostile_keys_have_their_place(shop: Cache, site: Site) -> None:
    site.fill([b"n:" + key for key in HOSTILE.values()])
    site.fill([key + b":x" for key in HOSTILE.values()])
    site.fill([b":x"])
    found = namespaces(shop, b"", b":", seconds=5)
    assert found.exact
    assert {child.name for child in found.children} >= {b"n", b"", b"\xff\xfe\x00\x80binary"}
    assert namespaces(shop, b"n:", b":", seconds=5).exact


def test_what_is_not_named_is_summed(shop: Cache, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_MOST_COUNTED", 60)
    site.fill([b"ns%d:x" % number for number in range(100)])
    found = namespaces(shop, b"", b":", seconds=5)
    assert len(found.children) == naming.MOST_NAMED
    assert found.others.value == 100 - naming.MOST_NAMED


def test_a_part_gives_an_estimate_that_holds_the_truth(
    shop: Cache, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "MOST_EXAMINED", 3000)
    site.fill([b"big:%d" % number for number in range(16_000)])
    site.fill([b"small:%d" % number for number in range(4000)])
    found = namespaces(shop, b"", b":", seconds=5)
    assert not found.exact
    assert found.position.examined < found.position.total == 20_000
    sizes = {child.name: child.keys for child in found.children}
    # Three times the 95 % interval: a false alarm in a billion runs.
    assert abs(sizes[b"big"].value - 16_000) <= 3 * sizes[b"big"].margin
    assert 0 < sizes[b"big"].margin < 1500
    assert sum(size.value for size in sizes.values()) == pytest.approx(20_000)


def test_one_namespace_of_which_a_part_is_examined_is_no_crash(
    shop: Cache, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN gives a few keys more than COUNT: more hits than keys examined would be no share of anything."""
    monkeypatch.setattr(naming, "MOST_EXAMINED", 1)
    site.fill([b"one:%d" % number for number in range(5000)])
    found = namespaces(shop, b"", b":", seconds=5)
    assert found.children[0].keys.high <= 5000


def test_an_empty_cache_has_none(shop: Cache) -> None:
    found = namespaces(shop, b"", b":", seconds=5)
    assert (found.children, found.plain.value, found.exact) == ((), 0, True)
