"""What a hit spares, what each stampede prevention prevents, and whether XFetch keeps to its formula."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import redis

from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.reading import Prevention, Reader
from dashboard.demo.caching.remote import Remote
from dashboard.demo.counters import Counters
from dashboard.demo.encoding import Document, encode
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.prevention.mutex import Mutex
from dashboard.demo.prevention.none import Unprevented
from dashboard.demo.prevention.revalidate import Revalidate
from dashboard.demo.prevention.xfetch import XFetch
from dashboard.demo.sql.database import Database, sqlite_url
from dashboard.demo.sql.making import Size
from dashboard.demo.sql.shop import Shop
from tests.benchmarks.measure import Result
from tests.servers import Server

KEYS = Keyspace("bench:")
LATENCY_SECONDS = 0.005  # of a query
READS = 1001

EPISODES, KEYS_AT_ONCE, READERS = 20, 10, 32  # 200 keys, of which ten end at the same moment, are read by 32 threads
LOAD_SECONDS = 2 * LATENCY_SECONDS  # a document of two queries
TTL_SECONDS, AFTER_SECONDS = 0.5, 0.25

DELTA_SECONDS = 10.0  # so long that the time of a round trip does not matter
TRIALS = {1: 4000, 2: 4000, 5: 20_000}  # by how many deltas are left


def run(server: Server, client: redis.Redis) -> list[Result]:
    with closing(Remote(server.url, timeout=60.0)) as remote:
        return [*_hits(remote), *_mass_expiry(remote), *_xfetch(remote, client)]


def _hits(remote: Remote) -> list[Result]:
    """A user's document from the cache, and from a local SQLite of which each query takes 5 ms more."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "shop.db"), size=Size(users=300, products=400))
        with closing(database):
            shop, entries = Shop(database), Entries(remote, KEYS)
            database.latency = LATENCY_SECONDS
            reader = Reader(entries, Counters(), Unprevented())
            key = KEYS.user(42)
            reader.get(key, lambda: shop.user(42), 600)
            hit = _median_ms(lambda: reader.get(key, lambda: shop.user(42), 600))
            read = _median_ms(lambda: shop.user(42), reads=READS // 5)
            entries.forget([key])
    figure = f"{hit:.2f} ms against {read:.1f} ms"
    return [Result("a hit against a database read at 5 ms a query, median", figure, "", None)]


def _median_ms(work: Callable[[], object], reads: int = READS) -> float:
    times = []
    for _ in range(reads):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def _mass_expiry(remote: Remote) -> list[Result]:
    results = []
    preventions: dict[str, tuple[Prevention, int | None]] = {
        "none": (Unprevented(), None),
        "mutex": (Mutex(), 1),
        "xfetch": (XFetch(), None),
        "revalidate": (Revalidate(), 1),
    }
    for name, (prevention, most) in preventions.items():
        loads = [count for number in range(EPISODES) for count in _episode(remote, prevention, number)]
        keys = EPISODES * KEYS_AT_ONCE
        duplicates = sum(count - 1 for count in loads) / keys
        figure = f"{duplicates:.2f} duplicate loads a key, at most {max(loads) - 1}"
        what = f"mass expiry, {keys} keys, {READERS} readers, {name}"
        if most is None:
            results.append(Result(what, figure))
        else:
            results.append(Result(what, figure, f"≤ {most} load a key and expiry", max(loads) <= most))
    return results


def _episode(remote: Remote, prevention: Prevention, number: int) -> list[int]:
    """Ten keys that were filled at once are read all the time, until a while after their end. How many loads each
    costs: on a machine that stalls a key may end twice meanwhile, and only its first end counts."""
    reader = Reader(Entries(remote, KEYS), Counters(), prevention)
    keys = [f"{KEYS.prefix}{number}:{key}" for key in range(KEYS_AT_ONCE)]
    loads: dict[str, list[float]] = {key: [] for key in keys}

    def get(key: str) -> None:
        def load() -> Document:
            loads[key].append(time.monotonic())
            time.sleep(LOAD_SECONDS)
            return {"key": key}

        reader.get(key, load, TTL_SECONDS)

    with ThreadPoolExecutor(KEYS_AT_ONCE) as pool:
        list(pool.map(get, keys))
    for key in keys:
        loads[key].clear()
    until = time.monotonic() + TTL_SECONDS + AFTER_SECONDS

    def read(_reader: int) -> None:
        while time.monotonic() < until:
            for key in keys:
                get(key)

    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(read, range(READERS)))
    Entries(remote, KEYS).forget(keys)
    return [sum(at < times[0] + TTL_SECONDS for at in times) for times in loads.values() if times]


def _xfetch(remote: Remote, client: redis.Redis) -> list[Result]:
    """How many of single reads refresh an entry that has so many deltas left."""
    counters = Counters()
    reader = Reader(Entries(remote, KEYS), counters, XFetch())
    key = f"{KEYS.prefix}xfetch"
    fields = {"document": encode({"a": 1}), "took": DELTA_SECONDS * 1000}
    results = []
    for deltas, trials in TRIALS.items():
        before = counters.to_plain()["early_refreshes"]
        for _ in range(trials):
            with client.pipeline(transaction=False) as pipe:
                pipe.hset(key, mapping=fields)  # type: ignore[arg-type]
                pipe.pexpire(key, round(deltas * DELTA_SECONDS * 1000))
                pipe.execute()
            reader.get(key, lambda: {"a": 1}, 600)
        share = (counters.to_plain()["early_refreshes"] - before) / trials
        expected = math.exp(-deltas)
        error = math.sqrt(expected * (1 - expected) / trials)
        bound = f"{expected:.4f} ± {3 * error:.4f}"
        what = f"XFetch's refreshes at {deltas}δ before expiry, {trials:,} reads"
        results.append(Result(what, f"{share:.4f}", bound, abs(share - expected) <= 3 * error))
    client.delete(key)
    return results
