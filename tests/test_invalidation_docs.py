"""docs/invalidation.md: its scripts run, and its samples are what comes."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.cache.exporting.run import Options, export, last_line
from dashboard.cache.invalidation.task import Task, Tell
from dashboard.cache.invalidation.telling import Telling
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.programs import wait_until
from tests.servers import HOST, Server

TEXT = (Path(__file__).parent.parent / "docs" / "invalidation.md").read_text(encoding="utf-8")
MESSAGES, EXPORTED = re.findall(r"^```json\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)
LISTENING, BRINGING_BACK = re.findall(r"^```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)


def here(script: str, server: Server) -> list[str]:
    """The command that runs a script of the page against one of our servers."""
    assert "redis.Redis()" in script
    return [sys.executable, "-c", script.replace("redis.Redis()", f"redis.Redis(host='{HOST}', port={server.port})")]


@pytest.fixture
def cache(valkey: Server) -> Iterator[Cache]:
    with contextlib.closing(Cache(parse_target(f"shop={valkey.url}"))) as opened:
        yield opened


def shape(line: dict[str, Any]) -> dict[str, str]:
    """Names of fields and what kind of thing each is."""
    return {name: type(value).__name__ for name, value in line.items()}


def test_messages_are_of_the_documented_form(cache: Cache, valkey: Server) -> None:
    documented = {line["type"]: line for line in map(json.loads, MESSAGES.splitlines())}
    found = {}
    with valkey.client() as client, contextlib.closing(client.pubsub(ignore_subscribe_messages=True)) as listening:
        listening.subscribe("c")
        assert listening.get_message(timeout=60) is None  # that it has subscribed
        for per in ("batch", "pattern"):
            telling = Telling(cache, Task(Selection(b"api:*", type="string"), tell=Tell("c", per)), 184)
            telling.begin()
            telling.keys(cache.primaries()[0], [b"api:user:1", b"\xff"])
            telling.end()
        while len(found) < len(documented) and (message := listening.get_message(timeout=60)):
            line = json.loads(message["data"])
            found[line["type"]] = line
    assert found == documented


def test_the_documented_listener_drops_its_copies(cache: Cache, valkey: Server) -> None:
    before = "class Local(dict):\n    def pop(self, key, _): print(key, flush=True)\n\nlocal = Local()\n"
    with subprocess.Popen(here(before + LISTENING, valkey), stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout
            with valkey.client() as client:
                wait_until(lambda: client.pubsub_numsub("invalidate") == [(b"invalidate", 1)], "it listens")
            telling = Telling(cache, Task(Selection(b"api:*"), tell=Tell("invalidate")), 184)
            telling.begin()
            telling.keys(cache.primaries()[0], [b"api:user:1"])
            assert program.stdout.readline() == b"api:user:1\n"
        finally:
            program.kill()


def test_exported_lines_have_the_documented_fields(cache: Cache, valkey: Server) -> None:
    with valkey.client() as client:
        client.set("api:user:1", '{"name":"Ada"}', ex=271)
        client.hset(b"\xff", "field", "value")
        client.set("api:packed", b"x\x9c\xabVJT\xb22\xac\x05\x00\x08*\x02\t")
        client.rpush("api:large", *range(10_001))
        client.set("api:huge", b"x" * 17_000_000)
    *parts, last = export(cache, Selection())
    found = [json.loads(line) for part in (*parts, last) for line in part.lines]
    *documented, end = map(json.loads, EXPORTED.splitlines())
    by_name = {json.dumps(line["key"]): line for line in found}
    assert {json.dumps(line["key"]) for line in documented} == by_name.keys()
    for line in documented:
        assert shape(by_name[json.dumps(line["key"])]) == shape(line)
        for name in ("type", "value", "left_out"):
            assert _plain(by_name[json.dumps(line["key"])].get(name)) == line.get(name)
    assert json.loads(last_line(last)) == end


def _plain(value: Any) -> Any:
    return value.replace("\u202f", " ") if isinstance(value, str) else value


def test_an_export_comes_back_by_the_documented_script(cache: Cache, valkey: Server) -> None:
    with valkey.client() as client:
        client.hset(b"\xff", "f", b"\x00")
        client.set("text", "v", ex=1000)
        client.set("kept", "old")
        before = {key: client.dump(key) for key in (b"\xff", b"text")}
        parts = list(export(cache, Selection(), Options(dump=True)))
        lines = "".join(line for part in parts for line in part.lines) + last_line(parts[-1])
        client.flushall()
        client.set("kept", "new")
        subprocess.run(here(BRINGING_BACK, valkey), input=lines.encode(), check=True)
        assert {key: client.dump(key) for key in (b"\xff", b"text")} == before
        assert 900 < client.ttl("text") <= 1000
        assert client.ttl(b"\xff") == -1
        assert client.get("kept") == b"new"
