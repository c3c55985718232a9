"""Settings are read from every node, set with a look whether it took, and the policies are the server's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboard.cache.errors import ReadOnlyCache
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.setting import SETTINGS
from dashboard.cache.servers.target import parse_target
from dashboard.cache.tuning import node_settings, policies
from tests.contract.sites import Site

DEFAULTS = {"maxmemory": "0", "maxmemory-policy": "noeviction", "maxmemory-samples": "5", "notify-keyspace-events": ""}


@pytest.fixture(autouse=True)
def _as_it_was(site: Site) -> Iterator[None]:
    yield
    for server in site.servers:
        with server.client() as client:
            for name, value in DEFAULTS.items():
                client.config_set(name, value)
            client.execute_command("ACL", "DELUSER", "bob")


def _bob(site: Site, *rights: str) -> Cache:
    """Cachedeck as a user who may do anything but this."""
    site.each("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all", *rights)
    scheme, _, rest = site.url.partition("://")
    return Cache(parse_target(f"shop={scheme}://bob:pw@{rest}"))


def test_every_primary_tells_all_that_it_knows(site: Site, shop: Cache) -> None:
    found = node_settings.read(shop)
    assert [node.node for node in found if not node.is_replica] == [node.name for node in shop.primaries()]
    for node in found:
        assert node.problem == ""
        assert node.values.keys() == {setting.name for setting in SETTINGS}
        assert node.values["maxmemory-policy"] == "noeviction"
        assert node.machine > node.used > 0


def test_a_read_only_cache_is_read_and_never_set(only_looking: Cache) -> None:
    assert all(node.values["maxmemory"] == "0" for node in node_settings.read(only_looking))
    assert node_settings.policies_of(only_looking) == ()
    with pytest.raises(ReadOnlyCache):
        node_settings.put(only_looking, only_looking.primaries()[0], {"maxmemory": "1mb"})
    with pytest.raises(ReadOnlyCache):
        node_settings.rewrite(only_looking, only_looking.primaries()[0])


def test_the_policies_are_those_of_the_server(shop: Cache) -> None:
    assert set(node_settings.policies_of(shop)) == set(policies.EVERYWHERE)
    assert all(node.values["maxmemory-policy"] == "noeviction" for node in node_settings.read(shop))


def test_what_is_set_is_read_back(site: Site, shop: Cache) -> None:
    wanted = {"maxmemory": "104857600", "maxmemory-policy": "allkeys-lfu"}
    for node in shop.primaries():
        put = node_settings.put(shop, node, wanted)
        assert (put.state, dict(put.now)) == ("applied", wanted)
    for node in node_settings.read(shop):
        assert {name: node.values[name] for name in wanted} == wanted


def test_of_several_settings_of_which_one_is_refused_none_is_changed(site: Site, shop: Cache) -> None:
    node = shop.primaries()[0]
    put = node_settings.put(shop, node, {"maxmemory": "104857600", "maxmemory-policy": "allkeys-mru"})
    assert put.state == "refused"
    assert "allkeys-lru" in put.sentence
    assert node_settings.read(shop)[0].values["maxmemory"] == "0"


def test_a_user_who_may_not_is_told_so_and_nothing_is_changed(site: Site) -> None:
    with closing(_bob(site, "-config|set")) as cache:
        put = node_settings.put(cache, cache.primaries()[0], {"maxmemory": "104857600"})
        assert put.state == "refused"
        assert "CONFIG SET" in put.sentence
        assert node_settings.policies_of(cache) == ()


def test_a_user_who_may_not_even_look_gets_what_info_tells(site: Site) -> None:
    with closing(_bob(site, "-config")) as cache:
        for node in node_settings.read(cache):
            assert "CONFIG GET" in node.problem
            assert dict(node.values) == {"maxmemory": "0", "maxmemory-policy": "noeviction"}


def test_a_server_without_a_file_says_so_when_it_is_to_write_it(shop: Cache) -> None:
    assert "without a config file" in node_settings.rewrite(shop, shop.primaries()[0])


def test_the_order_of_flags_means_nothing(shop: Cache) -> None:
    put = node_settings.put(shop, shop.primaries()[0], {"notify-keyspace-events": "meE"})
    assert put.state == "applied"
    assert node_settings.same("notify-keyspace-events", "KEA", "AKE")
    assert not node_settings.same("notify-keyspace-events", "KEAm", "KEA")
