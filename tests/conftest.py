"""Fixtures that every test folder shares: real servers, one of each per test session and process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Cluster, Server, start, start_cluster


@pytest.fixture(scope="session")
def _valkey_session() -> Iterator[Server]:
    server = start()
    yield server
    server.stop()


@pytest.fixture
def valkey(_valkey_session: Server) -> Server:
    """A standalone Valkey, empty and with its default settings of interest restored."""
    with _valkey_session.client() as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    return _valkey_session


@pytest.fixture(scope="session")
def _cluster_session() -> Iterator[Cluster]:
    cluster = start_cluster()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(_cluster_session: Cluster) -> Cluster:
    """A cluster of three primaries, empty."""
    _cluster_session.flush()
    return _cluster_session
