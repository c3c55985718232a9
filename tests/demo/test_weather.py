"""Bad weather under each pattern: whatever the cache does, the shop answers, and what it acknowledged stays true."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.knobs import PATTERNS, PREVENTIONS
from tests.demo.conftest import parts_of
from tests.programs import wait_until
from tests.servers import Server, running

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
PAUSE_SECONDS = 0.003  # between two requests of one visitor: the machine has other things to do as well


@dataclass
class Visitor:
    """Asks one shop for its own users and prices, and changes them, until it is told to end."""

    app: Flask
    number: int
    statuses: Counter[int] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, str] = field(default_factory=dict)
    requests: int = 0

    @property
    def paths(self) -> list[str]:
        first = 1 + 8 * self.number
        return [f"/users/{first + place}" for place in range(4)] + [
            f"/prices/SKU-{first + place:05d}" for place in range(4)
        ]

    def go_on(self, end: threading.Event) -> None:
        client, dice = self.app.test_client(), random.Random(self.number)
        while not end.wait(PAUSE_SECONDS):
            path = dice.choice(self.paths)
            if dice.random() < 0.3:
                self._change(client, path, dice.randrange(1, 1_000_000))
            else:
                answer = client.get(path)
                self.statuses[answer.status_code] += 1
                self.sources[answer.headers.get("X-Cache", "")] += 1
            self.requests += 1

    def _change(self, client: FlaskClient, path: str, number: int) -> None:
        body = {"cents": number} if path.startswith("/prices") else {"city": "Oslo", "bio": str(number)}
        answer = client.put(path, json=body)
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            self.acknowledged[path] = str(number)


@dataclass
class Crowd:
    visitors: Sequence[Visitor]

    def ask(self, more: int = 25) -> None:
        """Wait until each visitor has made so many requests more."""
        wanted = [visitor.requests + more for visitor in self.visitors]
        wait_until(
            lambda: all(one.requests >= number for one, number in zip(self.visitors, wanted, strict=True)), "requests"
        )

    def ask_until(self, source: str) -> None:
        """Wait until each visitor is answered from there again."""
        before = [visitor.sources[source] for visitor in self.visitors]
        wait_until(
            lambda: all(one.sources[source] > number for one, number in zip(self.visitors, before, strict=True)), source
        )


@contextmanager
def crowd(*apps: Flask) -> Iterator[Crowd]:
    """Two visitors of each shop, at work; at the end they have had no other answer than 200."""
    end = threading.Event()
    visitors = [Visitor(app, number) for number, app in enumerate([*apps, *apps])]
    threads = [threading.Thread(target=visitor.go_on, args=[end]) for visitor in visitors]
    for thread in threads:
        thread.start()
    try:
        yield Crowd(visitors)
    finally:
        end.set()
        for thread in threads:
            thread.join(120)
    assert {status for visitor in visitors for status in visitor.statuses} == {200}


def assert_true_to_what_was_acknowledged(apps: Sequence[Flask], visitors: Sequence[Visitor]) -> None:
    """The database has the last acknowledged change of every row, and soon every shop shows it."""
    assert parts_of(apps[0]).flusher.drain(120) == 0
    wanted = {path: number for visitor in visitors for path, number in visitor.acknowledged.items()}
    assert len(wanted) > len(visitors)
    assert {path: in_database(apps[0], path) for path in wanted} == wanted
    for app in apps:
        client = app.test_client()
        wait_until(lambda: {path: shown(client, path) for path in wanted} == wanted, "every shop to show what is true")  # noqa: B023


def in_database(app: Flask, path: str) -> str:
    shop, name = parts_of(app).shop, path.rpartition("/")[2]
    document = shop.price(name) if path.startswith("/prices") else shop.user(int(name))
    assert document
    return str(document["cents"] if path.startswith("/prices") else document["bio"])


def shown(client: FlaskClient, path: str) -> str:
    document = client.get(path).get_json()
    return str(document["cents"] if path.startswith("/prices") else document["bio"])


@pytest.fixture
def durable() -> Iterator[Server]:
    with running(*DURABLE) as server:
        yield server


@pytest.mark.parametrize(
    ("pattern", "prevention"), [*product(PATTERNS, ["none"]), *product(["write-behind"], PREVENTIONS[1:])]
)
def test_the_cache_is_stopped_and_started_under_load(
    open_shop: Callable[..., Flask], durable: Server, pattern: str, prevention: str
) -> None:
    app = open_shop(durable.url, pattern=pattern, prevention=prevention)
    with crowd(app) as visiting:
        visiting.ask_until("hit")
        durable.stop()
        visiting.ask_until("bypass")
        visiting.ask()
        durable.restart()
        visiting.ask_until("hit")
        visiting.ask()
    assert_true_to_what_was_acknowledged([app], visiting.visitors)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_cache_hangs_under_load_and_goes_on(open_shop: Callable[..., Flask], durable: Server, pattern: str) -> None:
    app = open_shop(durable.url, pattern=pattern)
    with crowd(app) as visiting:
        visiting.ask_until("hit")
        os.kill(durable.process.pid, signal.SIGSTOP)
        try:
            visiting.ask_until("bypass")
            visiting.ask()
        finally:
            os.kill(durable.process.pid, signal.SIGCONT)
        visiting.ask_until("hit")
        visiting.ask()
    assert_true_to_what_was_acknowledged([app], visiting.visitors)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_cache_is_out_of_memory_under_noeviction(
    open_shop: Callable[..., Flask], durable: Server, pattern: str
) -> None:
    app = open_shop(durable.url, pattern=pattern)
    with crowd(app) as visiting, durable.client() as client:
        visiting.ask_until("hit")
        client.config_set("maxmemory", 1)
        visiting.ask_until("bypass")
        visiting.ask()
        # What lies there may still be removed, so a change is seen although nothing new can be kept.
        assert_true_while_out_of_memory(app)
        client.config_set("maxmemory", 0)
        visiting.ask_until("hit")
        visiting.ask()
    assert_true_to_what_was_acknowledged([app], visiting.visitors)


def assert_true_while_out_of_memory(app: Flask) -> None:
    client = app.test_client()
    answer = client.put("/prices/SKU-00300", json={"cents": 4321}).get_json()
    assert (answer["changed"], answer["invalidated"], answer["queued"]) == (True, True, False)
    assert shown(client, "/prices/SKU-00300") == "4321"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_two_shops_on_one_cache_that_is_stopped_and_started(
    open_shop: Callable[..., Flask], durable: Server, pattern: str
) -> None:
    apps = [open_shop(durable.url, pattern=pattern, copies=True) for _ in range(2)]
    with crowd(*apps) as visiting:
        visiting.ask_until("hit")
        durable.stop()
        visiting.ask_until("bypass")
        durable.restart()
        visiting.ask_until("hit")
        visiting.ask()
    assert_true_to_what_was_acknowledged(apps, visiting.visitors)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_all_keys_are_gone_under_load(open_shop: Callable[..., Flask], durable: Server, pattern: str) -> None:
    """As a deploy does it that flushes: by the shop itself, which writes first what is queued."""
    app = open_shop(durable.url, pattern=pattern)
    with crowd(app) as visiting:
        visiting.ask_until("hit")
        for _ in range(5):
            removed = app.test_client().post("/lab/removal", json={}, base_url="http://127.0.0.1")
            assert removed.status_code == 200
            visiting.ask(5)
        visiting.ask_until("hit")
    assert_true_to_what_was_acknowledged([app], visiting.visitors)


FOREIGN = {
    "a text": ("SET", "something else"),
    "a number": ("SET", "7"),
    "a list": ("RPUSH", "x"),
    "a set": ("SADD", "x"),
    "a stream": ("XADD", "*", "kind", "price"),
    "a hash of another kind": ("HSET", "document_", "x"),
    "a damaged document": ("HSET", "document", "{", "version", "1", "took", "1"),
    "a document of another kind": ("HSET", "document", "[1]", "version", "1", "took", "1"),
    "a damaged compression": ("HSET", "document", b"\x28\xb5\x2f\xfdxxxxx", "version", "1", "took", "1"),
    "a damaged version": ("HSET", "document", "{}", "version", "one", "took", "1"),
    "a damaged duration": ("HSET", "document", "{}", "version", "1", "took", "long"),
}
NAMES = ("entry", "lease", "pending", "queue", "dead letters")


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_foreign_value_under_an_expected_key_is_a_miss(
    open_shop: Callable[..., Flask], valkey: Server, pattern: str, foreign: str
) -> None:
    app = open_shop(valkey.url, pattern=pattern)
    parts, client = parts_of(app), app.test_client()
    command, *words = FOREIGN[foreign]
    with valkey.client() as server:
        for path, key in (("/users/3", parts.keys.user(3)), ("/prices/SKU-00003", parts.keys.price("SKU-00003"))):
            truth = client.get(path).get_json()
            server.delete(key)
            server.execute_command(command, key, *words)
            answers = [client.get(path) for _ in range(2)]
            assert [answer.get_json() for answer in answers] == [truth] * 2
            assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit"]
    assert parts.counters.to_plain()["foreign"] >= 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_foreign_values_under_any_key_cost_no_change(
    open_shop: Callable[..., Flask], valkey: Server, pattern: str, name: str
) -> None:
    app = open_shop(valkey.url, pattern=pattern)
    parts, client, key = parts_of(app), app.test_client(), "api:price:SKU-00003"
    keys = (key, parts.keys.lease(key), parts.keys.pending(key), parts.keys.writes, parts.keys.dead_writes)
    damaged = keys[NAMES.index(name)]
    for number, (command, *words) in enumerate(FOREIGN.values(), 1):
        with valkey.client() as server:
            server.delete(damaged)
            server.execute_command(command, damaged, *words)
        for cents in (number, 1000 + number):
            assert client.put("/prices/SKU-00003", json={"cents": cents}).status_code == 200
            assert shown(client, "/prices/SKU-00003") == str(cents)
    with valkey.client() as server:
        server.delete(parts.keys.writes if name == "queue" else damaged)
    assert parts.flusher.drain(60) == 0
    assert in_database(app, "/prices/SKU-00003") == str(1000 + len(FOREIGN))
