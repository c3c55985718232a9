"""`cachedeck export`: JSON lines that say at their end whether they are all, in a file that nobody else can read."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dashboard.cli.main import main
from dashboard.settings import load_settings
from dashboard.store import audit
from dashboard.store.audit import Filters
from dashboard.store.engine import open_store
from tests.cache.broken import stopped
from tests.programs import CACHEDECK, ROOT, environment
from tests.servers import HOST, Server, free_port, start_cluster


@pytest.fixture
def shop(valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    with valkey.client() as client:
        client.set("api:1", "v", ex=1000)
        client.set("api:2", b"\xff")
        client.hset("sess:1", "f", "v")
    return valkey


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["export", *arguments], input=typed)


def lines(text: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Keys by name, and what the last line says."""
    *rows, last = [json.loads(line) for line in text.splitlines()]
    return {row["key"]: row for row in rows}, last["end"]


def test_it_writes_every_key_and_says_that_it_is_complete(shop: Server) -> None:
    result = run()
    assert result.exit_code == 0
    found, end = lines(result.stdout)
    assert end == {"complete": True, "keys": 3, "dumps": 0, "left_out": 0, "gone": 0}
    assert {name: row["value"] for name, row in found.items()} == {
        "api:1": "v",
        "api:2": {"base64": "/w=="},
        "sess:1": [["f", "v"]],
    }
    assert 900_000 < found["api:1"]["ttl_ms"] <= 1_000_000


def test_it_takes_what_is_selected(shop: Server) -> None:
    assert lines(run("api:*").stdout)[0].keys() == {"api:1", "api:2"}
    assert lines(run("--type", "hash").stdout)[0].keys() == {"sess:1"}
    assert lines(run("--keys-from", "-", typed="api:1\nno such key\n").stdout)[0].keys() == {"api:1"}
    assert lines(run("nothing:*").stdout) == ({}, {"complete": True, "keys": 0, "dumps": 0, "left_out": 0, "gone": 0})


def test_it_writes_dumps(shop: Server) -> None:
    found, end = lines(run("api:1", "--dump").stdout)
    assert end["dumps"] == 1
    assert "value" not in found["api:1"]


def test_a_file_is_closed_to_others_and_written_over(shop: Server, tmp_path: Path) -> None:
    output = tmp_path / "keys.jsonl"
    output.write_text("old" * 10_000)
    output.chmod(0o644)
    for _ in range(2):
        result = run("--output", str(output))
        assert (result.exit_code, result.stdout) == (0, "")
        assert output.stat().st_mode & 0o777 == 0o600
        assert len(lines(output.read_text())[0]) == 3
        output.unlink()


def test_a_file_that_cannot_be_written_is_named(shop: Server, tmp_path: Path) -> None:
    result = run("--output", str(tmp_path / "no" / "folder"))
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory." in result.stderr


def test_it_is_audited_without_names_or_values(shop: Server) -> None:
    run("api:*", "--reason", "ticket 4711")
    with contextlib.closing(open_store(load_settings().database)) as store:
        (entry,) = audit.search(store, Filters(action="keys.export"))
    assert entry.actor.startswith("cli:")
    assert (entry.cache, entry.subject, entry.reason, entry.status) == (
        "shop",
        "keys of api:*",
        "ticket 4711",
        "done",
    )
    assert entry.after == {"dump": False, "keys": 2, "dumps": 0, "left_out": 0, "gone": 0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["api:*", "--keys-from", "-"], "not by both"),
        (["--keys-from", "-"], "An empty list never means all keys."),
        (["--ttl", "soon"], "A TTL filter is"),
    ],
)
def test_a_mistake_is_named(arguments: list[str], says: str, shop: Server) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_server_that_is_down_is_one_sentence(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://:hunter2@{HOST}:{free_port()}")
    result = run()
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: shop cannot be reached.")
    assert "hunter2" not in result.output


def test_a_primary_that_is_lost_is_said_and_the_rest_is_written(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.cache.exporting.run.PATIENCE_SECONDS", 0.0)
    cluster = start_cluster(3, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
    try:
        monkeypatch.setenv("CACHEDECK_CACHES", f"shop={cluster.url}?timeout=0.4&connect_timeout=0.4")
        client = cluster.client()
        for number in range(90):
            client.set(f"k:{number}", "v")
        client.close()
        with stopped(cluster.servers[2]):
            result = run("k:*")
        assert result.exit_code == 1
        found, end = lines(result.stdout)
        assert 30 < len(found) < 90
        assert end["complete"] is False
        assert str(cluster.servers[2].port) in end["why"]
        assert end["why"] in result.stderr
    finally:
        cluster.stop()


def _program(shop: Server, tmp_path: Path) -> subprocess.Popen[bytes]:
    with shop.client() as client:
        client.execute_command("EVAL", "for i = 1, 60000 do redis.call('SET', 'many:' .. i, 'v') end", 0)
    # At this share it takes a minute, so that it is in the midst of it whenever it is disturbed.
    env = environment(tmp_path, CACHEDECK_CACHES=f"shop={shop.url}", CACHEDECK_WALK_HOLD_MS="0.1")
    env["CACHEDECK_WALK_SHARE"] = "0.05"
    pipe = subprocess.PIPE
    return subprocess.Popen([*CACHEDECK, "export"], env=env, cwd=ROOT, bufsize=0, stdout=pipe, stderr=pipe)


def test_ctrl_c_ends_it_with_what_it_has(shop: Server, tmp_path: Path) -> None:
    with _program(shop, tmp_path) as program:
        assert program.stdout
        begun = program.stdout.readline()
        program.send_signal(signal.SIGINT)
        rest, errors = program.communicate(timeout=300)
    assert program.returncode == 130
    assert errors == b"Stopped by Ctrl-C.\n"
    _, end = lines((begun + rest).decode())
    assert (end["complete"], end["why"]) == (False, "Stopped by Ctrl-C.")
    assert 0 < end["keys"] < 60_000


def test_a_reader_that_has_seen_enough_ends_it_quietly(shop: Server, tmp_path: Path) -> None:
    with _program(shop, tmp_path) as program:
        assert program.stdout
        assert program.stderr
        assert program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
