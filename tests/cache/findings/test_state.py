"""Findings about the state of servers, each on a real server."""

from __future__ import annotations

import shutil
import socket
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from redis import ResponseError

from dashboard.cache.findings import state as findings_state
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.statistics.picture import picture
from tests.cache.findings.looked import NOW, fill, now, paused, plain, said, taken, unsaid
from tests.programs import wait_until
from tests.servers import HOST, Server, running, start


def test_no_fresh_samples(valkey: Server) -> None:
    old = picture(NOW, 2.0, [taken(valkey, NOW - 60)], {}, {})
    assert plain(said("no-samples", old)) == "No sample for 60 s: is the worker running?"
    unsaid("no-samples", now(valkey))


def test_a_primary_that_does_not_answer_while_others_do(valkey: Server) -> None:
    with running() as other:
        last = replace(taken(other), at=NOW - 30)
        assert "No answer from" in said("no-answer", picture(NOW, 2.0, [taken(valkey), last], {}, {})).sentence
        unsaid("no-answer", now(valkey, other))


def test_loading(tmp_path: Path) -> None:
    server = start(folder=tmp_path)
    try:
        fill(server, 20_000, size=100)
        unsaid("loading", now(server))
        with server.client() as client:
            client.save()
        server.arguments = ("--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024")
        server.restart()
        seen = now(server)
        assert "is being loaded" in said("loading", seen).sentence
    finally:
        server.stop()


def test_started_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as server:
        assert said("restarted", now(server)).sentence.startswith("Started ")
        # Nobody waits five minutes for the other case.
        monkeypatch.setattr(findings_state, "WINDOW_SECONDS", 0.0)
        unsaid("restarted", now(server))


def test_a_link_that_is_down_and_one_that_is_up() -> None:
    with running() as primary, running("--replicaof", f"{HOST} {primary.port}") as replica:
        wait_until(lambda: taken(replica).get("primary_link") == 1, "it replicates")
        unsaid("link-down", now(replica))
        said("is-replica", now(replica))
        unsaid("is-replica", now(primary))
        primary.stop()
        wait_until(lambda: taken(replica).get("primary_link") == 0, "the link is down")
        assert said("link-down", now(replica)).level == "critical"


def test_a_replica_that_is_not_in_sync() -> None:
    with running("--repl-diskless-sync-delay", "60") as primary:
        unsaid("replica-not-in-sync", now(primary))
        with closing(socket.create_connection((HOST, primary.port), 5)) as line:
            line.sendall(b"REPLCONF capa eof\r\n")
            assert line.recv(100) == b"+OK\r\n"  # PSYNC is refused while a reply waits
            line.sendall(b"PSYNC ? -1\r\n")
            wait_until(lambda: taken(primary).get("connected_slaves") == 1, "it asks for the data set")
            assert "1 replica not in sync" in plain(said("replica-not-in-sync", now(primary)))


def test_a_replica_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings_state, "LAG_SECONDS", 1.0)
    with running() as primary, running("--replicaof", f"{HOST} {primary.port}") as replica:
        wait_until(lambda: taken(primary).get("replicas_online") == 1, "it replicates")
        unsaid("replica-late", now(primary))
        with paused(replica):
            wait_until(lambda: taken(primary).get("replica_lag") > 1, "it is late")
            assert "behind" in said("replica-late", now(primary)).sentence


def test_a_snapshot_and_an_append_file_that_fail(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    log = tmp_path / "log"
    log.touch()
    server = start(folder=folder)
    try:
        fill(server, 10)
        unsaid("snapshot-failed", now(server))
        unsaid("append-file-failed", now(server))
        with server.client() as client:
            shutil.rmtree(folder)
            client.bgsave()
            wait_until(lambda: taken(server).get("rdb_ok") == 0, "the snapshot has failed")
            assert said("snapshot-failed", now(server)).level == "critical"
    finally:
        server.stop()


def test_an_append_file_that_is_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    server = start("--appendonly", "yes", folder=folder)
    try:
        wait_until(lambda: taken(server).get("aof_enabled") == 1, "it appends")
        unsaid("append-file-failed", now(server))
        with server.client() as client:
            shutil.rmtree(folder)
            with suppress(ResponseError):
                client.bgrewriteaof()
            wait_until(lambda: taken(server).get("aof_ok") == 0, "the rewrite has failed")
        assert said("append-file-failed", now(server)).level == "critical"
    finally:
        server.stop()


def test_commands_that_are_denied(valkey: Server) -> None:
    with running() as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+@all", "-config")
        with closing(Cache(parse_target(f"main=redis://bob:pw@{HOST}:{server.port}"))) as cache:
            denied = cache.capabilities().denied
        assert "CONFIG" in said("denied", replace(now(server), denied=denied)).sentence
        unsaid("denied", now(server))
