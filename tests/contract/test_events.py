"""Whatever a cache is, each thing that its nodes tell is heard, and heard once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from dashboard.cache.events.buffer import Buffer
from dashboard.cache.events.event import Event, Gap
from dashboard.cache.events.hearing import Hearing
from dashboard.cache.events.hub import Hub
from dashboard.cache.events.sieve import Sieve
from dashboard.cache.events.subscription import from_pairs
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.contract.sites import SERVICE, Site, replaceable
from tests.programs import wait_until
from tests.servers import HOST, start_cluster, start_cluster_replicas


@pytest.fixture
def hub() -> Iterator[Hub]:
    with closing(Hub()) as hub:
        yield hub


def told(buffer: Buffer) -> list[tuple[str, bytes]]:
    """(source, key or payload) of each event."""
    return [(one.source, one.key or one.payload) for one in buffer.kept() if isinstance(one, Event)]


def all_heard(hearing: Hearing, nodes: int) -> None:
    wait_until(lambda: len(hearing.standing.heard) == nodes, "every node is heard")


def test_channels_are_heard_once_wherever_they_are_published(site: Site, shop: Cache, hub: Hub) -> None:
    with hub.watching(shop, from_pairs([("channel", "inv"), ("pattern", "news:*")]), Sieve()) as (hearing, buffer):
        all_heard(hearing, 1)  # of a cluster one node is enough
        for server in site.servers:
            with server.client() as client:
                client.publish("inv", server.port)
                client.publish("news:1", server.port)
        wait_until(lambda: buffer.passed == 2 * len(site.servers), "all came")
        ports = [b"%d" % server.port for server in site.servers]
        assert sorted(told(buffer)) == sorted((kind, port) for kind in ("channel", "pattern") for port in ports)
        assert not any(isinstance(one, Gap) for one in buffer.kept())


def test_each_primary_tells_of_its_own_keys(site: Site, shop: Cache, hub: Hub) -> None:
    site.each("CONFIG", "SET", "notify-keyspace-events", "E$")
    try:
        keys = [b"api:%d" % number for number in range(40)]
        with hub.watching(shop, from_pairs([("event", "set"), ("tracking", "api:")]), Sieve()) as (hearing, buffer):
            all_heard(hearing, len(site.servers))
            for key in keys:
                site.plain.set(key, "v", ex=600)
            wait_until(lambda: buffer.passed >= 2 * len(keys), "all came")
            assert sorted(set(told(buffer))) == sorted((kind, key) for kind in ("event", "tracking") for key in keys)
            nodes = {one.node for one in buffer.kept() if isinstance(one, Event)}
            assert len(nodes) == len(site.servers)
    finally:
        site.each("CONFIG", "SET", "notify-keyspace-events", "")


def test_a_sharded_channel_is_heard_where_its_slot_is(site: Site, shop: Cache, hub: Hub) -> None:
    channels = [f"orders:{number}" for number in range(6)]
    subscription = from_pairs([("sharded", " ".join(channels))])
    with hub.watching(shop, subscription, Sieve()) as (hearing, buffer):
        wait_until(lambda: bool(hearing.standing.heard) and not hearing.standing.silent, "it is heard")
        for channel in channels:
            if isinstance(site.plain, redis.RedisCluster):
                plain: Any = site.plain
                plain.execute_command("SPUBLISH", channel, channel, target_nodes=plain.get_node_from_key(channel))
            else:
                site.plain.spublish(channel, channel)
        wait_until(lambda: buffer.passed == len(channels), "all came")
        assert sorted(told(buffer)) == [("sharded", channel.encode()) for channel in channels]


def test_a_read_only_cache_is_listened_to(site: Site, only_looking: Cache, hub: Hub) -> None:
    with hub.watching(only_looking, from_pairs([("channel", "inv"), ("tracking", "*")]), Sieve()) as (hearing, buffer):
        all_heard(hearing, len(site.servers))
        with site.servers[0].client() as client:
            client.publish("inv", "m")
        wait_until(lambda: ("channel", b"m") in told(buffer), "it came")


@contextlib.contextmanager
def listened(hub: Hub, url: str, *pairs: tuple[str, str]) -> Iterator[tuple[Hearing, Buffer]]:
    with (
        closing(Cache(parse_target(f"shop={url}"))) as cache,
        hub.watching(cache, from_pairs(pairs), Sieve()) as found,
    ):
        yield found


def gaps(buffer: Buffer) -> list[tuple[str, bool]]:
    """(node, over) of each."""
    return [(one.node, one.over) for one in buffer.kept() if isinstance(one, Gap)]


def test_who_takes_over_from_a_primary_is_heard_and_the_time_between_is_a_gap(hub: Hub) -> None:
    """Of a sentinel, where the old primary is killed."""
    with replaceable(lambda _primary: None) as (primary, replica, sentinel):
        url = f"redis+sentinel://{HOST}:{sentinel.port}/{SERVICE}"
        with listened(hub, f"{url}?timeout=2", ("channel", "inv")) as (hearing, buffer):
            all_heard(hearing, 1)
            primary.stop()
            with replica.client() as client:
                wait_until(lambda: client.info("replication")["role"] == "master", "it has taken over")
                wait_until(lambda: client.publish("inv", "after") == 1, "it is listened to")
            wait_until(lambda: ("channel", b"after") in told(buffer), "it came")
            assert gaps(buffer) == [(SERVICE, False), (SERVICE, True)]


def test_a_clusters_replica_that_takes_over_is_heard(hub: Hub) -> None:
    with contextlib.ExitStack() as stack:
        cluster = start_cluster()
        stack.callback(cluster.stop)
        replicas = start_cluster_replicas(cluster)
        for replica in replicas:
            stack.callback(replica.stop)
        for server in (*cluster.servers, *replicas):
            with server.client() as client:
                client.config_set("notify-keyspace-events", "E$")
        with listened(hub, cluster.url, ("event", "set"), ("channel", "inv")) as (hearing, buffer):
            all_heard(hearing, 3)
            with replicas[0].client() as client:
                client.execute_command("CLUSTER", "FAILOVER")
                wait_until(lambda: client.info("replication")["role"] == "master", "it has taken over")
            taken = f"{HOST}:{replicas[0].port}"
            wait_until(lambda: taken in hearing.standing.heard, "it is heard")
            with closing(cluster.client()) as plain:
                keys = [f"k:{number}" for number in range(60)]
                for key in keys:
                    plain.set(key, "v", ex=600)
            wait_until(lambda: {key for _, key in told(buffer)} >= {key.encode() for key in keys}, "all came")
            with replicas[0].client() as client:
                client.publish("inv", "once")
            wait_until(lambda: ("channel", b"once") in told(buffer), "it came")
            assert told(buffer).count(("channel", b"once")) == 1
