"""What the sampler keeps of commands of real servers, and what percentiles come of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.statistics.commands import Cost, Costs
from dashboard.cache.statistics.rates import Rates, rates
from dashboard.jobs import seeing
from dashboard.jobs.latency import by_node, lately, p99_ms
from dashboard.jobs.sampler import Follower
from dashboard.store import command_samples, samples
from dashboard.store.command_samples import CommandSample
from dashboard.store.engine import Store, open_store
from tests.jobs.test_sampler import cache
from tests.servers import HOST, Cluster, Server, running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
    yield opened
    opened.close()


def follower(store: Store, of: Cache) -> Follower:
    """One that samples whenever it is asked to."""
    return Follower(store, of, 0.001, 0.001)


def reads(server: Server, many: int) -> None:
    with closing(server.client()) as client:
        pipe = client.pipeline(transaction=False)
        for _ in range(many):
            pipe.get("missing")
        pipe.execute()


def kept(store: Store, name: str = "main") -> dict[str, list[Costs]]:
    return dict(by_node(command_samples.load(store, name, 0, resolution=command_samples.RAW)))


def calls(store: Store, command: str, name: str = "main") -> float:
    return sum(lately(readings).get(command, Cost()).calls for readings in kept(store, name).values())


def test_it_keeps_what_commands_cost_on_every_primary(store: Store, cluster: Cluster) -> None:
    with cache("clu", cluster.url) as clu:
        sampler = follower(store, clu)
        sampler.sample()
        for server in cluster.servers:
            with closing(server.client()) as client:
                client.ping()
        sampler.sample()
    assert set(kept(store, "clu")) == {f"127.0.0.1:{server.port}" for server in cluster.servers}
    assert all(lately(readings)["ping"].calls >= 1 for readings in kept(store, "clu").values())


def test_it_looks_at_commands_more_rarely_than_at_figures(store: Store, valkey: Server) -> None:
    with cache("main", valkey.url) as main:
        sampler = Follower(store, main, 0.001, 3600.0)
        for _ in range(5):
            sampler.sample()
    assert len(samples.load(store, "main", 0, resolution=samples.RAW)) == 5
    assert len(command_samples.load(store, "main", 0, resolution=samples.RAW)) in (1, 2)  # 2: the hour has ended


def test_two_workers_do_not_double_them(store: Store, valkey: Server) -> None:
    with cache("main", valkey.url) as one, cache("main", valkey.url) as two:
        for of in (one, two):
            Follower(store, of, 0.001, 3600.0).sample()
    assert len(command_samples.load(store, "main", 0, resolution=samples.RAW)) in (1, 2)


@pytest.mark.parametrize("restart", [True, False])
def test_no_more_is_lost_than_since_the_last_sample(store: Store, restart: bool) -> None:
    """Counters are set back twice, by a restart or CONFIG RESETSTAT; first and last sample alone tell all."""
    with running() as server, cache("main", server.url) as main:
        sampler = follower(store, main)
        sampler.sample()
        for round_, many in enumerate((120, 100, 80)):
            reads(server, many)
            sampler.sample()
            if round_ < 2:
                reads(server, 7)  # nobody will know of these
                if restart:
                    server.restart()
                    main.close()
                else:
                    with closing(server.client()) as client:
                        client.config_resetstat()
            if round_ == 1:
                sampler = follower(store, main)  # the worker is started again, too
        server.stop()
    (readings,) = kept(store).values()
    assert lately([readings[0], readings[-1]])["get"].calls == 300
    figures = by_figures(store)
    assert figures.change["keyspace_misses"] == 300
    assert min(figures.change.values()) >= 0


def by_figures(store: Store) -> Rates:
    (readings,) = seeing.by_node(samples.load(store, "main", 0, resolution=samples.RAW)).values()
    return rates(readings[0], readings[-1])


def test_it_knows_percentiles_of_the_last_minute(store: Store, valkey: Server) -> None:
    with cache("main", valkey.url) as main:
        sampler = follower(store, main)
        sampler.sample()
        assert p99_ms(store, "main", 60.0) is None
        reads(valkey, 500)
        sampler.sample()
    found = p99_ms(store, "main", 60.0)
    assert found is not None
    assert 0 < found < 1000
    assert p99_ms(store, "main", 60.0, until=time.time() + 3600) is None
    assert p99_ms(store, "other", 60.0) is None


def test_too_few_calls_have_no_percentile(store: Store, valkey: Server) -> None:
    with cache("main", valkey.url) as main:
        sampler = follower(store, main)
        sampler.sample()
        reads(valkey, 20)
        sampler.sample()
    assert p99_ms(store, "main", 60.0) is None


def test_percentiles_are_of_all_primaries_together_and_not_of_what_cachedeck_sends(store: Store) -> None:
    now = time.time()

    def save(node: str, **costs: Cost) -> None:
        nothing = Costs(now - 15, node, dict.fromkeys(costs, Cost()), 1.0)
        for one in (nothing, Costs(now, node, costs, 1.0)):
            command_samples.save(store, [CommandSample(one.at, "main", node, one.to_plain())], 15.0)

    save("a:1", get=Cost(1000, 1, buckets=(1, 1000)), scan=Cost(900, 1, buckets=(1e6, 900)))
    save("b:1", get=Cost(30, 1, buckets=(1024, 30)), info=Cost(900, 1, buckets=(1e6, 900)))
    found = p99_ms(store, "main", 60.0)
    assert found is not None
    assert 0.512 <= found <= 1.024


def test_where_histograms_are_denied_it_takes_what_info_tells_and_asks_rarely(store: Store) -> None:
    rules = "on >secret ~* +@read +info -@dangerous +info +ping +config|get +client".split()
    with running() as server, closing(server.client()) as client:
        client.execute_command("ACL", "SETUSER", "limited", *rules)
        reads(server, 300)
        with cache("main", f"redis://limited:secret@{HOST}:{server.port}") as main:
            sampler = follower(store, main)
            for _ in range(4):
                sampler.sample()
                reads(server, 300)
        refused = [entry for entry in client.acl_log() if entry["object"] == "latency|histogram"]
    assert sum(entry["count"] for entry in refused) == 1
    (readings,) = kept(store).values()
    assert readings[-1].commands["get"].calls >= 300
    assert len(readings[-1].commands["get"].told) == 3
    assert p99_ms(store, "main", 60.0) is None


def test_where_the_server_keeps_no_times_figures_are_sampled_all_the_same(store: Store) -> None:
    with running("--latency-tracking", "no") as server, cache("main", server.url) as main:
        sampler = follower(store, main)
        sampler.sample()
        reads(server, 300)
        sampler.sample()
    assert calls(store, "get") == 300
    assert p99_ms(store, "main", 60.0) is None
