"""`python -m dashboard.demo compare`: all four patterns, measured one after the other on a shop of its own."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import click

from dashboard.demo.bench import comparison
from dashboard.demo.bench.comparison import Plan, Snapshot
from dashboard.demo.bench.processes import Own, own_prefix, own_shop, remove_own_keys
from dashboard.demo.bench.recorder import Recorder
from dashboard.demo.bench.shops import Shops, ShopTrouble
from dashboard.demo.caching.remote import BadCacheUrl, Remote
from dashboard.demo.compare_table import table
from dashboard.demo.knobs import MOST_LATENCY_MS, PREVENTIONS, TTL_SCALES, Knobs
from dashboard.demo.signals import on_signals
from dashboard.demo.visitors.line import Address
from dashboard.demo.visitors.open_loop import Driver
from dashboard.demo.visitors.traffic import FASTEST, ShopSize, Traffic

CACHE_VARIABLE = "DEMO_CACHE_URL"
SIZE = ShopSize(users=5000, products=1000)
WRITE_SHARE = 0.1  # twice the usual: patterns differ by their writes
TTL_SCALE = 0.01  # minutes instead of hours, so that entries expire within a run
CANCELLED = 128 + signal.SIGINT


@click.command("compare")
@click.option("--seconds", type=click.IntRange(5, 3600), default=60, show_default=True, help="For each pattern.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same requests for the same seed.")
@click.option(
    "--rate", type=click.FloatRange(0.1, FASTEST), default=150.0, show_default=True, help="Requests a second."
)
@click.option("--prevention", type=click.Choice(PREVENTIONS), default=Knobs.prevention, show_default=True)
@click.option(
    "--latency-ms",
    type=click.FloatRange(0, MOST_LATENCY_MS),
    default=5.0,
    show_default=True,
    help="Added to each query, as a database across a network takes it.",
)
@click.option("--jitter/--no-jitter", default=True, show_default=True, help="Spread TTLs by 10 % to either side.")
@click.option(
    "--ttl-scale", type=click.FloatRange(*TTL_SCALES), default=TTL_SCALE, show_default=True, help="All TTLs times this."
)
@click.option(
    "--processes", type=click.IntRange(1, 2), default=1, show_default=True, help="Of the shop; 2 keep copies."
)
@click.option("--json", "as_json", is_flag=True, help="Print nothing but JSON on standard output.")
def compare(
    *,
    seconds: int,
    seed: int,
    rate: float,
    prevention: str,
    latency_ms: float,
    jitter: bool,
    ttl_scale: float,
    processes: int,
    as_json: bool,
) -> None:
    """Compare cache-aside, read-through, write-through and write-behind on the cache whose URL is in DEMO_CACHE_URL.

    Starts a shop of its own with few rows, whose keys stand behind a prefix of their own; at the end, also after
    Ctrl-C, both are gone. The database is SQLite in a temporary folder, or the PostgreSQL of DEMO_DATABASE_URL.
    Progress is said on standard error. Exits with 1 where the comparison failed, with 130 after Ctrl-C.
    """
    # Standard output is for the result alone.
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    cache_url = _cache_url()
    halted = threading.Event()
    on_signals(halted.set)
    knobs = {"prevention": prevention, "jitter": jitter, "latency_ms": latency_ms, "ttl_scale": ttl_scale}
    # Only where there are several can what one process keeps be out of date because of another.
    knobs |= {"copies": processes > 1}
    traffic = Traffic(SIZE.users, SIZE.products, rate=rate, write_share=WRITE_SHARE)
    plan = Plan(seconds, seed, traffic, knobs)
    last: Snapshot | None = None
    prefix = own_prefix()
    try:
        with tempfile.TemporaryDirectory(prefix="cachedeck-compare-") as folder:
            own = Own(Path(folder), {CACHE_VARIABLE: cache_url}, SIZE, processes)
            click.echo("Starting a shop.", err=True)
            with own_shop(own, prefix, halted) as shops:
                last = _run(shops, plan, halted) if shops else None
    except ShopTrouble as error:
        raise click.ClickException(f"the comparison failed: {error}") from None
    finally:
        if not remove_own_keys(cache_url, prefix):
            click.echo(f"The cache does not answer: keys that begin with {prefix} may be left in it.", err=True)
    if last is not None:
        settings = {**knobs, "rate": rate, "processes": processes, **vars(SIZE)}
        click.echo(json.dumps(last.to_plain() | settings) if as_json else table(last))
    if last is None or last.state == "cancelled":
        sys.exit(CANCELLED)
    if last.state != "finished":
        sys.exit(1)


def _cache_url() -> str:
    cache_url = os.environ.get(CACHE_VARIABLE)
    if not cache_url:
        raise click.UsageError(f"set {CACHE_VARIABLE} to the cache's URL")
    try:
        Remote(cache_url).close()
    except BadCacheUrl as error:
        raise click.UsageError(f"{CACHE_VARIABLE}: {error}") from None
    return cache_url


def _run(shops: list[Address], plan: Plan, halted: threading.Event) -> Snapshot | None:
    """The last snapshot of a comparison, whose progress is said on standard error."""
    stop = threading.Event()
    driver = Driver(shops, SIZE, plan.traffic, stop, seed=plan.seed)
    driver.pause()
    of_shop = Shops(shops)
    recorder = Recorder(driver.ledger, of_shop)
    driver.start()
    recorder.start()
    last, said = None, ""
    for last in comparison.compare(of_shop, driver, recorder, plan, halted):
        if last.sentence != said:
            said = last.sentence
            click.echo(f"{last.progress:4.0%}  {said}", err=True)
    driver.pause()
    stop.set()
    recorder.end()
    driver.end()
    return last
