"""Every connection says whose it is, and looking through it changes nothing about what would be evicted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dashboard.cache.reading import keys
from dashboard.cache.reading.namespaces import namespaces
from dashboard.cache.reading.search import search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.values.page import page
from dashboard.cache.walking.walk import Budget, walk
from tests.contract.sites import Site

LOOKS: dict[str, Callable[[Cache], object]] = {
    "look": lambda cache: keys.look(cache, b"s"),
    "rows": lambda cache: keys.rows(cache, [b"s", b"h", b"l"]),
    "search": lambda cache: search(cache, Selection(b"*", ttl="none")),
    "search by name": lambda cache: search(cache, Selection(b"s")),
    "walk": lambda cache: list(walk(cache, Selection(type="string"), Budget(share=1.0))),
    "namespaces": lambda cache: namespaces(cache, b"", b":"),
    "a string": lambda cache: page(cache, b"s", type="string"),
    "a hash": lambda cache: page(cache, b"h", type="hash"),
    "a list": lambda cache: page(cache, b"l", type="list"),
    "get": lambda cache: cache.execute("GET", b"s"),
    "pipeline": lambda cache: cache.pipeline(cache.node_of(b"s"), [("GET", b"s")]),
}


def test_every_connection_is_named_and_asks_not_to_touch(shop: Cache, site: Site) -> None:
    for look in LOOKS.values():
        look(shop)
    for server in site.servers:
        with server.client() as client:
            ours = [one for one in client.client_list() if one["name"] == "cachedeck"]
        assert ours
        assert all("T" in one["flags"] for one in ours)


def test_a_read_only_cache_asks_not_to_touch_either(only_looking: Cache, site: Site) -> None:
    for node in only_looking.primaries():
        only_looking.execute("PING", node=node)
    for server in site.servers:
        with server.client() as client:
            ours = [one for one in client.client_list() if one["name"] == "cachedeck"]
        assert [one["flags"] for one in ours if "T" not in one["flags"]] == []
        assert ours


@pytest.fixture
def frequency(site: Site) -> object:
    """What LFU counts of a key; every touch raises it by one here, so that none can go unseen."""
    for setting, value in (("maxmemory-policy", "allkeys-lfu"), ("lfu-log-factor", 0), ("lfu-decay-time", 0)):
        site.each("CONFIG", "SET", setting, value)
    site.plain.set("s", "v")
    site.plain.hset("h", "f", "v")
    site.plain.rpush("l", "a", "b")
    yield lambda: [site.plain.object("FREQ", key) for key in ("s", "h", "l")]
    for setting, value in (("maxmemory-policy", "noeviction"), ("lfu-log-factor", 10), ("lfu-decay-time", 1)):
        site.each("CONFIG", "SET", setting, value)


@pytest.mark.parametrize("name", LOOKS)
def test_looking_does_not_change_what_would_be_evicted(
    name: str, shop: Cache, site: Site, frequency: Callable[[], list[int]]
) -> None:
    before = frequency()
    for _ in range(3):
        LOOKS[name](shop)
    assert frequency() == before
    site.plain.get("s")
    assert frequency() != before
