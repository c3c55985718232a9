"""`cachedeck events tail`: a line for each event, what is not heard is said, and it ends as `tail` does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dashboard.cli.main import main
from tests.cache.broken import stopped
from tests.programs import CACHEDECK, ROOT, environment, wait_until
from tests.servers import HOST, Server, free_port, running

BELL = b"\x1b]0;owned\x07 \xff \xe2\x80\xae"


@pytest.fixture
def shop(valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    return valkey


def tail(*arguments: str) -> Result:
    """Of a command that ends before it listens."""
    return CliRunner().invoke(main, ["events", "tail", *arguments])


class Tail:
    """A `cachedeck events tail` that goes on; `out` and `errors` are what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self._folder = folder

    @property
    def out(self) -> str:
        return (self._folder / "out").read_text()

    @property
    def errors(self) -> str:
        return (self._folder / "errors").read_text()

    def said(self, text: str) -> None:
        wait_until(lambda: text in self.errors, text)

    def lines(self, number: int) -> list[str]:
        wait_until(lambda: self.out.count("\n") >= number, f"{number} lines")
        return self.out.splitlines()

    def rows(self, number: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(number)]

    def end(self) -> int:
        return self.process.wait(120)


@contextmanager
def tailing(folder: Path, caches: str, *arguments: str) -> Iterator[Tail]:
    """One that listens already."""
    with (folder / "out").open("wb") as out, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [*CACHEDECK, "events", "tail", *arguments],
            env=environment(folder, CACHEDECK_CACHES=caches),
            cwd=ROOT,
            stdout=out,
            stderr=errors,
        )
    found = Tail(process, folder)
    try:
        found.said("Listening on")
        yield found
    finally:
        process.kill()
        process.wait(120)


def test_a_line_for_each_event_and_ctrl_c_is_its_end(shop: Server, tmp_path: Path) -> None:
    with tailing(tmp_path, f"shop={shop.url}", "--channel", "inv", "--channel", "news:*") as running_tail:
        with shop.client() as client:
            for channel, payload in (("inv", "one"), ("other", "unheard"), ("news:1", "two")):
                client.publish(channel, payload)
        one, two = running_tail.lines(2)
        assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}}  {HOST}:{shop.port}  inv  one", one)
        assert two.endswith("  news:1  two")
        running_tail.process.send_signal(signal.SIGINT)
        assert running_tail.end() == 0
        assert len(running_tail.out.splitlines()) == 2
        assert running_tail.errors == f"Listening on {HOST}:{shop.port}.\n"


def test_json_has_all_that_is_known_of_an_event(shop: Server, tmp_path: Path) -> None:
    sources = ("--tracking", "api:*", "--channel", "inv", "--channel", "new?", "--sharded", "here")
    with shop.client() as client, tailing(tmp_path, f"shop={shop.url}", "--json", *sources) as running_tail:
        client.set("api:1", "v")
        wait_until(lambda: '"tracking"' in running_tail.out, "an invalidation")
        client.publish("inv", b"\xff")
        client.execute_command("SPUBLISH", "here", "s")
        client.publish("news", "x" * 5000)
        first, *told = running_tail.rows(4)
    assert first | {"at": 0, "epoch": 0} == {
        "at": 0,
        "epoch": 0,
        "node": f"{HOST}:{shop.port}",
        "source": "tracking",
        "channel": None,
        "payload": "api:1",
        "size": 5,
        "key": "api:1",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["at"])
    assert first["epoch"] > 1_700_000_000
    by_source = {row["source"]: row for row in told}
    assert by_source["channel"]["payload"] == {"base64": "/w=="}
    assert by_source["sharded"]["channel"] == "here"
    assert (by_source["pattern"]["size"], by_source["pattern"]["cut"]) == (5000, True)
    assert by_source["pattern"]["pattern"] == "new?"


def test_key_events_name_their_key_and_what_is_off_is_said(shop: Server, tmp_path: Path) -> None:
    sources = ("--event", "del", "--key", "api:*")
    with shop.client() as client, tailing(tmp_path, f"shop={shop.url}", "--json", *sources) as running_tail:
        running_tail.said("which are off.")
        client.config_set("notify-keyspace-events", "KEA")
        try:
            client.set("api:1", "v")
            client.delete("api:1")
            rows = running_tail.rows(3)
        finally:
            client.config_set("notify-keyspace-events", "")
    assert sorted((row["source"], row["event"], row["key"]) for row in rows) == [
        ("event", "del", "api:1"),
        ("key", "del", "api:1"),
        ("key", "set", "api:1"),
    ]


def test_filters_and_count(shop: Server, tmp_path: Path) -> None:
    sought = ("--channel", "*", "--text", "WANTED", "--in", "a*", "--count", "2")
    with tailing(tmp_path, f"shop={shop.url}", *sought) as running_tail:
        with shop.client() as client:
            for channel, payload in (("a1", "wanted 1"), ("b1", "wanted 2"), ("a2", "no"), ("a3", "3 wanted")):
                client.publish(channel, payload)
            client.publish("a4", "wanted, and too late")
        assert running_tail.end() == 0
        assert [line.split("  ", 2)[2] for line in running_tail.out.splitlines()] == [
            "a1  wanted 1",
            "a3  3 wanted",
        ]


def test_it_ends_after_its_seconds(shop: Server, tmp_path: Path) -> None:
    with tailing(tmp_path, f"shop={shop.url}", "--channel", "quiet", "--seconds", "0.5") as running_tail:
        assert running_tail.end() == 0
        assert running_tail.out == ""


def test_what_controls_a_terminal_is_never_sent_to_it(shop: Server, tmp_path: Path) -> None:
    with tailing(tmp_path, f"shop={shop.url}", "--channel", "*") as running_tail:
        with shop.client() as client:
            client.publish(b"inv" + BELL, BELL + b"\nnext line\r")
        (line,) = running_tail.lines(1)
    assert line.isprintable()
    assert line.endswith(r"\x1b]0;owned\x07 \xff \xe2\x80\xae\nnext line\r")


def test_every_event_is_printed_or_said_to_be_lost(shop: Server, tmp_path: Path) -> None:
    """The reader stands still meanwhile: what the program can keep is not enough."""
    with shop.client() as client:
        with (tmp_path / "out").open("wb") as out:
            reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out)
        assert reader.stdin
        with (tmp_path / "errors").open("wb") as errors:
            process = subprocess.Popen(
                [*CACHEDECK, "events", "tail", "--channel", "inv", "--json"],
                env=environment(tmp_path, CACHEDECK_CACHES=f"shop={shop.url}"),
                cwd=ROOT,
                stdout=reader.stdin,
                stderr=errors,
            )
        reader.stdin.close()
        running_tail = Tail(process, tmp_path)
        running_tail.said("Listening on")
        reader.send_signal(signal.SIGSTOP)
        for thousand in range(60):
            pipe = client.pipeline(transaction=False)
            for number in range(1000):
                pipe.publish("inv", f"{thousand * 1000 + number} {'x' * 50}")
            pipe.execute()
        reader.send_signal(signal.SIGCONT)
        running_tail.said("were lost: this terminal was too slow.")
        wait_until(lambda: '"payload":"59999 ' in running_tail.out, "the last event")
        process.send_signal(signal.SIGINT)
        assert running_tail.end() == 0
        reader.wait(120)
    rows = [json.loads(line) for line in running_tail.out.splitlines()]
    numbers = [int(row["payload"].split()[0]) for row in rows if "payload" in row]
    lost = sum(row["lost"] for row in rows if "lost" in row)
    assert lost > 0
    assert numbers == sorted(set(numbers))
    assert len(numbers) + lost == 60_000
    assert f"In all, {lost:,} events were lost" in running_tail.errors


def test_a_restart_of_the_server_is_a_gap(tmp_path: Path) -> None:
    with running() as server, tailing(tmp_path, f"shop={server.url}", "--channel", "inv", "--json") as running_tail:
        server.restart()
        first, second = running_tail.rows(2)
        with server.client() as client:
            client.publish("inv", "after")
        assert running_tail.rows(3)[2]["payload"] == "after"
    assert (first["gap"]["over"], second["gap"]["over"]) == (False, True)
    assert second["gap"]["node"] == f"{HOST}:{server.port}"
    assert second["gap"]["since"] <= second["gap"]["epoch"]


def test_a_server_that_hangs_is_said_on_standard_error(tmp_path: Path) -> None:
    with running() as server:
        url = f"shop={server.url}?timeout=0.5&connect_timeout=0.5"
        with tailing(tmp_path, url, "--channel", "inv") as running_tail, stopped(server):
            running_tail.said("is not heard since")
            assert running_tail.out == ""


def test_a_channel_that_is_denied_is_named_and_the_rest_is_heard(shop: Server, tmp_path: Path) -> None:
    url = shop.url.replace("redis://", "redis://ear:secret@")
    with shop.client() as client:
        client.execute_command("ACL", "SETUSER", "ear", "on", ">secret", "+@all", "~*", "resetchannels", "&inv")
        try:
            with tailing(tmp_path, f"shop={url}", "--channel", "inv", "--channel", "orders") as running_tail:
                running_tail.said("may not listen to the channel orders (NOPERM).")
                client.publish("inv", "m")
                assert running_tail.lines(1)[0].endswith("  inv  m")
        finally:
            client.execute_command("ACL", "DELUSER", "ear")


def test_nothing_to_be_heard_at_all_is_an_error(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = shop.url.replace("redis://", "redis://ear:hunter2@")
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={url}")
    with shop.client() as client:
        client.execute_command("ACL", "SETUSER", "ear", "on", ">hunter2", "+@all", "~*", "resetchannels")
        try:
            result = tail("--channel", "orders")
        finally:
            client.execute_command("ACL", "DELUSER", "ear")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "may not listen to the channel orders (NOPERM)." in result.stderr
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://:hunter2@{HOST}:{free_port()}")
    result = tail("--channel", "orders")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: shop cannot be reached.")
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name a channel, a pattern, an event or a prefix"),
        (["--channel", ""], "A channel or pattern has a name."),
        (["--tracking", "a", "--tracking", "ab"], "no prefixes that overlap"),
        (["--channel", "inv", "--in", "*a" * 40], "stars"),
        (["--channel", "inv", "--seconds", "0"], "--seconds"),
    ],
)
def test_a_mistake_is_named(arguments: list[str], says: str, shop: Server) -> None:
    result = tail(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_a_reader_that_has_seen_enough_ends_it_quietly(shop: Server, tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    env = environment(tmp_path, CACHEDECK_CACHES=f"shop={shop.url}")
    command = [*CACHEDECK, "events", "tail", "--channel", "inv"]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=pipe, stderr=pipe) as program:
        assert program.stdout
        assert program.stderr
        assert program.stderr.readline().startswith(b"Listening on")
        program.stdout.close()  # nothing is published: it has to look
        assert program.stderr.read() == b""
