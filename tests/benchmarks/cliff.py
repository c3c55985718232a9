"""What many keys that expire together cost the database, with and without jitter; and how true the patterns are.

On a shop of its own with the scenario and the comparison of the demo's bench: what is measured is what the Lab shows.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from dashboard.demo.bench.blocks import Block
from dashboard.demo.bench.comparison import Plan, compare
from dashboard.demo.bench.processes import Own, own_prefix, own_shop, remove_own_keys
from dashboard.demo.bench.recorder import Recorder
from dashboard.demo.bench.scenarios import EXPIRY_SCALE, SCENARIOS
from dashboard.demo.bench.shops import Shops
from dashboard.demo.bench.stage import Stage
from dashboard.demo.caching.ttl import TTL_SECONDS
from dashboard.demo.visitors.open_loop import Driver
from dashboard.demo.visitors.traffic import ShopSize, Traffic
from tests.benchmarks.measure import Result
from tests.servers import Server, running

SIZE = ShopSize(users=1000, products=500)
RATE = 150.0
LATENCY_MS = 5.0
ROUNDS = 2  # of each, in turn, so that a slow machine is slow for both
# The first expiry of each class, with jitter, is over by then; the second is spread by the refills.
SECONDS = 1.15 * EXPIRY_SCALE * TTL_SECONDS["profile"]
COMPARED_SECONDS = 20


@dataclass(frozen=True)
class _Bench:
    shops: Shops
    driver: Driver
    recorder: Recorder


@contextmanager
def _bench(server: Server, processes: int) -> Iterator[_Bench]:
    halted, stop, prefix = threading.Event(), threading.Event(), own_prefix()
    traffic = Traffic(SIZE.users, SIZE.products, rate=RATE, write_share=0.1)
    with tempfile.TemporaryDirectory() as folder:
        own = Own(Path(folder), {"DEMO_CACHE_URL": server.url}, SIZE, processes)
        with own_shop(own, prefix, halted) as addresses:
            driver = Driver(addresses, SIZE, traffic, stop)
            shops = Shops(addresses)
            recorder = Recorder(driver.ledger, shops)
            driver.start()
            recorder.start()
            yield _Bench(shops, driver, recorder)
            stop.set()
            recorder.end()
            driver.end()
    remove_own_keys(server.url, prefix)


def run(server: Server, client: redis.Redis) -> list[Result]:
    """On a server of its own: a shop that removes its keys walks over all others, and those are a million here."""
    with running() as own:
        return [*_cliff(own), *_truth(own)]


def _cliff(server: Server) -> list[Result]:
    seen: dict[bool, list[list[Block]]] = {False: [], True: []}
    with _bench(server, processes=1) as bench:
        for jitter in (False, True) * ROUNDS:
            bench.shops.turn({"jitter": jitter, "latency_ms": LATENCY_MS, "prevention": "none"})
            seen[jitter].append(_seconds_after(bench))
    found, worst = [], {}
    for jitter, rounds in seen.items():
        peaks = [max(map(_queries, one)) for one in rounds]
        usual = statistics.median(_queries(block) for one in rounds for block in one)
        worst[jitter] = statistics.fmean(peaks)
        figure = f"{worst[jitter]:.0f} ({', '.join(f'{peak:.0f}' for peak in peaks)}; median second {usual:.0f})"
        what = f"mass expiry {'with' if jitter else 'without'} jitter: database queries/s in the worst second"
        found.append(Result(what, figure))
    figure = f"{worst[False] / worst[True]:.1f}"
    return [*found, Result("the first of these over the second", figure, "> 1", worst[False] > worst[True])]


def _seconds_after(bench: _Bench) -> list[Block]:
    """A mass expiry: each second after the cache was warm, until every class has expired once."""
    stage = Stage(bench.shops, bench.driver)
    SCENARIOS["mass-expiry"].play(stage)
    blocks: list[Block] = []
    first = bench.recorder.taken + 1
    while sum(block.seconds for block in blocks) < SECONDS:
        block = bench.recorder.next_block(first + len(blocks), 60.0)
        assert block is not None
        blocks.append(block)
    stage.restore()
    return [block for block in blocks if block.growth is not None]


def _queries(block: Block) -> float:
    return block.grew("queries") / block.seconds


def _truth(server: Server) -> list[Result]:
    """Stale reads and lost writes of each pattern, of one process and of two that keep copies."""
    found = []
    for processes in (1, 2):
        with _bench(server, processes) as bench:
            knobs = {"prevention": "none", "jitter": True, "latency_ms": LATENCY_MS, "ttl_scale": EXPIRY_SCALE}
            plan = Plan(COMPARED_SECONDS, 1, bench.driver.traffic, {**knobs, "copies": processes > 1})
            for snapshot in compare(bench.shops, bench.driver, bench.recorder, plan, threading.Event()):
                last = snapshot
        assert last.state == "finished", last.sentence
        of = "one process" if processes == 1 else "two processes that keep copies"
        for row in last.rows:
            what = f"{row.pattern}, {of}: stale reads of {row.reads_judged:,}; lost writes; errors"
            found.append(Result(what, f"{row.stale_reads}; {row.lost}; {row.errors}"))
    return found
