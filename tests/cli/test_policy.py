"""`cachedeck policy`: what an operator sees, and what a script can rely on when it changes servers' settings."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dashboard.cli.main import main
from dashboard.settings import load_settings
from dashboard.store import audit, setting_changes, trials, workers
from dashboard.store.audit import Filters
from dashboard.store.engine import Store, open_store
from tests.programs import CACHEDECK, ROOT, environment, running, wait_until
from tests.servers import HOST, Cluster, Server, free_port, start

MB = 1024 * 1024


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def shop(valkey: Server, data: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    return valkey


@pytest.fixture
def three(cluster: Cluster, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={cluster.url}")
    yield cluster
    for server in cluster.servers:
        with server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    with contextlib.closing(open_store(load_settings().database)) as opened:
        yield opened


def policy(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["policy", *arguments], input=typed)


def told(result: Result, code: int = 0) -> dict[str, Any]:
    """The one JSON object of a command with --json."""
    assert result.exit_code == code, result.output
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def value(server: Server, name: str) -> str:
    with server.client(decode_responses=True) as client:
        return str(client.config_get(name)[name])


def test_it_shows_the_settings_and_judges_every_policy_of_the_server(shop: Server) -> None:
    with shop.client() as client:
        client.config_set("maxmemory", 64 * MB)
        client.config_set("maxmemory-policy", "allkeys-lru")
    lines = policy("show").stdout.splitlines()
    assert lines[0] == "shop: no samples yet."
    assert any(line.split() == ["maxmemory", "67108864", "(64", "MB)"] for line in lines)
    assert "Policies that the server knows:" in lines
    assert any(line.startswith("* allkeys-lru ") for line in lines)
    assert all(ord(letter) < 128 for line in lines for letter in line)


def test_it_shows_them_as_json(shop: Server) -> None:
    found = told(policy("show", "--json"))
    (node,) = found["nodes"]
    assert (found["cache"], found["editable"], found["policies_told"]) == ("shop", True, True)
    assert node["settings"]["maxmemory-policy"] == "noeviction"
    assert {one["name"] for one in found["policies"]} >= {"allkeys-lru", "noeviction", "volatile-ttl"}
    assert all(one["here"]["sentence"] for one in found["policies"])


def test_it_names_the_nodes_that_differ(three: Cluster) -> None:
    other = three.servers[1]
    with other.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
    lines = policy("show").stdout.splitlines()
    assert any(line.strip().startswith("allkeys-lfu on ") and line.endswith(str(other.port)) for line in lines)


def test_it_says_how_it_is_changed_where_it_cannot_be_here(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={shop.url}?read_only=yes")
    assert "declared read-only" in policy("show").stdout
    assert not told(policy("show", "--json"))["editable"]
    result = policy("set", "maxmemory-policy=allkeys-lru", "--yes")
    assert result.exit_code == 1
    assert "read-only" in result.stderr
    assert value(shop, "maxmemory-policy") == "noeviction"


def test_it_sets_what_is_said_on_every_primary_and_says_how_to_take_it_back(three: Cluster, store: Store) -> None:
    result = policy("set", "maxmemory-policy=allkeys-lfu", "--yes", "--reason", "scans")
    assert result.exit_code == 0, result.output
    assert "maxmemory-policy: noeviction -> allkeys-lfu" in result.stdout
    assert "Change 1: applied on 3 of 3 nodes." in result.stdout
    assert "To take it back: cachedeck policy rollback 1" in result.stdout
    assert [value(server, "maxmemory-policy") for server in three.servers] == ["allkeys-lfu"] * 3
    (change,) = setting_changes.of_cache(store, "shop")
    assert change.actor.startswith("cli:")
    (entry,) = audit.search(store, Filters(action="settings.change"))
    assert (entry.actor, entry.reason, entry.status) == (change.actor, "scans", "done")


def test_json_tells_what_came_of_each_node(shop: Server) -> None:
    result = policy("set", "maxmemory=64mb", "--yes", "--json")
    found = told(result)
    (node,) = found["nodes"]
    assert (found["state"], found["wanted"]) == ("applied", {"maxmemory": str(64 * MB)})
    assert (node["state"], node["before"], node["now"]) == ("applied", {"maxmemory": "0"}, {"maxmemory": str(64 * MB)})
    assert "maxmemory: 0 (no limit) -> 67108864 (64 MB)" in result.stderr


def test_what_is_there_already_is_no_change(shop: Server, store: Store) -> None:
    result = policy("set", "maxmemory-policy=noeviction", "--yes")
    assert result.exit_code == 5
    assert "already" in result.stderr
    assert setting_changes.of_cache(store, "shop") == []


def test_a_dry_run_changes_nothing(shop: Server, store: Store) -> None:
    found = told(policy("set", "maxmemory-policy=allkeys-lru", "--dry-run", "--json"))
    assert found["nodes"][0]["wanted"] == {"maxmemory-policy": "allkeys-lru"}
    assert value(shop, "maxmemory-policy") == "noeviction"
    assert setting_changes.of_cache(store, "shop") == []


@pytest.mark.parametrize(
    "typed",
    [
        "maxmemory=-1",
        "maxmemory=10eb",
        "maxmemory=",
        "maxmemory-policy=allkeys-lur",
        "maxmemory-samples=0",
        "maxmemory",
        "save=60",
        "notify-keyspace-events=KEA",
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(shop: Server, store: Store, typed: str) -> None:
    result = policy("set", typed, "--yes")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.output
    assert setting_changes.of_cache(store, "shop") == []


def test_a_setting_is_named_once(shop: Server) -> None:
    assert policy("set", "maxmemory=1gb", "maxmemory=2gb", "--yes").exit_code == 2


def test_what_would_do_harm_wants_a_word_of_its_own(shop: Server) -> None:
    with shop.client() as client:
        client.mset({f"key:{number}": "v" * 1000 for number in range(3000)})
    refused = policy("set", "maxmemory=500kb", "maxmemory-policy=allkeys-lru", "--yes")
    assert refused.exit_code == 3
    assert "--despite-warnings" in refused.stderr
    assert "! " in refused.stdout
    assert value(shop, "maxmemory") == "0"
    done = policy("set", "maxmemory=500kb", "maxmemory-policy=allkeys-lru", "--yes", "--despite-warnings")
    assert done.exit_code == 0, done.output
    assert value(shop, "maxmemory") == str(500 * 1024)


def test_without_a_terminal_it_wants_a_yes(shop: Server) -> None:
    for command in (["set", "maxmemory=1gb"], ["try", "maxmemory=1gb", "--for", "1m"], ["rollback", "1"], ["end", "1"]):
        result = policy(*command, typed="y\n")
        assert result.exit_code == 2
        assert "--yes" in result.stderr
    assert value(shop, "maxmemory") == "0"


def test_a_node_that_refuses_leaves_a_clear_state_and_a_way_back(
    three: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = sorted(server.port for server in three.servers)
    for server in three.servers:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all")
            if server.port == ports[-1]:
                client.execute_command("ACL", "SETUSER", "bob", "-config|set")
    url = three.url.replace("://", "://bob:pw@")
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={url}")
    result = policy("set", "maxmemory-policy=allkeys-lfu", "--yes")
    assert result.exit_code in (1, 4), result.output
    has = [value(server, "maxmemory-policy") for server in three.servers]
    if result.exit_code == 4:
        assert "cachedeck policy rollback 1" in result.stdout
        assert 0 < has.count("allkeys-lfu") < 3
        assert policy("rollback", "1", "--yes").exit_code == 0
    assert [value(server, "maxmemory-policy") for server in three.servers] == ["noeviction"] * 3


def test_a_rollback_gives_back_what_was_there(shop: Server) -> None:
    policy("set", "maxmemory-policy=allkeys-lru", "--yes")
    result = policy("rollback", "1", "--yes")
    assert result.exit_code == 0, result.output
    assert "back to maxmemory-policy=noeviction" in result.stdout
    assert value(shop, "maxmemory-policy") == "noeviction"
    assert policy("rollback", "1", "--yes").exit_code == 5
    assert policy("rollback", "99", "--yes").exit_code == 1


def test_a_rollback_goes_back_over_later_changes_where_that_is_asked_for(shop: Server) -> None:
    for change in ("maxmemory-policy=allkeys-lru", "maxmemory-policy=allkeys-lfu", "maxmemory=1gb"):
        assert policy("set", change, "--yes").exit_code == 0
    assert told(policy("rollback", "1", "--since", "--yes", "--despite-warnings", "--json"))["kind"] == "return"
    assert (value(shop, "maxmemory-policy"), value(shop, "maxmemory")) == ("noeviction", "0")


def test_persisting_writes_the_file(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "server.conf"
    file.write_text("maxmemory-policy noeviction\n")
    server = start(config=file)
    try:
        monkeypatch.setenv("CACHEDECK_CACHES", f"shop={server.url}")
        assert policy("set", "maxmemory-policy=allkeys-lru", "--yes").exit_code == 0
        assert "allkeys-lru" not in file.read_text()
        assert policy("set", "maxmemory-policy=allkeys-lru", "--persist", "--yes").exit_code == 0
        assert "maxmemory-policy allkeys-lru" in file.read_text()
    finally:
        server.stop()


def test_without_a_file_persisting_says_so(shop: Server) -> None:
    result = policy("set", "maxmemory-policy=allkeys-lru", "--persist", "--yes")
    assert result.exit_code == 4
    assert "did not write its configuration file" in result.stderr
    assert value(shop, "maxmemory-policy") == "allkeys-lru"


def test_the_history_tells_changes_and_trials(shop: Server, store: Store) -> None:
    assert "has changed no setting" in policy("history").stderr
    policy("set", "maxmemory-policy=allkeys-lru", "--yes", "--reason", "scans")
    workers.beat(store, "one")
    policy("try", "maxmemory=1gb", "--for", "1m", "--yes")
    lines = policy("history").stdout.splitlines()
    assert "maxmemory=1073741824 on 1 node" in lines[0]
    assert lines[1].endswith("change  applied  maxmemory-policy=allkeys-lru on 1 node  scans")
    assert lines[2].startswith("Trial 1, running: maxmemory=1073741824 until ")
    found = told(policy("history", "--json"))
    assert [one["number"] for one in found["changes"]] == [2, 1]
    assert [one["state"] for one in found["trials"]] == ["running"]
    assert len(told(policy("history", "--limit", "1", "--json"))["changes"]) == 1


def test_a_trial_wants_a_worker(shop: Server, store: Store) -> None:
    result = policy("try", "maxmemory-policy=allkeys-lfu", "--for", "1m", "--yes")
    assert result.exit_code == 1
    assert "No worker is running" in result.stderr
    assert value(shop, "maxmemory-policy") == "noeviction"
    assert trials.of_cache(store, "shop") == []


def test_a_trial_runs_and_says_what_ends_it(shop: Server, store: Store) -> None:
    workers.beat(store, "one")
    result = policy(
        *("try", "maxmemory-policy=allkeys-lfu", "--for", "30m", "--yes"),
        *("--hit-ratio-points", "2", "--evictions", "5000", "--p99-ms", "10"),
    )
    assert result.exit_code == 0, result.output
    assert "It is taken back before if the hit ratio falls by more than 2 points" in result.stdout
    assert "To end it: cachedeck policy end 1" in result.stdout
    (trial,) = trials.of_cache(store, "shop")
    assert trial.guards == {"hit_ratio_points": 2, "evictions": 5000, "p99_ms": 10}
    assert trial.seconds == 1800
    assert policy("set", "maxmemory-policy=allkeys-lru", "--yes").exit_code == 1  # the trial holds it
    assert policy("end", "1", "--yes").exit_code == 0
    assert value(shop, "maxmemory-policy") == "noeviction"
    again = policy("end", "1", "--yes")
    assert again.exit_code == 1
    assert "has ended" in again.stderr


def test_a_trial_is_kept_where_that_is_said(shop: Server, store: Store) -> None:
    workers.beat(store, "one")
    policy("try", "maxmemory-policy=allkeys-lfu", "--for", "30m", "--yes")
    assert told(policy("end", "1", "--keep", "--yes", "--json"))["state"] == "kept"
    assert value(shop, "maxmemory-policy") == "allkeys-lfu"


@pytest.mark.parametrize(
    "arguments",
    [["--for", "soon"], [], ["--for", "1m", "--hit-ratio-points", "-1"], ["--for", "1m", "--p99-ms", "nan"]],
)
def test_a_trial_that_makes_no_sense_is_refused(shop: Server, store: Store, arguments: list[str]) -> None:
    workers.beat(store, "one")
    assert policy("try", "maxmemory=1gb", "--yes", *arguments).exit_code == 2
    assert value(shop, "maxmemory") == "0"


def test_the_worker_takes_a_trial_back_that_was_begun_here(shop: Server, data: Path, store: Store) -> None:
    env = environment(data, CACHEDECK_CACHES=f"shop={shop.url}")
    with running([*CACHEDECK, "worker"], env):
        wait_until(lambda: workers.alive(store) == 1, "a worker")
        done = subprocess.run(
            [*CACHEDECK, "policy", "try", "maxmemory-policy=allkeys-lfu", "--for", "10s", "--yes"],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert value(shop, "maxmemory-policy") == "allkeys-lfu"
        wait_until(lambda: value(shop, "maxmemory-policy") == "noeviction", "the end of the trial")
        wait_until(lambda: not trials.of_cache(store, "shop")[0].open, "its end in the store")
    assert trials.of_cache(store, "shop")[0].state == "reverted"


def test_a_server_that_cannot_be_reached_ends_it_with_a_sentence(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://{HOST}:{free_port()}?connect_timeout=1")
    for command in (["show"], ["set", "maxmemory=1gb", "--yes"]):
        result = policy(*command)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert "Traceback" not in result.output


def test_what_a_server_says_moves_no_cursor(shop: Server, store: Store) -> None:
    nodes = [setting_changes.NodeChange("node", "node", {}, {}, "refused", {}, "\x1b[2J\rno\x9b")]
    asked = setting_changes.Asked("ada", "", "\x1b]0;title\x07")
    setting_changes.begin(store, "shop", "change", {"maxmemory": "1"}, nodes, asked)
    shown = policy("history").stdout
    assert not {letter for letter in shown if ord(letter) < 32 and letter != "\n"}
