"""Cache-aside, and that it never makes the shop fail or wait: whatever the cache does."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.breaker import REST_SECONDS
from dashboard.demo.encoding import Document, encode
from dashboard.demo.patterns import Pattern
from dashboard.demo.patterns.cache_aside import CacheAside
from dashboard.demo.remote import BadCacheUrl, Remote
from dashboard.demo.ttl import ABSENT_SECONDS
from tests.servers import HOST, Server, free_port, running

KEY = "api:user:42"


@dataclass
class Table:
    """A database of one row which counts how often it is read."""

    row: Document | None = field(default_factory=lambda: {"name": "Ada"})
    reads: int = 0

    def load(self) -> Document | None:
        self.reads += 1
        return self.row


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def over(clock: Clock) -> Iterator[Callable[[str], Pattern]]:
    """The pattern over the cache at a URL."""
    remotes: list[Remote] = []

    def make(url: str) -> Pattern:
        remotes.append(Remote(url, clock))
        return CacheAside(remotes[-1])

    yield make
    for remote in remotes:
        remote.close()


def test_it_loads_once_and_keeps_the_row_for_its_ttl(
    over: Callable[[str], Pattern], valkey: Server, table: Table
) -> None:
    pattern = over(valkey.url)
    assert pattern.get(KEY, table.load, 60).source == "miss"
    assert pattern.get(KEY, table.load, 60).document == {"name": "Ada"}
    assert pattern.get(KEY, table.load, 60).source == "hit"
    assert table.reads == 1
    with valkey.client() as client:
        assert 50_000 < client.pttl(KEY) <= 60_000


def test_it_keeps_an_absent_row_briefly(over: Callable[[str], Pattern], valkey: Server, table: Table) -> None:
    pattern, table.row = over(valkey.url), None
    answers = [pattern.get(KEY, table.load, 3600) for _ in range(2)]
    assert [(answer.document, answer.source) for answer in answers] == [(None, "miss"), (None, "hit")]
    with valkey.client() as client:
        assert 0 < client.pttl(KEY) <= ABSENT_SECONDS * 1000


def test_it_forgets_what_is_invalidated_and_nothing_else(
    over: Callable[[str], Pattern], valkey: Server, table: Table
) -> None:
    pattern = over(valkey.url)
    for key in ("a", "b", "c"):
        pattern.get(key, table.load, 60)
    assert pattern.forget(["a", "b", "not there"]) is True
    with valkey.client() as client:
        assert client.keys("*") == [b"c"]


@pytest.mark.parametrize("foreign", [b"\x80\x04]", b"{", b"[1, 2]", encode({"a": "b" * 9000})[:-3]])
def test_it_replaces_a_foreign_or_damaged_value(
    over: Callable[[str], Pattern], valkey: Server, table: Table, foreign: bytes
) -> None:
    with valkey.client() as client:
        client.set(KEY, foreign)
    pattern = over(valkey.url)
    assert [pattern.get(KEY, table.load, 60).source for _ in range(2)] == ["miss", "hit"]


def test_it_replaces_a_key_of_another_type(over: Callable[[str], Pattern], valkey: Server, table: Table) -> None:
    with valkey.client() as client:
        client.rpush(KEY, "x")
    pattern = over(valkey.url)
    assert [pattern.get(KEY, table.load, 60).source for _ in range(2)] == ["miss", "hit"]


def test_out_of_memory_it_still_hits_and_loads_what_it_cannot_keep(
    over: Callable[[str], Pattern], valkey: Server, table: Table
) -> None:
    pattern = over(valkey.url)
    pattern.get(KEY, table.load, 60)
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
    assert pattern.get(KEY, table.load, 60).source == "hit"
    assert pattern.get("api:user:43", table.load, 60).source == "bypass"
    assert pattern.forget([KEY]) is True


def test_of_a_read_only_replica_it_reads_and_says_that_it_cannot_invalidate(
    over: Callable[[str], Pattern], table: Table
) -> None:
    with running() as replica, replica.client() as client:
        client.set(KEY, encode({"name": "Ada"}))
        # A primary that is away: the replica keeps its keys and serves them, which is its default.
        client.config_set("replica-serve-stale-data", "yes")
        client.replicaof(HOST, free_port())
        pattern = over(replica.url)
        assert pattern.get(KEY, table.load, 60).source == "hit"
        assert pattern.get("api:user:43", table.load, 60).source == "bypass"
        assert pattern.forget([KEY]) is False


def test_down_it_loads_and_asks_again_only_after_a_rest(
    over: Callable[[str], Pattern], table: Table, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with running() as server, caplog.at_level(logging.INFO):
        pattern = over(server.url)
        pattern.get(KEY, table.load, 60)
        server.stop()
        assert [pattern.get(KEY, table.load, 60).source for _ in range(3)] == ["bypass"] * 3
        assert pattern.forget([KEY]) is False
        server.restart()
        assert pattern.get(KEY, table.load, 60).source == "bypass"
        clock.now += REST_SECONDS
        assert [pattern.get(KEY, table.load, 60).source for _ in range(2)] == ["miss", "hit"]
        messages = [record.getMessage() for record in caplog.records]
        assert messages == ["the cache is away (ConnectionError), the database answers", "the cache answers again"]
        server.stop()


def test_a_server_that_hangs_costs_one_time_out_a_rest(
    over: Callable[[str], Pattern], table: Table, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with running() as server:
        pattern = over(server.url)
        pattern.get(KEY, table.load, 60)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            assert [pattern.get(KEY, table.load, 60).source for _ in range(100)] == ["bypass"] * 100
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        assert [record.getMessage() for record in caplog.records] == [
            "the cache is away (TimeoutError), the database answers"
        ]
        clock.now += REST_SECONDS
        assert pattern.get(KEY, table.load, 60).source == "hit"


def test_a_wrong_password_is_a_bypass_and_is_not_logged(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    with running("--requirepass", "right") as server:
        remote = Remote(f"redis://:wrong-secret@{HOST}:{server.port}")
        assert CacheAside(remote).get(KEY, table.load, 60).source == "bypass"
        remote.close()
    assert "wrong-secret" not in caplog.text


@pytest.fixture
def bereft(open_shop: Callable[..., Flask]) -> FlaskClient:
    """A shop whose cache is not there."""
    client: FlaskClient = open_shop(f"redis://{HOST}:{free_port()}").test_client()
    client.set_cookie("sid", "00000000000000aa")
    return client


@pytest.mark.parametrize("path", ["/users/42", "/users/42/posts", "/products/17", "/search?q=python", "/catalogue"])
def test_the_api_answers_without_a_cache(bereft: FlaskClient, path: str) -> None:
    answer = bereft.get(path)
    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "bypass")


def test_the_api_takes_changes_without_a_cache_and_says_that_it_could_not_invalidate(bereft: FlaskClient) -> None:
    answer = bereft.put("/prices/SKU-00017", json={"cents": 1234})
    assert (answer.status_code, answer.get_json()) == (200, {"changed": True, "invalidated": False})
    assert bereft.get("/prices/SKU-00017").get_json()["cents"] == 1234
    assert bereft.post("/orders", json={"product": 17, "quantity": 1}).status_code == 200
    assert bereft.get("/").status_code == 200


def test_the_api_says_that_a_cart_could_not_be_kept(bereft: FlaskClient) -> None:
    answer = bereft.post("/carts", json={"product": 17, "quantity": 1})
    assert (answer.status_code, answer.get_json()) == (200, {"kept": False})


def test_the_api_survives_a_cache_that_fails_in_every_way_at_once(shop: FlaskClient, valkey: Server) -> None:
    shop.set_cookie("sid", "00000000000000aa")
    with valkey.client() as client:
        for key in ("api:user:42", "sess:00000000000000aa", "shop:searches", "shop:bestsellers"):
            client.sadd(key, "a set where something else is expected")
        client.config_set("maxmemory", 1)
    for path in ("/users/42", "/search?q=python", "/"):
        assert shop.get(path).status_code == 200
    assert shop.post("/orders", json={"product": 17, "quantity": 1}).status_code == 200


def test_it_names_its_connections(over: Callable[[str], Pattern], valkey: Server, table: Table) -> None:
    over(valkey.url).get(KEY, table.load, 60)
    with valkey.client(decode_responses=True) as client:
        assert "demo-shop" in [connection["name"] for connection in client.client_list()]


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(BadCacheUrl, match="redis://"):
        Remote("memcached://127.0.0.1")


def test_redis_errors_never_leave_the_pattern(
    over: Callable[[str], Pattern], valkey: Server, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = over(valkey.url)
    for error in (redis.BusyLoadingError, redis.ReadOnlyError, redis.exceptions.NoPermissionError, redis.DataError):

        def refuse(*_arguments: object, error: type[Exception] = error, **_options: object) -> None:
            raise error("refused")

        monkeypatch.setattr(redis.Redis, "execute_command", refuse)
        assert pattern.get(KEY, table.load, 60).source == "bypass"
        assert pattern.forget([KEY]) is False
