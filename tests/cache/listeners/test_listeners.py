"""Who listens to real servers: clients that track keys, subscribers, channels, and what is denied."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from dashboard.cache.listeners import listeners
from dashboard.cache.listeners.listeners import listening
from dashboard.cache.listeners.risk import Limit
from dashboard.cache.messages.channels import channels_of
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.cache.listening import limited, raw
from tests.servers import HOST, Cluster, Server


@pytest.fixture
def shop(valkey: Server) -> Iterator[Cache]:
    with contextlib.closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        yield cache


def test_clients_that_track_and_clients_that_listen_are_told_apart(shop: Cache, valkey: Server) -> None:
    with (
        raw(valkey, "app:tracks", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON")),
        raw(valkey, "app:bcast", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:")),
        raw(valkey, "app:listens", ("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*"), ("SSUBSCRIBE", "shard")),
        raw(valkey, "app:plain"),
    ):
        (node,) = listening(shop).nodes
        found = {one.name: one for one in node.clients if one.name.startswith("app:")}
        assert set(found) == {"app:tracks", "app:bcast", "app:listens"}
        assert "B" in found["app:bcast"].flags
        heard = found["app:listens"]
        assert (heard.channels, heard.patterns, heard.sharded) == (1, 1, 1)
        assert (node.tracking, node.listed, node.problems) == (2, True, ())
        assert node.pubsub in (1, None)
        assert node.limits == {
            "normal": Limit(0, 0, 0),
            "slave": Limit(256 * 1024**2, 64 * 1024**2, 60),
            "pubsub": Limit(32 * 1024**2, 8 * 1024**2, 60),
        }
        assert node.table is not None
        assert node.table_most == 1_000_000


def test_a_target_of_invalidations_that_is_gone_is_seen(shop: Cache, valkey: Server) -> None:
    with raw(valkey, "app:tracks") as tracks:
        with raw(valkey, "app:target", ("SUBSCRIBE", "__redis__:invalidate")) as target:
            del target
            (node,) = listening(shop).nodes
            (told,) = (one for one in node.clients if one.name == "app:target")
            assert tracks.says("CLIENT", "TRACKING", "ON", "REDIRECT", str(told.id)) == b"+OK\r\n"
            (node,) = listening(shop).nodes
            (found,) = (one for one in node.clients if one.name == "app:tracks")
            assert found.redirects == told.id
        tracks.says("GET", "a")
        with valkey.client() as client:
            client.set("a", "b")
        (node,) = listening(shop).nodes
        (found,) = (one for one in node.clients if one.name == "app:tracks")
        assert "R" in found.flags


@pytest.mark.parametrize("filters", [True, False])
def test_no_list_of_more_than_so_many_is_asked_for(
    filters: bool, shop: Cache, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "MOST_CLIENTS", 0)
    if not filters:
        monkeypatch.setattr(listeners, "FILTERS", ("", ()))
    with (
        raw(valkey, "app:a", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON")),
        raw(valkey, "app:b"),
        raw(valkey, "app:c"),
    ):
        (node,) = listening(shop).nodes
        assert not [one for one in node.clients if "t" in one.flags]
        assert node.tracking == 1
        assert not node.listed
        assert "they are counted, not listed" in node.problems[-1]


def test_a_server_that_cannot_filter_tells_the_same(
    shop: Cache, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw(valkey, "app:tracks", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON")), raw(valkey, "app:plain"):
        (filtered,) = listening(shop).nodes
        monkeypatch.setattr(listeners, "FILTERS", ("", ()))
        (all_of_them,) = listening(shop).nodes
        for node in (filtered, all_of_them):
            assert [one.name for one in node.clients if one.name.startswith("app:")] == ["app:tracks"]
        assert all_of_them.busy > filtered.busy > 0


def test_what_is_denied_is_said_and_info_tells_the_rest(valkey: Server) -> None:
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all", "-client|list", "-config|get")
    url = f"shop=redis://bob:pw@{HOST}:{valkey.port}"
    with (
        contextlib.closing(Cache(parse_target(url))) as cache,
        raw(valkey, "app", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON")),
    ):
        found = listening(cache)
        (node,) = found.nodes
        assert "CLIENT LIST" in found.denied
        assert (node.clients, node.listed, node.limits, node.tracking) == ((), False, None, 1)
        assert node.problems == (), "what is denied is said once"


def test_a_cluster_is_told_node_by_node_and_its_channels_together(cluster: Cluster) -> None:
    with contextlib.ExitStack() as stack:
        for server in cluster.servers:
            stack.enter_context(raw(server, "app", ("SUBSCRIBE", "news"), ("PSUBSCRIBE", "x*")))
        stack.enter_context(raw(cluster.servers[0], "app", ("SUBSCRIBE", "only here")))
        cache = stack.enter_context(contextlib.closing(Cache(parse_target(f"shop={cluster.url}"))))
        nodes = listening(cache).nodes
        assert sorted(sum(one.name == "app" for one in node.clients) for node in nodes) == [1, 1, 2]
        assert all(node.limits and node.tracking == 0 for node in nodes)
        found = channels_of(cache)
        assert {(one.name, one.subscribers) for one in found.shown} == {(b"news", 3), (b"only here", 1)}
        assert (found.channels, found.patterns, found.problems) == (2, 3, ())


def test_of_many_channels_those_with_most_subscribers_are_shown(shop: Cache, valkey: Server) -> None:
    names = [f"many:{number}" for number in range(300)]
    with (
        raw(valkey, "app", ("SUBSCRIBE", "news"), ("SSUBSCRIBE", "<b>shard</b>")),
        valkey.client() as client,
        contextlib.closing(client.pubsub()) as listens,
    ):
        listens.subscribe(*names, "news")
        for _ in range(301):
            assert listens.get_message(timeout=60) is not None
        found = channels_of(shop, most=50)
        assert (found.shown[0].name, found.shown[0].subscribers, len(found.shown)) == (b"news", 2, 50)
        assert (found.channels, found.sharded) == (301, 1)
        everything = channels_of(shop, most=1000)
        assert [one.sharded for one in everything.shown if one.name == b"<b>shard</b>"] == [True]


def test_where_a_limit_is_set_it_is_read(shop: Cache, valkey: Server) -> None:
    with valkey.client() as client:
        limited(client, "pubsub 1mb 512kb 5")
        try:
            (node,) = listening(shop).nodes
            assert node.limits
            assert node.limits["pubsub"] == Limit(1024**2, 512 * 1024, 5)
        finally:
            limited(client, "pubsub 32mb 8mb 60")
