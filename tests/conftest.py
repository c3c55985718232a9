"""Fixtures that every test folder shares: real servers, one of each per test session and process."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from dashboard.cache.servers import target
from dashboard.cache.walking import watch
from tests.servers import Cluster, Server, start, start_cluster

_seconds = target._seconds


def pytest_configure() -> None:
    """A run in a script's background is started with Ctrl-C ignored, and all that it starts would ignore it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _patient() -> Iterator[None]:
    """A cache whose URL says no time-out is waited for: a busy machine stalls for longer than the default of 2 s.

    Nor does a walk end by itself because of it. A test of what a time-out or late answers lead to says its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "JUDGED_PINGS", 1_000_000)
        patch.setattr(target, "_seconds", lambda options, name: _seconds({name: "60", **options}, name))
        yield


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs by default, as everywhere but here."""
    monkeypatch.setattr(target, "_seconds", _seconds)


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
