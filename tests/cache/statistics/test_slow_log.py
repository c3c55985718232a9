"""The slow log of every primary: bounded, whatever its entries hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.statistics.slow_log import MOST_ENTRIES, MOST_LETTERS, slow_log
from tests.servers import HOST, Cluster, Server, running

ALL = ("--slowlog-log-slower-than", "0")


def opened(url: str) -> closing[Cache]:
    return closing(Cache(parse_target(f"main={url}")))


def test_it_tells_what_took_how_long_and_who_sent_it() -> None:
    with running(*ALL) as server, closing(server.client(client_name="shop")) as client, opened(server.url) as cache:
        client.set("key", "value")
        found = slow_log(cache)
    entry = next(one for one in found.entries if one.text == "SET key value")
    assert entry.usec >= 0
    assert entry.client.endswith(" shop")
    assert entry.node == f"{HOST}:{server.port}"
    assert found.failed == ()


def test_it_is_bounded_and_has_the_newest_first() -> None:
    with running(*ALL) as server, closing(server.client()) as client, opened(server.url) as cache:
        for number in range(3 * MOST_ENTRIES):
            client.set(f"key:{number}", "x" * 1000, ex=100, nx=True)
        client.mset({f"key:{number}": "y" * 200 for number in range(200)})
        found = slow_log(cache)
    assert len(found.entries) == MOST_ENTRIES
    assert [one.at for one in found.entries] == sorted((one.at for one in found.entries), reverse=True)
    assert max(len(one.text) for one in found.entries) == MOST_LETTERS + 1


def test_bytes_that_are_no_text_are_escaped() -> None:
    with running(*ALL) as server, closing(server.client()) as client, opened(server.url) as cache:
        client.set(b"\x00\xff<b>\r\n\x1b[31m", "\u202egnp.exe")
        text = next(one.text for one in slow_log(cache).entries if one.text.startswith("SET"))
    assert "<b>" in text
    assert text.isprintable()


def test_a_primary_that_denies_it_is_named_and_the_others_are_shown(cluster_of_all: list[Server], url: str) -> None:
    with closing(cluster_of_all[0].client()) as client:
        client.execute_command("ACL", "SETUSER", "default", "-slowlog")
    try:
        with opened(url) as cache:
            found = slow_log(cache)
    finally:
        with closing(cluster_of_all[0].client()) as client:
            client.execute_command("ACL", "SETUSER", "default", "+slowlog")
    assert [node for node, _ in found.failed] == [f"{HOST}:{cluster_of_all[0].port}"]
    assert "slowlog" in found.failed[0][1].lower()
    assert {one.node for one in found.entries} == {f"{HOST}:{server.port}" for server in cluster_of_all[1:]}


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.url


@pytest.fixture
def cluster_of_all(cluster: Cluster) -> Iterator[list[Server]]:
    """The primaries of a cluster, which log every command."""
    _log_above(cluster, 0)
    yield cluster.servers
    _log_above(cluster, 10_000)


def _log_above(cluster: Cluster, microseconds: int) -> None:
    for server in cluster.servers:
        with closing(server.client()) as client:
            client.config_set("slowlog-log-slower-than", microseconds)
            client.ping()
