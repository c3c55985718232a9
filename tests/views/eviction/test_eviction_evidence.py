"""The evidence on the Eviction screen: which keys are evicted now, as a fragment and as a page."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.eviction.age import LEAST_BESIDE
from dashboard.cache.eviction.figures import Drawn, NodeAge, age_of
from dashboard.settings import Settings
from dashboard.store.operators import Role
from dashboard.views.eviction.evidence import row_of
from tests.servers import HOST, Cluster, Server, running
from tests.views.conftest import by_htmx, signed_in_client

PATH = "/caches/main/eviction/evidence"


def fill(server: Server, keys: int = 4000, ttl: int | None = 3600) -> None:
    with contextlib.closing(server.client()) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(keys):
            pipe.set(f"user:{number}", "x" * 20, ex=ttl)
        pipe.execute()


@pytest.fixture
def small(valkey: Server) -> Iterator[Server]:
    with contextlib.closing(valkey.client()) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield valkey
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")


def test_it_says_how_long_the_keys_that_go_first_had_been_idle_and_what_it_is_estimated_from(
    small: Server, viewer: FlaskClient
) -> None:
    fill(small)
    answer = viewer.get(PATH, headers=by_htmx(viewer))
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "Half of the keys that go first had not been used for" in answer.text
    assert "more left to live" in answer.text
    assert re.search(r"Estimated from \d+ keys drawn", answer.text)  # fewer where the machine is slow


def test_without_scripts_it_is_a_page_of_its_own(small: Server, viewer: FlaskClient) -> None:
    fill(small, ttl=None)
    answer = viewer.get(PATH)
    assert "</html>" in answer.text
    assert "none of them has a TTL" in answer.text


def test_lfu_has_its_counter_and_no_idle_time(small: Server, viewer: FlaskClient) -> None:
    with contextlib.closing(small.client()) as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
    fill(small)
    text = viewer.get(PATH, headers=by_htmx(viewer)).text
    assert "use counter" in text
    assert "not been used for" not in text


@pytest.mark.parametrize(
    ("idle", "up", "impossible"),
    [(5_184_000.0, 420.0, True), (40.0, 420.0, False), (5_184_000.0, 6_000_000.0, False), (5_184_000.0, None, False)],
)
def test_idle_times_longer_than_the_server_has_run_are_no_evidence_of_use(
    idle: float, up: float | None, impossible: bool
) -> None:
    """After allkeys-lfu, allkeys-lru reads the counters of keys that were not used since as times."""
    age = age_of(NodeAge("a", "allkeys-lru", 5), [Drawn(idle=idle, ttl=None)] * 400)
    assert ("They say nothing of use" in row_of(age, up).sentence) is impossible


def test_where_nothing_is_evicted_it_says_why(valkey: Server, viewer: FlaskClient) -> None:
    fill(valkey)
    assert "There is no memory limit" in viewer.get(PATH, headers=by_htmx(viewer)).text


def test_one_look_serves_all_who_ask_for_some_minutes(small: Server, viewer: FlaskClient, admin: FlaskClient) -> None:
    fill(small)
    with contextlib.closing(small.client()) as client:
        client.config_resetstat()
        for browser in (viewer, admin, viewer):
            assert browser.get(PATH, headers=by_htmx(browser)).status_code == 200
        assert client.info("commandstats")["cmdstat_randomkey"]["calls"] == LEAST_BESIDE  # as nobody reads this cache


def test_a_cluster_has_a_row_for_each_primary(
    cluster: Cluster, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    caches = Settings(caches=f"main={cluster.url}").caches  # type: ignore[arg-type]
    viewer = signed_in_client(make_app(settings.model_copy(update={"caches": caches})), Role.VIEWER)
    text = viewer.get(PATH, headers=by_htmx(viewer)).text
    for server in cluster.servers:
        assert f"{HOST}:{server.port}" in text


def test_a_server_that_is_gone_is_a_problem_in_its_place(
    settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    with running() as server:
        url = server.url
    caches = Settings(caches=f"main={url}").caches  # type: ignore[arg-type]
    viewer = signed_in_client(make_app(settings.model_copy(update={"caches": caches})), Role.VIEWER)
    answer = viewer.get(PATH, headers=by_htmx(viewer))
    assert answer.status_code == 200
    assert "cannot be reached" in answer.text


def test_a_server_that_denies_randomkey_is_a_problem_in_its_place(
    small: Server, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    fill(small)
    with contextlib.closing(small.client()) as client:
        client.execute_command("ACL", "SETUSER", "mo", "reset", "on", ">pw", "~*", "+@all", "-randomkey")
        caches = Settings(caches=f"main=redis://mo:pw@{HOST}:{small.port}").caches  # type: ignore[arg-type]
        viewer = signed_in_client(make_app(settings.model_copy(update={"caches": caches})), Role.VIEWER)
        answer = viewer.get(PATH, headers=by_htmx(viewer))
        client.execute_command("ACL", "DELUSER", "mo")
    assert answer.status_code == 200
    assert "may not run RANDOMKEY" in answer.text
