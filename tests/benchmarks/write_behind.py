"""What write-behind promises, tried: kill -9 of the server under load, and what an acknowledgement costs.

Of each way to persist the queue 20 servers are killed while two processes change prices and a flusher writes. Lost is
what was acknowledged and neither reached the database nor was replaced by a later change that did. A kill leaves the
operating system its page cache, so what the server has written counts as kept, whether synced or not. A loss of power
does not: what it might have cost at the moment of the kill is found by WAITAOF, which answers when all that was
written before it is synced.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from dashboard.demo.caching.remote import CacheTrouble
from dashboard.demo.sql.database import Database, sqlite_url
from dashboard.demo.sql.making import Size
from tests.benchmarks.measure import Result
from tests.demo.behind import Behind, behind
from tests.demo.behind_process import SKUS
from tests.programs import ROOT, environment, running, wait_until
from tests.servers import Server
from tests.servers import running as server_running

MODES = {
    "appendfsync always": ("--appendonly", "yes", "--appendfsync", "always"),
    "appendfsync everysec": ("--appendonly", "yes", "--appendfsync", "everysec"),
    "no append-only file": (),
}
KILLS = 20
WRITERS = 2
TINY = Size(users=30, products=40)
PROBE_SECONDS = 0.05
UPDATES = 300
LATENCY_SECONDS = 0.005


@dataclass
class Kill:
    """acknowledged: changes before it; lost: of these; unsynced: of these, not certainly on the disk at the kill."""

    acknowledged: int
    lost: int
    unsynced: int | None


def run(_server: Server, _client: redis.Redis) -> list[Result]:
    results = []
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(sqlite_url(Path(folder) / "shop.db"), size=TINY)) as shop,
    ):
        for mode, arguments in MODES.items():
            kills = [_killed(shop, arguments, Path(folder) / f"{mode} {number}", number) for number in range(KILLS)]
            results += _of_kills(mode, kills)
        results += _acknowledging(shop)
    return results


def _of_kills(mode: str, kills: Sequence[Kill]) -> list[Result]:
    acknowledged, lost = sum(kill.acknowledged for kill in kills), [kill.lost for kill in kills]
    always = mode == "appendfsync always"
    found = [
        Result(
            f"write-behind, {mode}: lost by {len(kills)} kill -9 of the server",
            f"{sum(lost):,} of {acknowledged:,} (at most {max(lost):,} at once)",
            "0" if always else "",
            sum(lost) == 0 if always else None,
        )
    ]
    unsynced = [kill.unsynced for kill in kills if kill.unsynced is not None]
    if unsynced and not always:
        figure = f"{statistics.median(unsynced):,.0f}, at most {max(unsynced):,}"
        found.append(Result(f"write-behind, {mode}: acknowledged and not synced at the kill (median)", figure))
    return found


def _killed(database: Database, arguments: Sequence[str], folder: Path, seed: int) -> Kill:
    """One server, killed after a random time under load; then started again, and its queue written."""
    folder.mkdir()
    logs = [folder / f"log {place}" for place in range(WRITERS)]
    with server_running(*arguments) as server, behind(database, server.url, claim_after=0.0) as shop:
        before = shop.rows.versions([("price", sku) for sku in SKUS])
        shop.flusher.start()
        with _writing(shop, logs) as ended, _probing(shop.client, logs, bool(arguments)) as synced:
            wait_until(lambda: all(_lines(log) >= 100 for log in logs), "the writers to write")
            time.sleep(random.Random(seed).uniform(0.2, 2.0))
            server.stop()
            ended()
        versions = [line.split() for log in logs for line in log.read_text().splitlines()]
        unsynced = len(versions) - synced.acknowledged if arguments else None
        server.restart()
        wait_until(lambda: _answers(shop), "the server to answer")
        assert shop.flusher.drain(60) == 0
        shop.flusher.close()
        after = shop.rows.versions([("price", sku) for sku in SKUS])
        assert before != after
        lost = sum(int(version) > after["price", sku] for sku, _cents, version, _how in versions)
        return Kill(len(versions), lost, unsynced)


@contextmanager
def _writing(shop: Behind, logs: Sequence[Path]) -> Iterator[Callable[[], None]]:
    """Processes that write until the server is gone; what is given waits for their end."""
    database = f"sqlite:///{shop.database.file}"
    command = [sys.executable, "-m", "tests.demo.behind_process", "queue", shop.url, database]
    first, second = ([*command, str(log), f"{place}/{WRITERS}"] for place, log in enumerate(logs))
    with running(first, environment(ROOT), ROOT) as one, running(second, environment(ROOT), ROOT) as two:

        def ended() -> None:
            for writer in (one, two):
                assert writer.end() == 0, writer.output()

        yield ended


@dataclass
class _Synced:
    acknowledged: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def _probing(client: redis.Redis, logs: Sequence[Path], persists: bool) -> Iterator[_Synced]:
    """How many acknowledged changes are synced for certain: one question each 50 ms, each on an own connection."""
    synced, stop, threads = _Synced(), threading.Event(), []

    def probe() -> None:
        acknowledged = sum(_lines(log) for log in logs)
        with suppress(redis.RedisError), client.client() as own:
            own.set("probe", 1)
            own.execute_command("WAITAOF", 1, 0, 0)
            with synced.lock:
                synced.acknowledged = max(synced.acknowledged, acknowledged)

    def keep_asking() -> None:
        while not stop.wait(PROBE_SECONDS):
            threads.append(threading.Thread(target=probe))
            threads[-1].start()

    asking = threading.Thread(target=keep_asking)
    if persists:
        asking.start()
    yield synced
    stop.set()
    for thread in (asking, *threads) if persists else ():
        thread.join()


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _answers(shop: Behind) -> bool:
    with suppress(CacheTrouble, redis.RedisError):
        return bool(shop.client.ping()) and shop.queue.length() >= 0
    return False


def _acknowledging(database: Database) -> list[Result]:
    """ms until a change is acknowledged, one after the other; each statement of the database takes 5 ms more."""
    found = []
    database.latency = LATENCY_SECONDS
    for mode, arguments in MODES.items():
        with server_running(*arguments) as server, behind(database, server.url) as shop:
            for sku in SKUS:
                shop.get_price(sku)
            median = _median_ms(lambda number: shop.change_price(SKUS[number % 40], number))
            found.append(Result(f"write-behind, {mode}: an acknowledged change (median)", f"{median:.2f} ms"))
    with server_running() as server, behind(database, server.url) as shop:
        median = _median_ms(lambda number: _database_first(shop, SKUS[number % 40], number))
    found.append(Result("database first, 5 ms a statement: an acknowledged change (median)", f"{median:.2f} ms"))
    database.latency = 0.0
    return found


def _database_first(shop: Behind, sku: str, cents: int) -> None:
    """What cache-aside does: change the row, forget the entry."""
    shop.rows.change("price", sku, {"cents": cents})
    shop.entries.forget([shop.keys.price(sku)])


def _median_ms(work: Callable[[int], object]) -> float:
    times = []
    for number in range(UPDATES):
        started = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000
