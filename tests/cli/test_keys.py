"""`cachedeck keys`: every key once, on one line each whatever its bytes; a mistake is one sentence and no trace."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.cache.selecting.selection import glob_escape
from dashboard.cli.main import main
from tests.cache.broken import stopped
from tests.cache.hostile_keys import HOSTILE
from tests.programs import CACHEDECK, ROOT, environment
from tests.servers import HOST, Cluster, Server, free_port, start_cluster


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path))


@pytest.fixture
def shop(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The one cache that is configured, with a few keys."""
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    with valkey.client() as client:
        client.set("api:1", "v", ex=1000)
        client.set("api:2", "v")
        client.hset("sess:1", "f", "v")
    return valkey


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def listed(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_it_lists_every_key(shop: Server) -> None:
    result = run()
    assert result.exit_code == 0
    assert sorted(line.split()[-1] for line in result.stdout.splitlines()) == ["api:1", "api:2", "sess:1"]
    assert result.stderr == ""


def test_a_line_tells_type_ttl_and_memory(shop: Server) -> None:
    with_ttl, without = run("api:1").stdout.split(), run("sess:1").stdout.split()
    assert with_ttl[0] == "string"
    assert 900 < int(with_ttl[1].removesuffix("s")) <= 1000
    assert int(with_ttl[2]) > 0
    assert (without[0], without[1]) == ("hash", "-")


def test_json_gives_one_object_a_line(shop: Server) -> None:
    found = {row["key"]: row for row in listed(run("--json"))}
    assert set(found) == {"api:1", "api:2", "sess:1"}
    assert set(found["api:1"]) == {"key", "type", "ttl_ms", "memory", "idle"}
    assert found["api:1"]["type"] == "string"
    assert 900_000 < int(str(found["api:1"]["ttl_ms"])) <= 1_000_000
    assert found["sess:1"]["ttl_ms"] == -1


def test_conditions_are_understood_with_their_units(shop: Server) -> None:
    with shop.client() as client:
        client.set("big", "x" * 2_000_000)
    assert [row["key"] for row in listed(run("--ttl", "<20m", "--json"))] == ["api:1"]
    assert [row["key"] for row in listed(run("--ttl", "5m-1H", "--json"))] == ["api:1"]
    assert listed(run("--ttl", ">1h", "--json")) == []
    assert [row["key"] for row in listed(run("--size", ">1MB", "--json"))] == ["big"]


def test_it_filters_by_pattern_type_and_ttl(shop: Server) -> None:
    assert {row["key"] for row in listed(run("api:*", "--json"))} == {"api:1", "api:2"}
    assert [row["key"] for row in listed(run("--type", "hash", "--json"))] == ["sess:1"]
    assert [row["key"] for row in listed(run("--ttl", "any", "--json"))] == ["api:1"]
    assert [row["key"] for row in listed(run("api:*", "--ttl", "none", "--json"))] == ["api:2"]
    assert listed(run("nothing*", "--json")) == []
    assert listed(run("nothing", "--json")) == []


def test_it_filters_by_size(shop: Server) -> None:
    with shop.client() as client:
        client.set("big", "x" * 5000)
    assert [row["key"] for row in listed(run("--size", ">5000", "--json"))] == ["big"]
    assert {row["key"] for row in listed(run("--size", "<5000", "--json"))} == {"api:1", "api:2", "sess:1"}


def test_it_stops_at_a_limit(shop: Server) -> None:
    assert len(listed(run("--limit", "2", "--json"))) == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_key_stands_on_one_line_and_can_be_given_back(name: str, shop: Server) -> None:
    key = HOSTILE[name]
    with shop.client() as client:
        client.set(key, "v")
    shown = {str(row["key"]) for row in listed(run("--json"))}
    assert printable(key) in shown
    assert {from_printable(text) for text in shown} >= {key}
    assert len(run().stdout.splitlines()) == 4
    assert [row["key"] for row in listed(run("--json", "--", printable(glob_escape(key))))] == [printable(key)]


def test_it_lists_a_whole_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={cluster.url}")
    client = cluster.client()
    for number in range(50):
        client.set(f"k:{number}", "v")
    client.close()
    assert {row["key"] for row in listed(run("--json"))} == {f"k:{number}" for number in range(50)}


def test_it_wants_to_know_which_of_several_caches(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={shop.url} other={shop.url}/5")
    result = run()
    assert result.exit_code == 2
    assert "Say which cache with --cache: shop, other." in result.stderr
    assert len(listed(run("--cache", "shop", "--json"))) == 3
    assert listed(run("--cache", "other", "--json")) == []
    result = run("--cache", "third")
    assert result.exit_code == 2
    assert "No cache is named 'third'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ttl", "soon"], "A TTL filter is"),
        (["--size", "large"], "A size filter is"),
        (["--type", "no type"], "not the name of a type"),
        (["--limit", "-1"], "--limit"),
        (["a", "b"], "unexpected extra argument"),
        (["x" * 33_000], "more than 32768 bytes"),
    ],
)
def test_a_mistake_is_named(arguments: list[str], says: str, shop: Server) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_no_cache_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run()
    assert result.exit_code == 2
    assert "set CACHEDECK_CACHES" in result.stderr


def test_a_server_that_is_down_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://:hunter2@{HOST}:{free_port()}")
    result = run()
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: shop cannot be reached.")
    assert len(result.stderr.splitlines()) == 1
    assert "hunter2" not in result.output


def test_a_bad_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", "shop=redis://:hunter2@h?nonsense=1")
    result = run()
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: CACHEDECK_CACHES: The cache 'shop': the option 'nonsense' is not known")
    assert len(result.stderr.splitlines()) == 1
    assert "hunter2" not in result.output


def test_a_primary_that_is_lost_is_said_and_the_rest_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = start_cluster(3, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
    try:
        monkeypatch.setenv("CACHEDECK_CACHES", f"shop={cluster.url}?timeout=0.4&connect_timeout=0.4")
        client = cluster.client()
        for number in range(90):
            client.set(f"k:{number}", "v")
        client.close()
        with stopped(cluster.servers[2]):
            result = run("k:*", "--json")
        assert result.exit_code == 1
        assert 30 < len(result.stdout.splitlines()) < 90
        assert result.stderr.startswith(f"Not searched to the end: {HOST}:{cluster.servers[2].port}: ")
    finally:
        cluster.stop()


def _program(shop: Server, tmp_path: Path, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
    env = environment(tmp_path, CACHEDECK_CACHES=f"shop={shop.url}", **more)
    command = [*CACHEDECK, "keys", *arguments]
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_reader_that_has_seen_enough_ends_it_quietly(shop: Server, tmp_path: Path) -> None:
    with shop.client() as client:
        client.execute_command("EVAL", "for i = 1, 20000 do redis.call('SET', 'many:' .. i, 'v') end", 0)
    with _program(shop, tmp_path) as program:
        assert program.stdout
        assert program.stderr
        assert program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""


def test_a_terminal_that_knows_no_unicode_is_no_crash(shop: Server, tmp_path: Path) -> None:
    with shop.client() as client:
        client.set("caf\u00e9:\U0001f9c0", "v")
    with _program(shop, tmp_path, "caf*", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C") as program:
        out, err = program.communicate(timeout=300)
    assert (program.returncode, err) == (0, b"")
    assert out.splitlines()[0].endswith(
        (rb"caf\xe9:\U0001f9c0", b"caf\xc3\xa9:\xf0\x9f\xa7\x80", rb"caf\xc3\xa9:\xf0\x9f\xa7\x80")
    )
