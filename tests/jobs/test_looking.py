"""What the worker looks at once a minute: replicas' settings, the container, the file, the age of evicted keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs.looking import Looking
from dashboard.jobs.sampler import Follower
from dashboard.store import samples
from dashboard.store.engine import open_store
from tests.programs import wait_until
from tests.servers import HOST, Server, running, start


@contextmanager
def looked_at(server: Server, options: str = "") -> Iterator[Looking]:
    with closing(Cache(parse_target(f"main={server.url}{options}"))) as cache:
        yield Looking(cache)


def figures(looking: Looking) -> dict[str, float]:
    looking.look()
    (found,) = looking.figures.values()
    return dict(found)


@contextmanager
def replicated(*arguments: str) -> Iterator[tuple[Server, Server]]:
    with running() as primary, running("--replicaof", f"{HOST} {primary.port}", *arguments) as replica:
        with primary.client() as client:
            wait_until(lambda: client.info("replication").get("slave0", {}).get("state") == "online", "it replicates")
        yield primary, replica


def test_a_replica_with_another_policy_and_limit_is_counted() -> None:
    with replicated() as (primary, replica), looked_at(primary) as looking:
        same = figures(looking)
        assert "replicas_other_policy" not in same
        assert "replicas_other_maxmemory" not in same
        with replica.client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "100mb")
        other = figures(looking)
        assert (other["replicas_other_policy"], other["replicas_other_maxmemory"]) == (1, 1)


def test_settings_that_a_restart_would_lose_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "valkey.conf"
    file.write_text("maxmemory-policy allkeys-lru\n")
    server = start(config=file)
    try:
        with looked_at(server) as looking, server.client() as client:
            before = figures(looking).get("settings_unsaved", 0)
            client.config_set("maxmemory-policy", "allkeys-random")
            assert figures(looking)["settings_unsaved"] == before + 1
    finally:
        server.stop()


def test_the_limit_that_the_operator_says_is_told(valkey: Server) -> None:
    with looked_at(valkey, "?memory_limit=2gb") as looking:
        assert figures(looking)["memory_limit"] == 2 * 1024**3


def test_the_age_of_evicted_keys_is_told_while_memory_is_full() -> None:
    full = ("--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru")
    with running(*full) as server, server.client() as client, looked_at(server) as looking:
        assert "eviction_idle" not in figures(looking)
        with client.pipeline(transaction=False) as pipe:
            for number in range(8000):
                pipe.set(f"k:{number}", "x" * 1000)
            pipe.execute()
        assert 0 <= figures(looking)["eviction_idle"] < 60


def test_a_cache_that_cannot_be_reached_has_no_figures() -> None:
    with running() as server, looked_at(server, "?timeout=0.2&connect_timeout=0.2") as looking:
        figures(looking)
        server.stop()
        looking.look()
        assert looking.figures == {}


def test_a_user_without_config_get_is_told_of_replicas_by_info() -> None:
    with replicated() as (primary, replica):
        for server in (primary, replica):
            with server.client() as client:
                client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+@all", "-config")
        with replica.client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        target = parse_target(f"main=redis://bob:pw@{HOST}:{primary.port}")
        with closing(Cache(target)) as cache:
            looking = Looking(cache)
            assert figures(looking)["replicas_other_policy"] == 1


def test_it_goes_into_the_samples(valkey: Server, tmp_path: Path) -> None:
    import threading

    store = open_store(f"sqlite:///{tmp_path / 'c.db'}")
    stop = threading.Event()
    with closing(store), closing(Cache(parse_target(f"main={valkey.url}?memory_limit=2gb"))) as cache:
        thread = threading.Thread(target=Follower(store, cache, 0.1).follow, args=(stop,))
        thread.start()
        try:

            def told() -> bool:
                return any(one.values.get("memory_limit") == 2 * 1024**3 for one in samples.latest(store, "main"))

            wait_until(told, "the limit is in a sample")
        finally:
            stop.set()
            thread.join()


def test_a_look_is_taken_once_a_minute(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with looked_at(valkey, "?memory_limit=2gb") as looking:
        looking.look_if_due()
        wait_until(lambda: bool(looking.figures), "it has looked")
        looking.figures = {}
        looking.look_if_due()
        assert looking.figures == {}
        now = time.monotonic()
        monkeypatch.setattr("dashboard.jobs.looking.time.monotonic", lambda: now + 61)
        looking.look_if_due()
        monkeypatch.undo()
        wait_until(lambda: bool(looking.figures), "it has looked again")
