"""`cachedeck publish`: it prints how many received it, and with --wait who says so."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dashboard.cli.main import main
from dashboard.settings import load_settings
from dashboard.store import audit
from dashboard.store.audit import Filters
from dashboard.store.engine import open_store
from tests.application import Application, application
from tests.servers import HOST, Server


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def shop(valkey: Server, data: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    return valkey


@pytest.fixture
def listener(shop: Server) -> Iterator[Application]:
    """One that acknowledges what comes on `invalidate`."""
    with application(shop, "shop-1") as running:
        yield running


def publish(*arguments: str, typed: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["publish", *arguments], input=typed)


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_it_prints_the_number_of_receivers_and_sends_what_was_typed(listener: Application) -> None:
    result = publish("invalidate", "plain {text} \\n as it is")
    assert (result.exit_code, result.stdout) == (0, "1\n")
    assert listener.next() == b"plain {text} \\n as it is"
    assert publish("nobody-listens-here", "x").stdout == "0\n"


def test_a_message_of_a_dash_is_read_from_the_input_byte_by_byte(listener: Application) -> None:
    assert publish("invalidate", "-", typed=b"\xff\x00\n").stdout == "1\n"
    assert listener.next() == b"\xff\x00\n"


def test_with_wait_acknowledgements_are_listed_and_who_is_silent(listener: Application, shop: Server) -> None:
    with application(shop, "silent-1", answers=False):
        result = publish("invalidate", '{"v":1,"type":"keys","cache":"shop","keys":["a"]}', "--wait", "4s")
    assert result.exit_code == 0, result.output
    number, answer, acknowledged, silent, named = result.stdout.splitlines()
    assert number == "2"
    assert answer.startswith("1 acknowledgement, the slowest after ")
    assert "shop-1  client " in acknowledged
    assert acknowledged.endswith(" ms")
    assert silent.startswith("Subscribed to something, and silent: 1.")
    assert "silent-1" in named


def test_json_has_the_same(listener: Application) -> None:
    found = told(publish("invalidate", '{"v":1,"type":"tags","tags":["red"]}', "--wait", "30", "--json"))
    (ack,) = found["acks"]
    assert (found["receivers"], found["acknowledged"], found["silent_count"], found["partial"]) == (1, 1, 0, False)
    assert (ack["name"], ack["client"]) == ("shop-1", str(listener.client_id))
    assert found["before"]["subscribers"] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("c", "no object", "--wait", "1"), "Only a JSON object can be acknowledged"),
        (("c", "{}", "--wait", "31"), "At most 30 s"),
        (("c", "{}", "--wait", "soon"), "is no time"),
        (("", "{}"), "A channel's name has 1 to"),
        (("c" * 1025, "{}"), "A channel's name has 1 to"),
        (("c",), "Missing argument 'MESSAGE'"),
    ],
)
def test_what_is_said_wrongly_publishes_nothing(
    listener: Application, arguments: tuple[str, ...], sentence: str
) -> None:
    result = publish(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert listener.count == 0


def test_a_sharded_channel(shop: Server) -> None:
    with application(shop, "shop-1", sharded=True) as listener:
        assert publish("invalidate", "{}", "--sharded").stdout == "1\n"
        assert listener.next() == b"{}"


def test_it_is_in_the_audit_trail_without_the_message(listener: Application) -> None:
    publish("invalidate", "the secret of the day", "--reason", "ticket 4711")
    with contextlib.closing(open_store(load_settings().database)) as store:
        (entry,) = audit.search(store, Filters())
    assert entry.actor.startswith("cli:")
    assert (entry.action, entry.reason, entry.status) == ("message.publish", "ticket 4711", "done")
    assert entry.subject.startswith("raw text to invalidate, ")
    assert entry.after["receivers"] == 1
    assert "secret" not in repr(entry)


def test_a_read_only_cache_refuses(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={shop.url}?read_only=yes")
    result = publish("invalidate", "x")
    assert result.exit_code == 1
    assert "read-only" in result.output


def test_production_asks_unless_one_says_yes(
    listener: Application, shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={shop.url}?environment=production")
    assert publish("invalidate", "x").exit_code == 2
    assert listener.count == 0
    assert publish("invalidate", "x", "--yes").stdout == "1\n"


def test_a_user_who_may_not_is_told_so(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.client() as client:
        client.execute_command("ACL", "SETUSER", "mo", "reset", "on", ">pw", "~*", "&other", "+@all")
        monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://mo:pw@{HOST}:{shop.port}")
        result = publish("invalidate", "x")
        client.execute_command("ACL", "DELUSER", "mo")
    assert result.exit_code == 1
    assert "may not publish to this channel" in result.output
