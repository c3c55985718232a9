"""The sampler against real servers: what lands in the store, and what one bad cache does to the others."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs.sampler import Follower, Sampler
from dashboard.store import samples
from dashboard.store.engine import Store, open_store
from tests.servers import HOST, Cluster, Server, free_port, running, start_cluster

PERIOD = 0.5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
    yield opened
    opened.close()


@contextmanager
def cache(name: str, url: str) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"{name}={url}"))) as made:
        yield made


def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_it_saves_one_sample_of_a_standalone_server(store: Store, valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.set("a", 1, ex=100)
    with cache("main", valkey.url) as main:
        Follower(store, main, 2.0).sample()
    (sample,) = samples.latest(store, "main")
    assert sample.node == f"127.0.0.1:{valkey.port}"
    assert sample.values["keys"] == sample.values["keys_with_ttl"] == 1
    assert sample.values["used_memory"] > 0
    assert 0 < sample.values["answer_seconds"] < 10


def test_it_saves_a_sample_of_every_primary_of_a_cluster(store: Store, cluster: Cluster) -> None:
    with cache("clu", cluster.url) as clu:
        Follower(store, clu, 2.0).sample()
    found = samples.latest(store, "clu")
    assert {sample.node for sample in found} == {f"127.0.0.1:{server.port}" for server in cluster.servers}
    assert len({sample.at for sample in found}) == 1


def test_samples_stand_on_the_grid_of_the_clock(store: Store, valkey: Server) -> None:
    with cache("main", valkey.url) as main:
        Follower(store, main, 2.0).sample()
    (sample,) = samples.latest(store, "main")
    assert sample.at % 2.0 == 0
    assert sample.at <= sample.values["sampled_at"]


def test_two_workers_leave_one_sample_a_period(store: Store, valkey: Server) -> None:
    with cache("main", valkey.url) as one, cache("main", valkey.url) as two:
        for follower in (Follower(store, one, 3600.0), Follower(store, two, 3600.0)):
            follower.sample()
    assert len(samples.load(store, "main", time.time() - 7200)) in (1, 2)  # 2 only where the hour ends in between
    (latest,) = samples.latest(store, "main")
    assert latest.at % 3600 == 0


def test_it_goes_on_sampling_until_it_is_stopped(store: Store, valkey: Server) -> None:
    with cache("main", valkey.url) as main:
        sampler = Sampler(store, [main], PERIOD)
        sampler.start()
        wait_until(lambda: len(samples.load(store, "main", 0, resolution=samples.RAW)) >= 3)
        assert sampler.stop()
        count = len(samples.load(store, "main", 0, resolution=samples.RAW))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sampler")]
    assert len(samples.load(store, "main", 0, resolution=samples.RAW)) == count


def test_a_cache_that_hangs_delays_no_other(store: Store, valkey: Server) -> None:
    with closing(socket.socket()) as deaf:
        deaf.bind((HOST, 0))
        deaf.listen()
        hanging_url = f"redis://{HOST}:{deaf.getsockname()[1]}?timeout=30&connect_timeout=30"
        with cache("hanging", hanging_url) as hanging, cache("main", valkey.url) as main:
            sampler = Sampler(store, [hanging, main], PERIOD)
            sampler.start()
            wait_until(lambda: len(samples.load(store, "main", 0, resolution=samples.RAW)) >= 3)
            assert not sampler.stop()
    assert samples.latest(store, "hanging") == []


def test_it_says_once_that_a_server_is_gone_and_once_that_it_is_back(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dashboard.jobs.sampler")
    with running() as server, cache("main", server.url) as main:
        follower = Follower(store, main, 0.001)
        follower.sample_guarded()
        server.stop()
        for _ in range(3):
            follower.sample_guarded()
        server.restart()
        follower.sample_guarded()
        follower.sample_guarded()
        server.stop()
    assert [record.getMessage() for record in caplog.records] == [
        f"main 127.0.0.1:{server.port}: no sample: main cannot be reached.",
        f"main 127.0.0.1:{server.port}: sampled again",
    ]
    assert len(samples.load(store, "main", 0, resolution=samples.RAW)) == 3


def test_a_wrong_password_is_said_without_showing_it(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with running("--requirepass", "right") as server, cache("main", f"redis://:wr0ng@{HOST}:{server.port}") as main:
        Follower(store, main, 2.0).sample_guarded()
    assert "refuses the user name or password" in caplog.text
    assert "wr0ng" not in caplog.text


def test_a_cluster_that_cannot_be_reached_at_all_is_said(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with cache("clu", f"redis+cluster://{HOST}:{free_port()}") as clu:
        Follower(store, clu, 2.0).sample_guarded()
        Follower(store, clu, 2.0).sample_guarded()
    assert "clu: no sample: " in caplog.text


def test_a_lost_primary_leaves_the_samples_of_the_others(store: Store) -> None:
    lost = start_cluster(3)
    try:
        with cache("clu", f"{lost.url}?timeout=0.3&connect_timeout=0.3") as clu:
            follower = Follower(store, clu, 0.001)
            follower.sample_guarded()
            lost.servers[2].process.send_signal(signal.SIGSTOP)
            for _ in range(3):
                follower.sample_guarded()
            lost.servers[2].process.send_signal(signal.SIGCONT)
            wait_until(lambda: (follower.sample_guarded(), not follower._trouble)[1])
    finally:
        lost.stop()
    counts = [0, 0, 0]
    for sample in samples.load(store, "clu", 0, resolution=samples.RAW):
        counts[[server.port for server in lost.servers].index(int(sample.node.split(":")[1]))] += 1
    assert counts[0] == counts[1] >= 5
    assert 2 <= counts[2] <= counts[0] - 3


def test_a_server_that_loads_its_data_is_sampled_as_loading(store: Store) -> None:
    with running("--enable-debug-command", "yes") as server, closing(server.client()) as client:
        client.mset({f"key:{number}": "x" * 100 for number in range(20000)})
        client.config_set("key-load-delay", 500)
        client.config_set("loading-process-events-interval-bytes", 1024)
        with closing(server.client()) as reloading, cache("main", server.url) as main:
            thread = threading.Thread(target=lambda: reloading.execute_command("DEBUG", "RELOAD"))
            thread.start()
            follower = Follower(store, main, 0.001)

            def seen_loading() -> bool:
                follower.sample_guarded()
                return any(sample.values["loading"] for sample in samples.latest(store, "main"))

            wait_until(seen_loading)
            with closing(server.client()) as other:
                other.config_set("key-load-delay", 0)
            thread.join()
