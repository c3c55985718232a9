"""kill -9 of the flusher and of the server, with real processes: what was acknowledged is stored."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dashboard.demo.caching.remote import CacheTrouble
from dashboard.demo.sql.database import Database, sqlite_url
from dashboard.demo.sql.shop import Shop
from tests.demo.behind import Behind, behind
from tests.demo.behind_process import SKUS
from tests.programs import PATIENCE_SECONDS, ROOT, Running, environment, running, status, wait_until
from tests.servers import HOST, Server, free_port
from tests.servers import running as server_running

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def shop(sqlite_database: Database, valkey: Server) -> Iterator[Behind]:
    with behind(sqlite_database, valkey.url, consumer="the survivor", claim_after=0.0) as found:
        yield found


def process(shop: Behind, role: str, *words: str) -> AbstractContextManager[Running]:
    command = [sys.executable, "-m", "tests.demo.behind_process", role, shop.url, f"sqlite:///{shop.database.file}"]
    assert shop.database.file
    return running([*command, *words], environment(shop.database.file.parent), ROOT)


@dataclass(frozen=True)
class Acknowledged:
    sku: str
    cents: int
    version: int
    queued: bool


def acknowledged(*logs: Path) -> list[Acknowledged]:
    """The changes for which there was an acknowledgement; those of one price in the order in which they were made."""
    lines = [line.split() for log in logs if log.exists() for line in log.read_text().splitlines()]
    return [Acknowledged(sku, int(cents), int(version), how == "queued") for sku, cents, version, how in lines]


def assert_stored(shop: Behind, *logs: Path) -> None:
    """The last acknowledged change of each price is what the database has, to the cent."""
    last = {change.sku: change.cents for change in acknowledged(*logs)}
    assert last
    assert {sku: shop.cents(sku) for sku in last} == last


@pytest.mark.parametrize("point", ["before-apply:3", "after-apply:3", "before-settle:2", "after-settle:2"])
def test_acknowledged_is_stored_wherever_the_flusher_is_killed(shop: Behind, point: str) -> None:
    wanted = {sku: 100 + place for place, sku in enumerate(SKUS[:5])}
    for sku, cents in wanted.items():
        for earlier in (1, 2):
            shop.change_price(sku, earlier)
        assert shop.change_price(sku, cents).queued
    with process(shop, "flush", "the victim", point) as victim:
        assert victim.end() == -signal.SIGKILL, victim.output()
    stored = sum(shop.cents(sku) == cents for sku, cents in wanted.items())
    assert stored == {"before-apply:3": 2, "after-apply:3": 3, "before-settle:2": 2, "after-settle:2": 2}[point]
    for sku, cents in wanted.items():
        assert shop.get_price(sku).document["cents"] == cents  # type: ignore[index]
    assert shop.flusher.drain(60) == 0
    assert {sku: shop.cents(sku) for sku in wanted} == wanted
    assert shop.queue.figures().dead == 0


def test_acknowledged_is_stored_after_many_kills_of_the_flusher_under_load(shop: Behind, tmp_path: Path) -> None:
    log, dice = tmp_path / "log", random.Random(7)
    with process(shop, "write", str(log), "0/1") as writer:
        for number in range(4):
            with process(shop, "flush", f"victim {number}", "never") as victim:
                victim.has_said("flushing")
                flushed = len(stored_versions(shop))
                wait_until(lambda: len(stored_versions(shop)) >= min(flushed + 1, len(SKUS)), "something is flushed")  # noqa: B023
                time.sleep(dice.random() / 10)
                os.kill(victim.pid, signal.SIGKILL)
                assert victim.end() == -signal.SIGKILL
        writer.process.terminate()
        assert writer.end() == 0, writer.output()
    assert shop.flusher.drain(120) == 0
    assert_stored(shop, log)
    assert shop.queue.figures().dead == 0


def stored_versions(shop: Behind) -> list[int]:
    """Of the rows that have been flushed at all."""
    return [version for version in shop.rows.versions([("price", sku) for sku in SKUS]).values() if version > 1]


def test_acknowledged_is_stored_after_kills_of_the_whole_shop(database: Path, valkey: Server) -> None:
    acknowledged_last: dict[str, Any] = {}
    for number in range(2):
        with a_shop(database, valkey) as (shop, url):
            for cents in range(1000 * number + 1, 1000 * number + 40):
                acknowledged_last = {"cents": cents, **call("PUT", f"{url}/prices/{SKUS[0]}", {"cents": cents})}
                assert acknowledged_last["queued"]
        assert shop.process.poll() == -signal.SIGKILL
    with a_shop(database, valkey) as (_shop, url):
        truth = call("POST", f"{url}/lab/versions", {"rows": [["price", SKUS[0]]], "drain_seconds": 60})
        assert (truth["left"], truth["dead"]) == (0, 0)
        assert truth["versions"][0] >= acknowledged_last["version"]
        with closing(Database(sqlite_url(database))) as stored:
            found = Shop(stored).price(SKUS[0])
        assert found
        assert found["cents"] == acknowledged_last["cents"]


@contextmanager
def a_shop(database: Path, cache: Server) -> Iterator[tuple[Running, str]]:
    """The whole shop as a program, on a write-behind queue; at the end of the block all its processes are killed."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "dashboard.demo", "serve", "--data", str(database.parent), "--port", str(port)]
    with running(
        [*command, "--pattern", "write-behind"], environment(database.parent, DEMO_CACHE_URL=cache.url)
    ) as shop:
        wait_until(lambda: shop.process.poll() is not None or status(f"{url}/") == 200, "the shop")
        yield shop, url


def call(method: str, url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_acknowledged_is_stored_after_kills_of_a_server_that_syncs_always(
    sqlite_database: Database, tmp_path: Path
) -> None:
    logs = [tmp_path / f"log {writer}" for writer in range(2)]
    with server_running(*DURABLE) as server, behind(sqlite_database, server.url, claim_after=0.0) as shop:
        for number in range(3):
            kill_under_load(server, shop, logs, 50 * (number + 1))
            assert shop.flusher.drain(120) == 0
            assert_stored(shop, *logs)
        assert sum(change.queued for change in acknowledged(*logs)) >= 300


def test_without_an_append_only_file_what_is_queued_is_lost_and_what_was_flushed_is_not(
    sqlite_database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with server_running() as server, behind(sqlite_database, server.url) as shop:
        shop.change_user(1, "Oslo")
        assert shop.flusher.drain(60) == 0
        kill_under_load(server, shop, [log], 50)
        assert shop.flusher.drain(60) == 0
        versions = shop.rows.versions([("price", sku) for sku in SKUS])
        assert sum(change.version > versions["price", change.sku] for change in acknowledged(log)) >= 40
        assert shop.get_user(1).document["city"] == "Oslo"  # type: ignore[index]


def kill_under_load(server: Server, shop: Behind, logs: list[Path], changes: int) -> None:
    """kill -9 of the server while a process for each log writes, when each has had so many acknowledgements at least.

    The server is back afterwards, with what it has kept, and has been told what went past it.
    """
    with ExitStack() as stack:
        parts = [f"{place}/{len(logs)}" for place in range(len(logs))]
        writers = [
            stack.enter_context(process(shop, "write", str(log), part)) for log, part in zip(logs, parts, strict=True)
        ]
        wait_until(lambda: min(len(acknowledged(log)) for log in logs) >= changes, "changes are acknowledged")
        server.stop()
        assert [writer.end() for writer in writers] == [0] * len(writers), writers[0].output()
    server.restart()
    wait_until(lambda: told(shop), "the server to be told")


def told(shop: Behind) -> bool:
    """As the relay does it, when the cache is back."""
    versions = shop.rows.versions([("price", sku) for sku in SKUS])
    with suppress(CacheTrouble):
        shop.entries.outdate([(shop.keys.price(str(sku)), version) for (_, sku), version in versions.items()])
        return True
    return False
