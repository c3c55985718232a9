"""The ACL that docs/configuration.md recommends: enough for every screen and act, and no more."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask

from dashboard.cache import keys, values
from dashboard.cache.analysis import analyze
from dashboard.cache.connect import Cache
from dashboard.cache.estimate import exactly
from dashboard.cache.search import search
from dashboard.cache.selection import Selection
from dashboard.cache.target import parse_target, parse_targets
from dashboard.cache.values_rows import ValuePage
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import samples
from dashboard.store.operators import Role
from tests.servers import HOST, Cluster, Server
from tests.views.conftest import deck_of, signed_in_client

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
USED = ("INFO", "DBSIZE", "SCAN", "TYPE", "PTTL", "MEMORY USAGE", "OBJECT", "UNLINK", "DEL", "PEXPIRE", "PERSIST")
USED_ALSO = ("EVAL_RO", "CONFIG GET", "CLIENT", "LATENCY", "SLOWLOG")
REFUSED = (
    "KEYS *",
    "SORT_RO list",
    "FLUSHALL",
    "CLIENT KILL ID 1",
    "CLIENT PAUSE 1",
    "CLIENT LIST",
    "CONFIG SET maxmemory 0",
    "EVAL 1",
    "SET a b",
    "SHUTDOWN NOSAVE",
    "ACL LIST",
    "CLUSTER RESET",
    "MONITOR",
)


def _documented() -> list[str]:
    block = re.search(r"^```\n(ACL SETUSER .*?)```", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block
    return block[1].split()


@pytest.fixture(params=["standalone", "cluster"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server, or of a cluster, as the documented user."""
    if request.param == "cluster":
        cluster: Cluster = request.getfixturevalue("cluster")
        servers, scheme = cluster.servers, "redis+cluster"
    else:
        valkey: Server = request.getfixturevalue("valkey")
        servers, scheme = [valkey], "redis"
    for server in servers:
        with server.client() as client:
            client.execute_command(*_documented())
    yield f"{scheme}://cachedeck:secret@{HOST}:{servers[0].port}"
    for server in servers:
        with server.client() as client:
            client.execute_command("ACL", "DELUSER", "cachedeck")


@pytest.fixture
def cache(url: str, request: pytest.FixtureRequest) -> Iterator[Cache]:
    is_cluster = url.startswith("redis+cluster")
    arranging = request.getfixturevalue("cluster" if is_cluster else "valkey").client()
    arranging.rpush("list", "a", "b")
    arranging.hset("hash", "f", "v")
    arranging.set("text", "v")
    arranging.close()
    with contextlib.closing(Cache(parse_target(f"main={url}"))) as opened:
        yield opened


def test_it_allows_all_that_is_used(cache: Cache) -> None:
    found = cache.capabilities()
    assert [command for command in (*USED, *USED_ALSO) if not found.can(command)] == []


def test_it_allows_to_search_and_to_look(cache: Cache) -> None:
    shown = search(cache, Selection(), seconds=5.0)
    assert {row.key for row in shown.rows} == {b"list", b"hash", b"text"}
    row = keys.look(cache, b"list")
    assert row is not None
    assert (row.type, row.memory is not None) == ("list", True)


@pytest.mark.parametrize("key", ["list", "hash", "text"])
def test_it_shows_values(cache: Cache, key: str) -> None:
    row = keys.look(cache, key.encode())
    assert row is not None
    found = values.page(cache, key.encode(), type=row.type)
    assert isinstance(found, ValuePage)
    assert found.notes == ()


def test_it_allows_a_whole_analysis(cache: Cache) -> None:
    *_, last = analyze(cache, Selection())
    assert last.progress.complete
    assert (last.report.missing, last.report.notes, last.report.method) == ((), (), "script")
    assert last.report.keys == exactly(3)
    assert last.report.memory is not None
    assert {group.name for group in last.report.types} == {"list", "hash", "string"}


def test_it_allows_what_operators_do(cache: Cache) -> None:
    assert keys.set_ttl(cache, b"text", 100.0).after_ms > 0
    assert keys.persist(cache, b"text").after_ms == keys.NO_TTL
    assert keys.delete(cache, b"text")
    assert keys.look(cache, b"text") is None


def test_the_sampler_and_the_overview_work(url: str, settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    app = make_app(settings.model_copy(update={"caches": parse_targets(f"main={url}")}))
    opened, store = deck_of(app).caches["main"], deck_of(app).store
    Follower(store, opened, settings.sample_seconds).sample()
    assert len(samples.latest(store, "main")) == len(opened.primaries())
    page = signed_in_client(app, Role.VIEWER).get("/caches/main/")
    assert page.status_code == 200
    assert "No sample yet" not in page.text
    assert "cannot be" not in page.text


@pytest.mark.parametrize("words", REFUSED)
def test_it_refuses(cache: Cache, words: str) -> None:
    node = cache.primaries()[0]
    with pytest.raises(redis.exceptions.NoPermissionError):
        node.client.execute_command(*words.split(), *(("0",) if words.startswith("EVAL") else ()))
