"""`site` is each of the three ways in turn; `shop` is Cachedeck on it, `only_looking` the same declared read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboard.cache.servers.connect import Cache
from tests.contract.sites import SERVICE, Site, watched_primary
from tests.servers import HOST, Cluster, Server


@pytest.fixture(scope="session")
def _watched_session() -> Iterator[tuple[Server, Server]]:
    with watched_primary() as both:
        yield both


@pytest.fixture(params=["standalone", "cluster", "sentinel"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """An empty cache with default settings and no calls counted yet."""
    if request.param == "cluster":
        cluster: Cluster = request.getfixturevalue("cluster")
        found = Site("cluster", cluster.url, cluster.servers, cluster.client())
    elif request.param == "sentinel":
        primary, sentinel = request.getfixturevalue("_watched_session")
        url = f"redis+sentinel://{HOST}:{sentinel.port}/{SERVICE}"
        found = Site("sentinel", url, [primary], primary.client())
        found.plain.flushall()
    else:
        valkey: Server = request.getfixturevalue("valkey")
        found = Site("standalone", valkey.url, [valkey], valkey.client())
    found.forget_calls()
    with closing(found.plain):
        yield found


@pytest.fixture
def shop(site: Site) -> Iterator[Cache]:
    with closing(site.open()) as cache:
        yield cache


@pytest.fixture
def only_looking(site: Site) -> Iterator[Cache]:
    with closing(site.open("read_only=yes")) as cache:
        yield cache
