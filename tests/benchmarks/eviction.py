"""What watching a cache costs: the server, the store, the page of a week's statistics, and /metrics."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import redis
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from dashboard import create_app
from dashboard.cache.servers.connect import Cache
from dashboard.cache.statistics.commands import Cost, Costs, costs_of, flat, parse
from dashboard.jobs import latency
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import command_samples, operators, samples
from dashboard.store.command_samples import CommandSample
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.samples import MINUTE, QUARTER, RAW, Sample
from dashboard.store.schema import CommandSampleRow, SampleRow
from dashboard.views.deck import deck
from tests.benchmarks import metrics
from tests.benchmarks.measure import Result, seconds
from tests.servers import Server
from tests.views.conftest import NAMES, PASSWORD, post

PERIOD = 2.0  # the default interval
ROUNDS = 30
SHARE_BOUND = 0.001
STORE_BOUND = 50_000_000
PAGE_BOUND_MS = 100.0
DAY, MONTH = 86400.0, 30 * 86400.0
ROWS_AT_ONCE = 500
PRIMARIES = 3
# A busy application's mix: each type's reads and writes, so that a row has as many commands and buckets as it will.
COMMANDS = (
    "get set mget mset incr expire ttl exists del unlink hget hset hgetall hmget hincrby lpush rpush lpop lrange llen"
    " sadd srem smembers sismember zadd zrange zincrby zscore evalsha publish"
).split()


def run(server: Server, client: redis.Redis) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder, _app(server, Path(folder)) as app, app.app_context():
        store, cache = deck().store, deck().caches["main"]
        _traffic(client)
        return [_on_the_server(store, cache, client), *_in_the_store(store, cache), *_pages(app), *metrics.run(server)]


@contextmanager
def _app(server: Server, folder: Path) -> Iterator[Flask]:
    app = create_app(Settings(data=folder, caches=f"main={server.url}", secret_key="k" * 40))  # type: ignore[arg-type]
    with app.app_context(), closing(deck()):
        operators.add(deck().store, NAMES[Role.VIEWER], PASSWORD, Role.VIEWER)
        yield app


def _traffic(client: redis.Redis) -> None:
    """Each command some hundred times, so that the server's histograms are as long as a busy server's."""
    pipe = client.pipeline(transaction=False)
    for number in range(300):
        key = f"bench:{number % 50}"
        pipe.set(f"{key}:s", number, ex=60)
        pipe.get(f"{key}:s")
        pipe.mget(f"{key}:s", "missing")
        pipe.hset(f"{key}:h", mapping={"f": number})
        pipe.hgetall(f"{key}:h")
        pipe.lpush(f"{key}:l", number)
        pipe.lrange(f"{key}:l", 0, 10)
        pipe.sadd(f"{key}:t", number)
        pipe.smembers(f"{key}:t")
        pipe.zadd(f"{key}:z", {str(number): number})
        pipe.zrange(f"{key}:z", 0, 10)
        pipe.expire(f"{key}:z", 60)
        pipe.unlink(f"{key}:gone")
    pipe.execute()


def _on_the_server(store: Store, cache: Cache, client: redis.Redis) -> Result:
    """By INFO commandstats: so many samples of figures, and as many of commands, brought to their intervals."""
    follower = Follower(store, cache, 0.001, 0.001)
    follower.sample()
    before = _used(client)
    for _ in range(ROUNDS):
        follower.sample()
    used = {name: (usec - before.get(name, 0.0)) / ROUNDS for name, usec in _used(client).items()}
    histogram = used.get("latency|histogram", 0.0)
    # INFO is asked for twice: what it takes for one section is not told apart, so both count as the dearer one.
    share = (used["info"] / PERIOD + (used["info"] + histogram) / latency.SECONDS) / 1e6
    took = f"INFO {used['info'] / 2:.0f} µs, histograms {histogram:.0f} µs"
    what = f"sampling one primary: share of one core of the server ({took})"
    return Result(what, f"{share * 100:.4f} %", f"≤ {SHARE_BOUND * 100:g} %", share <= SHARE_BOUND)


def _used(client: redis.Redis) -> dict[str, float]:
    found = parse(client.execute_command("INFO COMMANDSTATS"))
    return {name: cost.usec for name, cost in found.items() if name in ("info", "latency|histogram")}


def _in_the_store(store: Store, cache: Cache) -> list[Result]:
    """A month as the worker leaves it behind: every row that it keeps at any time."""
    (figures,) = samples.latest(store, cache.name)
    (costs,) = command_samples.latest(store, cache.name)
    found = []
    for primaries in (1, PRIMARIES):
        with store.write() as session:
            session.execute(text("DELETE FROM samples"))
            session.execute(text("DELETE FROM command_samples"))
        rows = fill(store, figures, costs_of(costs.at, costs.node, costs.values), primaries)
        used = _bytes(store)
        what = f"store: a month of {primaries} primar{'y' if primaries == 1 else 'ies'} ({rows:,} rows)"
        found.append(Result(what, f"{used / 1e6:.1f} MB", f"≤ {STORE_BOUND / 1e6:.0f} MB", used <= STORE_BOUND))
    return found


def fill(store: Store, figures: Sample, costs: Costs, primaries: int) -> int:
    """Every sample that is kept of a month up to now: as they were taken, of minutes, and of quarters; how many rows.

    They are saved at the distance at which they are kept, and thinned out by the store's own code as a worker does;
    counters grow as a busy server's, so that figures have as many digits. Three weeks and more are as the worker leaves
    them: the last of each quarter.
    """
    chance = random.Random(5)
    now = time.time() // QUARTER * QUARTER + 1
    begun = now - MONTH
    for start, end, step in ((begun, now - DAY, QUARTER), (now - DAY, now - 3600, MINUTE), (now - 3600, now, PERIOD)):
        times = [start + step * n - 1 for n in range(1, round((end - start) / step) + 1)]
        every = max(1, round(latency.SECONDS / step))
        nodes = [figures.node, *(f"10.0.0.{number}:6379" for number in range(1, primaries))]
        for place in range(0, len(times), ROWS_AT_ONCE):
            some = times[place : place + ROWS_AT_ONCE]
            made = [_grown(replace(figures, node=node), at, at - begun, chance) for node in nodes for at in some]
            samples.save(store, made, PERIOD)
            looked = [
                _cost(replace(costs, node=node), at, at - begun, chance) for node in nodes for at in some[::every]
            ]
            command_samples.save(store, looked, latency.SECONDS)
            samples.compact(store, some[-1] + 2)
            command_samples.compact(store, some[-1] + 2)
    rows = [samples.load(store, "main", 0, None, level, now) for level in (QUARTER, MINUTE, RAW)]
    assert len(rows[0]) >= primaries * (MONTH - DAY) / QUARTER, len(rows[0])
    assert len(rows[2]) >= primaries * 3600 / PERIOD, len(rows[2])
    return _rows(store)


def _grown(sample: Sample, at: float, age: float, chance: random.Random) -> Sample:
    """As if a hundred operations a millisecond had been carried out for `age` seconds, on a full cache of some GB."""
    values = {
        name: value if value < 1000 or name in ("run", "maxmemory") else value + int(age * 1000 * chance.random())
        for name, value in sample.values.items()
    }
    grown = {name: float(int(age * rate)) for name, rate in RATES.items()}
    carried = {f"+{name}": amount * 3 for name, amount in grown.items()}
    return replace(sample, at=at, values={**values, **grown, **carried, "sampled_at": at + chance.random() / 100})


RATES = {
    "total_commands_processed": 100_000.0,
    "keyspace_hits": 60_000.0,
    "keyspace_misses": 7_000.0,
    "evicted_keys": 1_200.0,
    "expired_keys": 900.0,
    "total_net_input_bytes": 9e6,
    "total_net_output_bytes": 4e7,
    "total_connections_received": 3.0,
    "total_error_replies": 1.5,
    "used_cpu_sys": 0.2,
    "used_cpu_user": 0.6,
    "expire_cycle_cpu_milliseconds": 4.0,
    "lazyfreed_objects": 20.0,
    "total_eviction_exceeded_time": 0.3,
}


def _cost(costs: Costs, at: float, age: float, chance: random.Random) -> CommandSample:
    commands = {}
    for place, name in enumerate(COMMANDS):
        # Growing from sample to sample: one that is lower than before is read as a restart.
        calls = int(age * 100_000 / (place + 1)) + chance.randrange(1000)
        buckets = {float(int(1.024 * 2**power)): float(max(calls >> (power + 1), power)) for power in range(14)}
        commands[name] = Cost(float(calls), float(3 * calls + place), 0.0, float(place % 3), flat(buckets))
    commands |= {name: cost for name, cost in costs.commands.items() if name not in commands}
    made = replace(costs, at=at, commands=commands)
    return CommandSample(at, "main", costs.node, made.to_plain())


def _rows(store: Store) -> int:
    with store.read() as session:
        counts = [session.scalar(select(func.count()).select_from(row)) for row in (SampleRow, CommandSampleRow)]
        return sum(count or 0 for count in counts)


def _bytes(store: Store) -> int:
    """Pages of the database that hold rows of both tables or their indexes (https://www.sqlite.org/dbstat.html)."""
    query = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%samples%'"
    with store.read() as session:
        try:
            return int(session.scalar(text(query)) or 0)
        except OperationalError:  # SQLite is built without dbstat here: all pages that are in use
            session.rollback()
            pages = "SELECT page_count - freelist_count FROM pragma_page_count(), pragma_freelist_count()"
            return int(session.scalar(text(pages)) or 0) * int(session.scalar(text("PRAGMA page_size")) or 0)


def _pages(app: Flask) -> list[Result]:
    """Server time: from the request to the answer within the process, of the page and of the charts' figures."""
    client = app.test_client()
    post(client, "/login", {"name": NAMES[Role.VIEWER], "password": PASSWORD})
    found = []
    for what, path in (
        ("statistics page over 7 d", "/caches/main/statistics?minutes=10080"),
        ("its charts over 7 d (JSON)", "/caches/main/statistics/samples?minutes=10080"),
        ("its charts of one of them (JSON)", "/caches/main/statistics/samples?minutes=10080&node=10.0.0.1:6379"),
    ):
        size = len(client.get(path).data)
        took = seconds(lambda path=path: client.get(path), rounds=11) * 1000
        name = f"{what}, {PRIMARIES} primaries ({size / 1000:.0f} kB), median of 11"
        found.append(Result(name, f"{took:.1f} ms", f"≤ {PAGE_BOUND_MS:.0f} ms", took <= PAGE_BOUND_MS))
    return found
