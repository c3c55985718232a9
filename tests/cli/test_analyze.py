"""`cachedeck analyze` on real servers: the figures of a plain count, and bad weather in a sentence."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from dashboard.cache.analysis import run as analysis
from dashboard.cache.analysis.slots import BUCKETS, TTL_LABELS, slot_of
from dashboard.cache.selecting.fold import namespace_of
from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.cli.main import main
from dashboard.store import ttl_rules
from dashboard.store.engine import open_store
from tests.cache.broken import stopped
from tests.cache.hostile_keys import HOSTILE
from tests.programs import CACHEDECK, ROOT, environment, wait_until
from tests.servers import HOST, Cluster, Server, free_port, running, start_cluster

MANY = 60_000


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path))


@pytest.fixture
def shop(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """The one cache that is configured, and a client for what lies in it."""
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    with valkey.client() as client:
        yield client


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["analyze", *arguments])


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    """What `--json` says."""
    result = run("--json", *arguments)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def furnish(client: Any) -> None:
    """Every type, several namespaces, and TTLs in the middle of their buckets: none changes it while it is counted."""
    for number in range(300):
        client.set(f"api:user:{number}", "x" * number, ex=(None, 100, 2000, 10_000, 300_000)[number % 5])
        client.set(f"api:user:{number}:posts", number)
        client.set(f"api:search:q=tea&page={number}", "y" * 500, ex=120)
    for number in range(40):
        client.hset(f"sess:{number:x}", mapping={f"f{field}": "v" for field in range(number + 1)})
        client.expire(f"sess:{number:x}", 600)
        client.rpush(f"queue:{number}", *range(number + 1))
        client.sadd(f"tags:{number}", *(f"t{tag}" for tag in range(number + 1)))
        client.zadd(f"board:{number}", {f"p{player}": player for player in range(200)})
        client.xadd(f"events:{number}", {"a": "b"})


def nodes(cache: Any) -> list[redis.Redis]:
    """A client for each server."""
    return [server.client() for server in cache.servers] if isinstance(cache, Cluster) else [cache]


class Count:
    """The same figures by asking about one key after the other."""

    def __init__(self, clients: list[redis.Redis], pattern: str = "*") -> None:
        self.keys = self.memory = self.without = self.without_memory = 0
        self.ttl, self.types, self.encodings = Counter[str](), Counter[str](), Counter[str]()
        self.namespaces, self.bytes = Counter[str](), Counter[str]()
        self.sizes: list[int] = []
        for client in clients:
            for key in client.scan_iter(match=pattern, count=1000):
                self._add(client, key)

    def _add(self, client: redis.Redis, key: bytes) -> None:
        size, left = client.memory_usage(key) or 0, client.pttl(key)
        self.keys += 1
        self.memory += size
        self.sizes.append(size)
        if left < 0:
            self.without += 1
            self.without_memory += size
        else:
            self.ttl[TTL_LABELS[BUCKETS[slot_of(left)]]] += 1
        kind, encoding = client.type(key).decode(), client.object("encoding", key).decode()
        self.types[kind] += 1
        self.encodings[f"{kind} {encoding}"] += 1
        name = printable(namespace_of(key, b":"))
        self.namespaces[name] += 1
        self.bytes[name] += size


def agrees(found: dict[str, Any], count: Count) -> None:
    """Every total and every group, as plain integers."""
    assert found["complete"] is True
    assert (found["keys"], found["memory"]) == (count.keys, count.memory)
    assert (found["without_ttl"], found["without_ttl_memory"]) == (count.without, count.without_memory)
    for part, counted in (("types", count.types), ("encodings", count.encodings), ("ttl", count.ttl)):
        assert {row["name"]: row["keys"] for row in found[part] if row["keys"]} == dict(counted), part
    assert {row["name"]: row["keys"] for row in found["namespaces"]} == dict(count.namespaces)
    assert {row["name"]: row["memory"] for row in found["namespaces"]} == dict(count.bytes)
    assert [key["memory"] for key in found["biggest"]] == sorted(count.sizes, reverse=True)[: len(found["biggest"])]
    assert found["sizes"]["largest"] == max(count.sizes)


def test_exact_counts_are_plain_integers(shop: redis.Redis) -> None:
    shop.set("api:1", "v", ex=1000)
    shop.set("api:2", "v")
    found = told()
    assert (found["cache"], found["keys"], found["without_ttl"], found["total"]) == ("shop", 2, 1, 2)
    assert found["complete"] is True
    assert found["stopped"] == ""
    assert type(found["keys"]) is type(found["memory"]) is int
    assert [(row["name"], row["keys"]) for row in found["namespaces"]] == [("api:*", 2)]


def test_it_says_what_a_plain_count_says(shop: redis.Redis) -> None:
    furnish(shop)
    agrees(told(), Count(nodes(shop)))


def test_it_says_the_same_of_a_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={cluster.url}")
    with closing(cluster.client()) as client:
        furnish(client)
    found = told()
    agrees(found, Count(nodes(cluster)))
    assert found["primaries"] == 3


@pytest.mark.parametrize("pattern", ["api:user:*", "api:user:1", "*:posts"])
def test_it_says_it_of_the_keys_of_a_pattern(pattern: str, shop: redis.Redis) -> None:
    furnish(shop)
    found = told(pattern)
    assert found["selection"]["pattern"] == pattern
    agrees(found, Count(nodes(shop), pattern))


def test_it_filters_by_type_ttl_and_size(shop: redis.Redis) -> None:
    furnish(shop)
    assert [row["name"] for row in told("--type", "hash")["types"]] == ["hash"]
    assert told("--ttl", "none")["keys"] == told()["without_ttl"]
    assert told("api:search:*", "--ttl", "60-300")["keys"] == 300
    found = told("api:search:*", "--ttl", "1m-5m", "--size", ">0.1kb")
    assert (found["keys"], found["selection"]["ttl"], found["selection"]["size"]) == (300, "60-300", ">102")
    large = [size for size in Count(nodes(shop)).sizes if size > 1000]
    found = told("--size", ">1000")
    assert (found["keys"], found["memory"]) == (len(large), sum(large))


def test_an_empty_cache_has_no_keys(shop: redis.Redis) -> None:
    found = told()
    assert (found["keys"], found["complete"], found["namespaces"]) == (0, True, [])
    result = run()
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "No keys.")


@pytest.mark.parametrize("pattern", ["nothing:*", "nothing"])
def test_a_pattern_that_matches_nothing_has_no_keys(pattern: str, shop: redis.Redis) -> None:
    shop.set("api:1", "v")
    assert told(pattern)["keys"] == 0
    assert run(pattern).stdout.splitlines()[0] == "No keys."


def test_the_tables_show_it(shop: redis.Redis) -> None:
    furnish(shop)
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{shop.dbsize():,} keys, ")
    assert "Exact: every key was examined" in result.stdout
    assert "+-" not in result.stdout
    assert "api:user:*:posts" in result.stdout


def test_top_bounds_the_tables(shop: redis.Redis) -> None:
    furnish(shop)
    found = told("--top", "2")
    assert [len(found[part]) for part in ("namespaces", "biggest")] == [2, 2]
    assert f"... and {found['namespaces_found'] - 2} more" in run("--top", "2").stdout


@contextmanager
def user(client: redis.Redis, *rights: str) -> Iterator[str]:
    """The user part of a URL: one who may read everything, but for what the rights take away."""
    allowed = ("on", ">secret", "~*", "+@all", "-@dangerous", "+info", *rights)
    client.execute_command("ACL", "SETUSER", "analyst", "reset", *allowed)
    yield "analyst:secret@"
    client.execute_command("ACL", "DELUSER", "analyst")


@pytest.mark.parametrize("denied", ["eval eval_ro evalsha evalsha_ro", "memory|usage", "object|encoding", "pttl"])
def test_what_is_denied_is_left_out_and_said(
    denied: str, shop: redis.Redis, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(shop)
    count = Count(nodes(shop))
    with user(shop, *(f"-{command}" for command in denied.split())) as who:
        monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://{who}{HOST}:{valkey.port}")
        found = told()
        text = run().stdout
    assert (found["keys"], found["complete"]) == (count.keys, True)
    assert {row["name"]: row["keys"] for row in found["namespaces"]} == dict(count.namespaces)
    if denied.startswith("eval"):
        agrees(found, count)  # slower, but nothing is missing
        assert found["method"] == "pipelines"
        assert any("EVAL" in sentence for sentence in found["missing"])
        return
    assert found["method"] == "script"
    named = {"memory|usage": "MEMORY USAGE", "object|encoding": "OBJECT", "pttl": "PTTL"}[denied]
    assert any(named in sentence for sentence in found["missing"]), found["missing"]
    assert all(sentence in text for sentence in found["missing"])
    assert (found["memory"] is None) == (named == "MEMORY USAGE")
    assert bool(found["encodings"]) == (named != "OBJECT")
    assert (found["without_ttl"], bool(found["ttl"])) == ((None, False) if named == "PTTL" else (count.without, True))
    assert ("never expire" in text) == (named != "PTTL")


def test_a_read_only_cache_can_be_analysed(shop: redis.Redis, valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(shop)
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}?read_only=yes")
    agrees(told(), Count(nodes(shop)))


def test_replicas_are_asked_in_place_of_primaries(shop: redis.Redis, valkey: Server) -> None:
    furnish(shop)
    with running("--replicaof", f"{HOST} {valkey.port}") as server, server.client() as replica:
        wait_until(lambda: _in_step(shop, replica), "the replica is in step")
        count = Count(nodes(replica))  # a copy takes other memory than what has grown
        replica.config_resetstat()
        agrees(told("--replicas"), count)
        assert replica.info("commandstats")["cmdstat_pttl"]["calls"] >= count.keys


def _in_step(primary: redis.Redis, replica: redis.Redis) -> bool:
    facts = primary.info("replication")
    online = facts["connected_slaves"] == 1 and facts["slave0"]["state"] == "online"
    return online and replica.dbsize() == primary.dbsize()


def test_names_of_any_bytes_can_be_given_back(shop: redis.Redis) -> None:
    for key in HOSTILE.values():
        shop.set(key, "v")
    shop.set(b"\xff\x00" * 50_000, "large name")
    shop.set("k" * 100_000, "large name")
    count = Count(nodes(shop))
    found = told()
    agrees(found, count)
    for key in found["biggest"]:
        whole = from_printable(key["name"])
        assert shop.exists(whole) or any(name.startswith(whole) for name in shop.scan_iter()) or key["cut"]
    text = run().stdout
    assert max(map(len, text.splitlines())) < 400
    assert "\x00" not in text


def test_rules_are_those_of_the_store(shop: redis.Redis, tmp_path: Path) -> None:
    for number in range(10):
        shop.set(f"till:{number}", "v", ex=(None, 5, 50, 500)[number % 4])
    with closing(open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")) as store:
        ttl_rules.create(store, ttl_rules.Draft("shop", b"till:*", 10, 100, "a till is counted each minute"))
    assert told()["rules"] == []
    row = next(row for row in told("--rules")["rules"] if row["pattern"] == "till:*")
    assert [row[name] for name in ("inside", "below", "above", "without_ttl")] == [2, 3, 2, 3]
    assert row["reason"] == "a till is counted each minute"
    assert "till:*  (a till is counted each minute)" in run("--rules").stdout


def fill(client: redis.Redis, count: int = MANY) -> None:
    script = "for i = ARGV[1], ARGV[1] + 9999 do redis.call('SET', 'many:' .. (i % 7) .. ':' .. i, 'v') end"
    for start in range(0, count, 10_000):
        client.execute_command("EVAL", script, 0, start)


def test_after_the_seconds_it_says_what_it_knows_as_estimates(shop: redis.Redis) -> None:
    fill(shop)
    found = told("--seconds", "0.05", "--share", "0.01")
    assert found["complete"] is False
    assert found["stopped"] == "Stopped after 0.05 s, as asked for."
    assert 0 < found["examined"] < found["total"] == MANY
    for row in found["namespaces"]:
        assert set(row["keys"]) == {"value", "low", "high"}
        assert row["keys"]["low"] <= row["keys"]["value"] <= row["keys"]["high"]
    result = run("--seconds", "0.05", "--share", "0.01")
    assert (result.exit_code, result.stderr) == (0, "Stopped after 0.05 s, as asked for.\n")
    assert f"of {MANY:,} keys, with 95 % intervals" in result.stdout


@contextmanager
def in_a_terminal(tmp_path: Path, server: Server, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The program, whose standard error is a terminal, and what that terminal shows."""
    shown, terminal = pty.openpty()
    env = environment(tmp_path, CACHEDECK_CACHES=f"shop={server.url}")
    command = [*CACHEDECK, "analyze", *arguments]
    try:
        with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal) as process:
            os.close(terminal)
            try:
                yield process, shown
            finally:
                process.kill()
    finally:
        os.close(shown)


def seen(terminal: int, text: bytes) -> bytes:
    """Read from the terminal until it has shown a text."""
    said = b""
    while text not in said:
        said += os.read(terminal, 4096)
    return said


def test_ctrl_c_shows_what_is_known_so_far(shop: redis.Redis, valkey: Server, tmp_path: Path) -> None:
    fill(shop)
    with in_a_terminal(tmp_path, valkey, "--share", "0.01", "--json") as (process, terminal):
        line = seen(terminal, b"% of the time")
        assert f" of {MANY:,} keys, ".encode() in line
        process.send_signal(signal.SIGINT)
        assert process.stdout
        found = json.loads(process.stdout.read())
        assert seen(terminal, b"Stopped by Ctrl-C.")
        assert process.wait(120) == 130
    assert found["stopped"] == "Stopped by Ctrl-C."
    assert found["complete"] is False
    assert 0 < found["examined"] < MANY
    assert {type(row["keys"]) for row in found["namespaces"]} == {dict}


def test_a_pipe_gets_no_progress(shop: redis.Redis, valkey: Server, tmp_path: Path) -> None:
    shop.set("k", "v")
    env = environment(tmp_path, CACHEDECK_CACHES=f"shop={valkey.url}")
    done = subprocess.run([*CACHEDECK, "analyze"], check=False, env=env, cwd=ROOT, capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"1 key, ")


def test_a_lost_primary_is_said_and_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "PATIENCE_SECONDS", 1.0)
    cluster = start_cluster(3, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
    try:
        monkeypatch.setenv("CACHEDECK_CACHES", f"shop={cluster.url}?timeout=0.4&connect_timeout=0.4")
        with closing(cluster.client()) as client:
            for number in range(90):
                client.set(f"k:{number}", "v")
        with stopped(cluster.servers[2]):
            result = run("--json")
        found = json.loads(result.stdout)
        assert result.exit_code == 1
        assert found["complete"] is False
        assert list(found["lost"]) == [f"{HOST}:{cluster.servers[2].port}"]
        assert result.stderr.startswith(f"Not examined to the end: {HOST}:{cluster.servers[2].port}: ")
        assert 30 < found["examined"] < 90
    finally:
        cluster.stop()


def test_a_server_that_gets_fuller_ends_it(shop: redis.Redis, valkey: Server, tmp_path: Path) -> None:
    fill(shop)
    with in_a_terminal(tmp_path, valkey, "--share", "0.01") as (process, terminal):
        seen(terminal, b"% of the time")
        shop.setrange("fat", 100_000_000, "x")  # 100 MB at once
        said = seen(terminal, b"more memory than when this began")
        assert process.stdout
        assert b"with 95 % intervals" in process.stdout.read()
        assert process.wait(120) == 1
    assert b"Stopped by itself: " in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ttl", "soon"], "A TTL filter is"),
        (["--size", "large"], "A size filter is"),
        (["--share", "2"], "--share"),
        (["--seconds", "0"], "--seconds"),
        (["--top", "0"], "--top"),
        (["--cache", "other"], "No cache is named 'other'"),
    ],
)
def test_a_mistake_is_named(arguments: list[str], says: str, shop: redis.Redis) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_a_server_that_is_down_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://:hunter2@{HOST}:{free_port()}")
    result = run("--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: shop cannot be reached.")
    assert "hunter2" not in result.output
