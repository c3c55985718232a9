"""/metrics of ten primaries with an hour of samples, as the web process answers it; without the network."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dashboard import create_app
from dashboard.cache.servers.connect import Cache
from dashboard.jobs import latency
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import command_samples, samples, tokens
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.tokens import Draft
from dashboard.views.deck import deck
from tests.benchmarks.measure import Result, seconds
from tests.servers import Server

PRIMARIES = 10
PERIOD = 2.0
COMMANDS = 40
KEPT_SECONDS = 3600
BOUND_MS = 50.0


def run(server: Server) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        # A long period, so that the samples are not stale before the measurement is over.
        settings = Settings(data=Path(folder), caches=f"main={server.url}", secret_key="k" * 40, sample_seconds=60.0)  # type: ignore[arg-type]
        app = create_app(settings)
        with app.app_context(), closing(deck()) as held:
            fill(held.store, held.caches["main"])
            _, secret = tokens.add(held.store, Draft("bench", Role.VIEWER), "bench")
            client = app.test_client()

            def scrape() -> bytes:
                return client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).data

            text = scrape()
            assert text.count(b"redis_db_keys{") == PRIMARIES
            assert text.count(b"redis_commands_total{") > PRIMARIES * COMMANDS
            took = seconds(scrape, rounds=21) * 1000
    figures = text.count(b"\n") - 2 * text.count(b"# TYPE")
    what = f"/metrics of {PRIMARIES} primaries ({figures:,} figures, {len(text) / 1000:.0f} kB), median of 21"
    return [Result(what, f"{took:.1f} ms", f"≤ {BOUND_MS:.0f} ms", took <= BOUND_MS)]


def fill(store: Store, cache: Cache) -> None:
    """An hour of samples of each of ten primaries, made from a real one; each is called by COMMANDS commands."""
    Follower(store, cache, PERIOD).sample()
    (real,) = samples.latest(store, cache.name)
    (costs,) = command_samples.latest(store, cache.name)
    one = next(numbers for name, numbers in costs.values.items() if name == "info")
    called = replace(costs, values={**costs.values, **{f"command{number}": one for number in range(COMMANDS)}})
    now = time.time()
    for number in range(PRIMARIES):
        node = real.node if number == 0 else f"10.0.0.{number}:6379"
        past = (now - PERIOD * back for back in range(int(KEPT_SECONDS / PERIOD)))
        samples.save(store, [replace(real, at=at, node=node) for at in past], PERIOD)
        looked = (now - latency.SECONDS * back for back in range(int(KEPT_SECONDS / latency.SECONDS)))
        command_samples.save(store, [replace(called, at=at, node=node) for at in looked], latency.SECONDS)
