"""Cache-aside, and that it never makes the shop fail or wait: whatever the cache does."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.caching.breaker import LONGEST_REST_SECONDS, REST_SECONDS
from dashboard.demo.caching.remote import BadCacheUrl, Remote
from dashboard.demo.caching.ttl import ABSENT_SECONDS
from dashboard.demo.counters import Counters
from dashboard.demo.encoding import encode
from dashboard.demo.patterns import Pattern
from dashboard.demo.patterns.cache_aside import CacheAside
from tests.demo.stepping import Stepper, pause
from tests.demo.table import KEY, ROW, Cached, Clock, Table, cached
from tests.programs import wait_until
from tests.servers import HOST, Server, free_port, running


@pytest.fixture
def over(clock: Clock, table: Table) -> Iterator[Callable[..., Pattern]]:
    """The pattern over the cache at a URL."""
    opened: list[Cached] = []

    def make(url: str, counters: Counters | None = None) -> Pattern:
        here = cached(url, clock=clock, counters=counters)
        opened.append(here)
        return CacheAside(here.reader, here.entries, table)

    yield make
    for here in opened:
        here.remote.close()


def test_it_loads_once_and_keeps_the_row_for_its_ttl(
    over: Callable[..., Pattern], valkey: Server, table: Table
) -> None:
    pattern = over(valkey.url)
    assert pattern.get(KEY, table.load, 60).source == "miss"
    assert pattern.get(KEY, table.load, 60).document == table.rows[ROW]
    assert pattern.get(KEY, table.load, 60).source == "hit"
    assert table.reads == 1
    with valkey.client() as client:
        assert 50_000 < client.pttl(KEY) <= 60_000


def test_it_keeps_an_absent_row_briefly(over: Callable[..., Pattern], valkey: Server, table: Table) -> None:
    pattern = over(valkey.url)
    answers = [pattern.get("api:user:7", table.loader(7), 3600) for _ in range(2)]
    assert [(answer.document, answer.source) for answer in answers] == [(None, "miss"), (None, "hit")]
    with valkey.client() as client:
        assert 0 < client.pttl("api:user:7") <= ABSENT_SECONDS * 1000


def test_it_forgets_what_is_invalidated_and_nothing_else(
    over: Callable[..., Pattern], valkey: Server, table: Table
) -> None:
    pattern = over(valkey.url)
    for key in ("a", "b", "c"):
        pattern.get(key, table.load, 60)
    assert pattern.forget(["a", "b", "not there"]) is True
    with valkey.client() as client:
        assert client.keys("*") == [b"c"]


def test_a_change_is_seen_by_who_reads_after_it(over: Callable[..., Pattern], valkey: Server, table: Table) -> None:
    pattern = over(valkey.url)
    pattern.get(KEY, table.load, 60)
    changed = pattern.update(table.changing("Ghent"), 60)
    assert (changed.version, changed.told, changed.queued) == (2, True, False)
    answer = pattern.get(KEY, table.load, 60)
    assert (answer.source, answer.document) == ("miss", {"name": "Ada", "city": "Ghent", "version": 2})
    assert pattern.update(table.changing("Ghent", row=7), 60).version is None


def test_a_slow_reader_does_not_write_back_what_was_changed_meanwhile(
    over: Callable[..., Pattern], valkey: Server, table: Table
) -> None:
    pattern = over(valkey.url)
    table.within = pause
    reader = Stepper(lambda: pattern.get(KEY, table.load, 60))
    pattern.update(table.changing("Ghent"), 60)
    assert reader.finish().document == {"name": "Ada", "city": "Ulm", "version": 1}, "as it was when it began"
    table.within = lambda: None
    answer = pattern.get(KEY, table.load, 60)
    assert (answer.source, answer.document) == ("miss", {"name": "Ada", "city": "Ghent", "version": 2})


def test_a_change_of_which_the_cache_could_not_be_told_stands_and_says_so(
    over: Callable[..., Pattern], table: Table
) -> None:
    changed = over(f"redis://{HOST}:{free_port()}").update(table.changing("Ghent"), 60)
    assert (changed.version, changed.told) == (2, False)
    assert table.rows[ROW]["city"] == "Ghent"


@pytest.mark.parametrize("foreign", [b"\x80\x04]", b"{", b"[1, 2]", encode({"a": "b" * 9000})[:-3]])
def test_a_foreign_or_damaged_value_is_a_miss_is_counted_and_replaced(
    over: Callable[..., Pattern], valkey: Server, table: Table, foreign: bytes
) -> None:
    counters = Counters()
    pattern = over(valkey.url, counters)
    for arrange in ("SET", "HSET document"):
        with valkey.client() as client:
            client.delete(KEY)
            client.execute_command(arrange.split()[0], KEY, *arrange.split()[1:], foreign)
        assert [pattern.get(KEY, table.load, 60).source for _ in range(2)] == ["miss", "hit"]
    assert counters.to_plain()["foreign"] == 2


def test_it_replaces_a_key_of_another_type(over: Callable[..., Pattern], valkey: Server, table: Table) -> None:
    with valkey.client() as client:
        client.rpush(KEY, "x")
    pattern = over(valkey.url)
    assert [pattern.get(KEY, table.load, 60).source for _ in range(2)] == ["miss", "hit"]


def test_out_of_memory_it_still_hits_and_loads_what_it_cannot_keep(
    over: Callable[..., Pattern], valkey: Server, table: Table
) -> None:
    pattern = over(valkey.url)
    pattern.get(KEY, table.load, 60)
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
    assert pattern.get(KEY, table.load, 60).source == "hit"
    assert pattern.get("api:user:43", table.load, 60).source == "bypass"
    assert pattern.forget([KEY]) is True


def test_of_a_read_only_replica_it_reads_and_says_that_it_cannot_invalidate(
    over: Callable[..., Pattern], table: Table
) -> None:
    with running() as replica, replica.client() as client:
        client.hset(KEY, mapping={"document": encode({"name": "Ada"}), "took": 1})
        # A primary that is away: the replica keeps its keys and serves them, which is its default.
        client.config_set("replica-serve-stale-data", "yes")
        client.replicaof(HOST, free_port())
        pattern = over(replica.url)
        assert pattern.get(KEY, table.load, 60).source == "hit"
        assert pattern.get("api:user:43", table.load, 60).source == "bypass"
        assert pattern.forget([KEY]) is False


def test_down_it_loads_and_asks_again_only_after_a_rest(
    over: Callable[..., Pattern], table: Table, clock: Clock, caplog: pytest.LogCaptureFixture
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
    table: Table, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with running() as server:
        here = cached(server.url, clock=clock, timeout=0.25)
        pattern = CacheAside(here.reader, here.entries, table)

        def hits() -> bool:
            clock.now += LONGEST_REST_SECONDS
            return pattern.get(KEY, table.load, 60).source == "hit"

        wait_until(hits, "the server answers")
        caplog.clear()
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            assert [pattern.get(KEY, table.load, 60).source for _ in range(100)] == ["bypass"] * 100
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        assert [record.getMessage() for record in caplog.records] == [
            "the cache is away (TimeoutError), the database answers"
        ]
        wait_until(hits, "the server answers again")
        here.remote.close()


def test_a_wrong_password_is_a_bypass_and_is_not_logged(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    with running("--requirepass", "right") as server:
        here = cached(f"redis://:wrong-secret@{HOST}:{server.port}")
        assert CacheAside(here.reader, here.entries, table).get(KEY, table.load, 60).source == "bypass"
        here.remote.close()
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
    assert (answer.status_code, answer.get_json()) == (
        200,
        {"changed": True, "invalidated": False, "queued": False, "version": 2},
    )
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


def test_it_names_its_connections(over: Callable[..., Pattern], valkey: Server, table: Table) -> None:
    over(valkey.url).get(KEY, table.load, 60)
    with valkey.client(decode_responses=True) as client:
        assert "demo-shop" in [connection["name"] for connection in client.client_list()]


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(BadCacheUrl, match="redis://"):
        Remote("memcached://127.0.0.1")


def test_redis_errors_never_leave_the_pattern(
    over: Callable[..., Pattern], valkey: Server, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = over(valkey.url)
    for error in (redis.BusyLoadingError, redis.ReadOnlyError, redis.exceptions.NoPermissionError, redis.DataError):

        def refuse(*_arguments: object, error: type[Exception] = error, **_options: object) -> None:
            raise error("refused")

        monkeypatch.setattr(redis.Redis, "execute_command", refuse)
        assert pattern.get(KEY, table.load, 60).source == "bypass"
        assert pattern.forget([KEY]) is False
