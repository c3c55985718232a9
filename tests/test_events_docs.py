"""docs/events.md: what is published has the documented form, and the documented client is listed with its answer."""

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

from dashboard.cache.messages.draft import Draft
from dashboard.cache.messages.publishing import Publication, publish
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.programs import wait_until
from tests.servers import HOST, Server, running

TEXT = (Path(__file__).parent.parent / "docs" / "events.md").read_text(encoding="utf-8")
PUBLISH = TEXT.partition("\n## Publish\n")[2].partition("\n## ")[0]
ACKNOWLEDGE = TEXT.partition("\n## Acknowledgements\n")[2].partition("\n## ")[0]
(MESSAGES,) = re.findall(r"^```json\n(.*?)```", PUBLISH, re.MULTILINE | re.DOTALL)
(ACK,) = re.findall(r"^```json\n(.*?)```", ACKNOWLEDGE, re.MULTILINE | re.DOTALL)
(CLIENT,) = re.findall(r"^```python\n(.*?)```", ACKNOWLEDGE, re.MULTILINE | re.DOTALL)


@contextlib.contextmanager
def documented_client(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """It runs, and listens."""
    assert "redis.Redis(client_name" in CLIENT
    script = CLIENT.replace("redis.Redis(", f"redis.Redis(host='{HOST}', port={server.port}, ")
    with subprocess.Popen([sys.executable, "-c", script]) as program:
        try:
            wait_until(lambda: subscribers(server) == 1, "it listens")
            yield program
        finally:
            program.kill()


def subscribers(server: Server) -> int:
    with server.client() as client:
        return int(client.pubsub_numsub("invalidate")[0][1])


@pytest.fixture
def cache(valkey: Server) -> Iterator[Cache]:
    with contextlib.closing(Cache(parse_target(f"shop={valkey.url}"))) as opened:
        yield opened


def published(cache: Cache, draft: Draft, seconds: float = 30.0) -> Publication:
    *_, last = publish(cache, draft, seconds)
    return last


def test_messages_are_of_the_documented_form() -> None:
    documented = [json.loads(line) for line in MESSAGES.splitlines()]
    number = documented[0]["id"]
    drafts = (
        Draft(b"invalidate", "keys", keys=(b"api:user:1", b"\xff")),
        Draft(b"invalidate", "pattern", pattern=b"api:*"),
        Draft(b"invalidate", "tags", tags=(b"category:books",)),
    )
    for draft, line in zip(drafts, documented, strict=True):
        prepared = draft.prepared("shop", asks=True)
        found: dict[str, Any] = json.loads(prepared.payload)
        assert list(found) == list(line)
        assert (found["id"], found["reply"]) == (prepared.id, prepared.reply)
        assert {**found, "id": number, "reply": found["reply"].replace(prepared.id, number)} == line
        assert "id" not in json.loads(draft.prepared("shop", asks=False).payload)


def test_the_documented_client_is_short_and_its_acknowledgement_is_listed(cache: Cache, valkey: Server) -> None:
    assert len([line for line in CLIENT.splitlines() if line.strip()]) <= 30
    with documented_client(valkey):
        for draft in (
            Draft(b"invalidate", "keys", keys=(b"api:user:1", b"\xff")),
            Draft(b"invalidate", "tags", tags=(b"red",)),
            Draft(b"invalidate", "text", text=ACK.replace("shop-1", "not for you").encode()),
        ):
            found = published(cache, draft)
            (ack,) = found.acks
            assert (ack.name, found.receivers, found.silent, found.counted.odd) == ("shop-1", 1, (), 0)
            assert ack.address.startswith("127.0.0.1:")
            assert 0 < ack.latency_ms < 30_000


def test_the_documented_acknowledgement_is_one(cache: Cache, valkey: Server) -> None:
    from dashboard.cache.messages.acknowledging import Acknowledging

    heard = Acknowledging(json.loads(ACK)["message"], ())
    heard.take(ACK.encode(), 1.0)
    (ack,) = heard.acks
    assert (ack.client, ack.name, ack.dropped) == ("42", "shop-1", 2)


def test_the_documented_client_outlives_nonsense_and_an_absence_of_the_server() -> None:
    with running() as server, documented_client(server) as program:
        with server.client() as client:
            for payload in (b"\xff", b"7", b"[]", b"null", b'{"type":"keys","keys":[{"base64":"/w=="},1]}'):
                client.publish("invalidate", payload)
        server.restart()
        wait_until(lambda: subscribers(server) == 1, "it listens again")
        with contextlib.closing(Cache(parse_target(f"shop={server.url}"))) as cache:
            (ack,) = published(cache, Draft(b"invalidate", "pattern", pattern=b"*")).acks
        assert ack.address
        assert program.poll() is None
