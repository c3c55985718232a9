"""`cachedeck invalidate` and `cachedeck undo`: what a deploy script can rely on, and what a mistake cannot do."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dashboard.cli.main import main
from dashboard.jobs import invalidating
from dashboard.settings import load_settings
from dashboard.store import audit, invalidations, jobs
from dashboard.store.audit import Filters
from dashboard.store.engine import Store, open_store
from dashboard.views.api.told import told as api
from tests.programs import CACHEDECK, ROOT, environment, wait_until
from tests.servers import HOST, Server, free_port

SECONDS = 300.0


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def shop(valkey: Server, data: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The one cache that is configured, with 30 keys of api: and one of sess:."""
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    with valkey.client() as client:
        for number in range(30):
            client.set(f"api:{number}", f"value {number}", ex=1000)
        client.hset("sess:1", "f", "v")
    return valkey


@pytest.fixture
def store(shop: Server, data: Path) -> Iterator[Store]:
    data.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(open_store(load_settings().database)) as opened:
        yield opened


def run(*arguments: str, typed: str | bytes = "") -> Result:
    return CliRunner().invoke(main, arguments, input=typed)


def invalidate(*arguments: str, typed: str | bytes = "") -> Result:
    return run("invalidate", *arguments, typed=typed)


def told(result: Result, code: int = 0) -> dict[str, Any]:
    """The one JSON object of a command with --json."""
    assert result.exit_code == code, result.output
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def names(server: Server) -> set[bytes]:
    with server.client() as client:
        return set(client.scan_iter())


def test_it_removes_what_matches_and_prints_the_number_of_its_plan(shop: Server) -> None:
    result = invalidate("api:*", "--yes")
    assert result.exit_code == 0
    first, second, *_ = result.stdout.splitlines()
    assert first == "Plan 1, shop: keys of api:*, removed at once."
    assert second.startswith("30 keys, ")
    assert "Removed 30 keys, " in result.stdout
    assert "To take it back: cachedeck undo 1 (until " in result.stdout
    assert names(shop) == {b"sess:1"}


def test_undo_brings_everything_back(shop: Server) -> None:
    before = names(shop)
    number = told(invalidate("api:*", "--yes", "--json"))["number"]
    result = run("undo", str(number), "--yes")
    assert result.exit_code == 0
    assert "Brought back 30 keys, " in result.stdout
    assert names(shop) == before
    with shop.client() as client:
        assert client.get("api:7") == b"value 7"
        assert 900 < client.ttl("api:7") <= 1000


def test_undo_brings_a_part_back(shop: Server) -> None:
    invalidate("api:*", "--yes")
    undo = told(run("undo", "1", "--pattern", "api:1*", "--yes", "--json"))["undo"]
    assert (undo["restored"], undo["other"]) == (11, 19)
    assert names(shop) == {b"sess:1", b"api:1", *(b"api:%d" % number for number in range(10, 20))}
    assert run("undo", "1", "--pattern", "nothing:*", "--yes").exit_code == 5


def test_undo_leaves_what_was_written_since(shop: Server) -> None:
    invalidate("api:*", "--yes")
    with shop.client() as client:
        client.set("api:3", "new")
    result = run("undo", "1", "--yes")
    assert result.exit_code == 0
    assert "1 key: exist again or were changed since, and are left as they are." in result.stdout
    assert "  api:3: " in result.stdout
    with shop.client() as client:
        assert client.get("api:3") == b"new"


def test_a_dry_run_changes_nothing(shop: Server, store: Store) -> None:
    before = names(shop)
    found = told(invalidate("api:*", "--dry-run", "--json"))
    assert (found["state"], found["plan"]["keys"]["value"], found["result"]) == ("planned", 30, None)
    assert names(shop) == before
    assert invalidations.get(store, found["number"]) is not None


def test_json_tells_what_was_done(shop: Server) -> None:
    found = told(invalidate("api:*", "--yes", "--json", "--reason", "deploy 4711"))
    assert (found["number"], found["cache"], found["state"], found["reason"]) == (1, "shop", "done", "deploy 4711")
    assert found["selection"] == {"pattern": "api:*", "listed": None, "type": "", "ttl": "", "size": ""}
    assert (found["mode"], found["vault"], found["restorable"], found["problem"]) == ("now", True, 30, None)
    counts = {name: found["result"][name] for name in ("found", "removed", "kept", "drift")}
    assert counts == {"found": 30, "removed": 30, "kept": 30, "drift": 0}


def test_json_says_what_the_api_says(shop: Server, store: Store) -> None:
    invalidate("api:*", "--pace", "10000", "--channel", "c", "--yes", "--reason", "deploy")
    ours = told(run("undo", "1", "--yes", "--json"))
    standing = invalidating.current(store, load_settings(), 1)
    assert standing is not None
    apis = api(standing).model_dump(mode="json")
    assert {name: apis[name] for name in ours} == ours
    only_there = {"source", "created_at", "expires_at", "examined", "total"}
    assert apis.keys() - ours.keys() == only_there


def test_it_stands_in_the_audit_trail_in_the_name_of_who_called(shop: Server, store: Store) -> None:
    invalidate("api:*", "--yes", "--reason", "deploy 4711")
    run("undo", "1", "--yes", "--reason", "no good")
    found = audit.search(store, Filters())
    assert {entry.actor.partition(":")[0] for entry in found} == {"cli"}
    assert {entry.status for entry in found} == {"done"}
    acts = {entry.action: entry.reason for entry in found}
    assert acts["keys.invalidate"] == "deploy 4711"
    assert acts["keys.undo"] == "no good"


def test_gently_and_stale_lower_ttls_and_remove_nothing(shop: Server) -> None:
    before = names(shop)
    assert told(invalidate("sess:*", "--gently", "5m", "--yes", "--json"))["seconds"] == 300
    assert told(invalidate("api:*", "--stale", "90", "--yes", "--json"))["mode"] == "stale"
    assert names(shop) == before
    with shop.client() as client:
        assert 0 < client.pttl("sess:1") <= 300_000
        assert 60_000 < client.pttl("api:1") <= 90_000
    assert run("undo", "1", "--yes").exit_code == 0
    with shop.client() as client:
        assert client.pttl("sess:1") == -1


def test_pace_and_messages(shop: Server) -> None:
    with shop.client() as client, contextlib.closing(client.pubsub()) as listening:
        listening.subscribe("invalidate")
        listening.get_message(timeout=60)
        found = told(invalidate("api:*", "--pace", "10000", "--channel", "invalidate", "--yes", "--json"))
        assert (found["mode"], found["rate"], found["channel"], found["per"]) == ("paced", 10000, "invalidate", "batch")
        message = listening.get_message(timeout=60)
    assert found["result"]["receivers"] == found["result"]["messages"] > 0
    assert message is not None
    assert json.loads(message["data"])["invalidation"] == found["number"]


def test_without_a_vault_there_is_nothing_to_bring_back(shop: Server) -> None:
    found = told(invalidate("api:*", "--no-vault", "--yes", "--json"))
    assert (found["vault"], found["result"]["removed"], found["result"]["kept"]) == (False, 30, 0)
    result = run("undo", "1", "--yes")
    assert result.exit_code == 1
    assert "The vault has nothing of invalidation 1." in result.stderr


def test_filters_narrow_it(shop: Server) -> None:
    invalidate("*", "--type", "hash", "--yes")
    assert b"sess:1" not in names(shop)
    assert len(names(shop)) == 30
    assert invalidate("api:*", "--ttl", ">1d", "--yes").exit_code == 5


def test_keys_come_from_a_file_or_the_input(shop: Server, tmp_path: Path) -> None:
    with shop.client() as client:
        client.set(b"\xff", "v")
    (tmp_path / "list").write_text("api:1\n\\xff\nno such key\n", encoding="utf-8")
    found = told(invalidate("--keys-from", str(tmp_path / "list"), "--yes", "--json"))
    assert (found["selection"]["listed"], found["result"]["removed"]) == (3, 2)
    assert told(invalidate("--keys-from", "-", "--yes", "--json", typed="api:2\n"))["result"]["removed"] == 1
    assert {b"api:1", b"api:2", b"\xff"}.isdisjoint(names(shop))


def test_a_raw_name_in_a_file_is_one_name_whatever_is_in_it(shop: Server, tmp_path: Path) -> None:
    odd = "api:1\rapi:2\x0bapi:3\u2028api:4"
    with shop.client() as client:
        client.set(odd, "v")
    (tmp_path / "list").write_bytes(f"{odd}\n".encode())
    assert told(invalidate("--keys-from", str(tmp_path / "list"), "--yes", "--json"))["result"]["removed"] == 1
    assert odd.encode() not in names(shop)
    assert len(names(shop)) == 31


def test_nothing_that_matches_is_an_exit_code_of_its_own(shop: Server) -> None:
    result = invalidate("nothing:*", "--yes")
    assert result.exit_code == 5
    assert "No key is selected." in result.stdout
    assert "misses" not in result.stdout
    assert told(invalidate("nothing:*", "--dry-run", "--json"), 5)["plan"]["keys"]["value"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--yes"], "Say which keys"),
        (["", "--yes", "--all"], "The pattern is empty."),
        (["*", "--yes"], "say --all if you mean it"),
        (["**", "--yes"], "say --all if you mean it"),
        (["api:*"], "say --yes if you mean it"),
        (["api:*", "--keys-from", "-", "--yes"], "not by both"),
        (["--keys-from", "-", "--yes"], "An empty list never means all keys."),
        (["api:*", "--gently", "soon", "--yes"], "no time such as"),
        (["api:*", "--gently", "0s", "--yes"], "A window is between"),
        (["api:*", "--pace", "0", "--yes"], "A pace is between"),
        (["api:*", "--pace", "nan", "--yes"], "A pace is between"),
        (["api:*", "--gently", "5m", "--stale", "1m", "--yes"], "one of --gently, --pace and --stale"),
        (["api:*", "--channel", "", "--yes"], "A channel's name"),
        (["api:*", "--per", "hour", "--yes"], "--per"),
        (["api:*", "--ttl", "soon", "--yes"], "A TTL filter is"),
        (["a" + "*b" * 40, "--yes"], "at most 16 stars"),
        (["api:*", "--cache", "other", "--yes"], "No cache is named"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(arguments: list[str], says: str, shop: Server, store: Store) -> None:
    before = names(shop)
    result = invalidate(*arguments)
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert names(shop) == before
    assert invalidations.newest(store, "shop", 10) == []


def test_a_list_that_is_no_text_is_named(shop: Server) -> None:
    result = invalidate("--keys-from", "-", "--yes", typed=b"api:1\n\xff\n")
    assert result.exit_code == 2
    assert b"api:1" in names(shop)


def test_every_key_wants_all_besides_yes(shop: Server) -> None:
    assert invalidate("*", "--all").exit_code == 2
    assert invalidate("?*", "--yes").exit_code == 2
    assert len(names(shop)) == 31
    assert told(invalidate("*", "--all", "--yes", "--json"))["result"]["removed"] == 31
    assert names(shop) == set()


def test_a_plan_that_needs_approval_stands_and_does_nothing(
    shop: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHEDECK_APPROVE_KEYS", "10")
    before = names(shop)
    result = invalidate("api:*", "--yes", "--json")
    assert told(result, 3)["state"] == "waits for approval"
    assert "/caches/shop/invalidations/1" in result.stderr
    assert names(shop) == before
    assert told(invalidate("api:1", "--yes", "--json"))["result"]["removed"] == 1


def test_a_read_only_cache_is_refused_before_a_plan_is_made(
    shop: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={shop.url}?read_only=yes")
    result = invalidate("api:*", "--yes")
    assert result.exit_code == 1
    assert "declared read-only" in result.stderr
    assert invalidations.newest(store, "shop", 10) == []
    assert invalidate("api:*", "--dry-run").exit_code == 0


def test_another_job_on_the_same_keys_is_noticed(shop: Server, store: Store) -> None:
    task = {"pattern": "api:1*", "mode": "now"}
    jobs.create(store, "shop", "invalidate", {"number": 99, "task": task}, "otto", "here", about=99)
    result = invalidate("api:*", "--yes")
    assert result.exit_code == 1
    assert "works on keys that this one may select too" in result.stderr
    assert len(names(shop)) == 31
    assert invalidate("sess:*", "--yes").exit_code == 0
    assert invalidate("api:*", "--yes", "--despite-overlap").exit_code == 0


def test_keys_that_are_left_are_an_exit_code_of_their_own(
    shop: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHEDECK_VAULT_KEY_MB", "1")
    with shop.client() as client:
        client.set("api:large", b"x" * 2_000_000)
    result = invalidate("api:*", "--yes")
    assert result.exit_code == 4
    assert "Left as they are, too large for the vault: 1 key." in result.stdout
    assert "  api:large: " in result.stdout
    assert names(shop) == {b"sess:1", b"api:large"}


def test_a_vault_without_room_refuses(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_VAULT_MB", "0")
    result = invalidate("api:*", "--yes")
    assert result.exit_code == 1
    assert "in the vault" in result.stderr
    assert len(names(shop)) == 31
    assert invalidate("api:*", "--yes", "--no-vault").exit_code == 0


def test_a_server_that_is_down_is_one_sentence(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://:hunter2@{HOST}:{free_port()}")
    result = invalidate("api:*", "--yes")
    assert result.exit_code == 1
    assert "shop cannot be reached." in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize("number", ["7", "0", "x", "99999999999"])
def test_undo_of_what_is_not_there_is_named(number: str, shop: Server) -> None:
    assert run("undo", number, "--yes").exit_code == (1 if number == "7" else 2)


def test_undo_asks_too(shop: Server) -> None:
    invalidate("api:*", "--yes")
    assert run("undo", "1").exit_code == 2
    assert run("undo", "1", "--pattern", "", "--yes").exit_code == 2
    assert names(shop) == {b"sess:1"}


# --- on a terminal ------------------------------------------------------------------------------------------


class Terminal:
    """The command as somebody has it in front of them."""

    def __init__(self, tmp_path: Path, url: str, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        env = environment(tmp_path, CACHEDECK_CACHES=f"shop={url}", CACHEDECK_DATA=os.environ["CACHEDECK_DATA"])
        self.process = subprocess.Popen(
            [*CACHEDECK, *arguments], env=env, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
        )
        os.close(theirs)
        self._ours = ours
        self.seen = ""

    def until(self, text: str) -> None:
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, self.seen
            if select.select([self._ours], [], [], left)[0]:
                self.seen += os.read(self._ours, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Its exit code, after all that it has said."""
        with contextlib.suppress(OSError):  # Linux says so when the other side is closed
            while part := os.read(self._ours, 4096):
                self.seen += part.decode()
        return self.process.wait(SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
        os.close(self._ours)


@pytest.fixture
def terminal(shop: Server, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*arguments: str, options: str = "") -> Terminal:
        opened.append(Terminal(tmp_path, f"{shop.url}{options}", *arguments))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_it_asks_and_heeds_no(shop: Server, terminal: Callable[..., Terminal]) -> None:
    screen = terminal("invalidate", "api:*")
    screen.until("Remove 30 keys? [y/N]: ")
    screen.type("n\n")
    assert screen.end() == 1
    assert "Nothing was done." in screen.seen
    assert len(names(shop)) == 31


def test_it_asks_and_heeds_yes(shop: Server, terminal: Callable[..., Terminal]) -> None:
    screen = terminal("invalidate", "api:*", "--no-vault")
    screen.until("Remove 30 keys, without undo? [y/N]: ")
    screen.type("y\n")
    assert screen.end() == 0
    assert names(shop) == {b"sess:1"}


def test_a_production_cache_wants_its_name(shop: Server, terminal: Callable[..., Terminal]) -> None:
    for typed, code, left in (("y", 1, 31), ("shop", 0, 1)):
        screen = terminal("invalidate", "api:*", options="?environment=production")
        screen.until("Type shop to go on: ")
        screen.type(f"{typed}\n")
        assert screen.end() == code
        assert len(names(shop)) == left


def test_ctrl_c_pauses_and_what_was_done_can_be_undone(
    shop: Server, store: Store, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("invalidate", "api:*", "--pace", "5", "--yes")
    wait_until(lambda: len(names(shop)) < 30, "some keys are removed", SECONDS)
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 4
    assert "It was paused before its end." in screen.seen
    assert "It can go on where it stands" in screen.seen
    (run_job,) = (job for job in jobs.of(store, 1) if job.kind == "invalidate")
    assert run_job.state == "paused"
    assert 1 < len(names(shop)) < 30
    assert run("undo", "1", "--yes").exit_code == 0
    assert len(names(shop)) == 31
