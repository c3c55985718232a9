"""Publishing in bad weather: floods, large payloads, what an ACL denies, a server that goes away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from dashboard.cache.errors import Denied, Unreachable
from dashboard.cache.messages.draft import Draft
from dashboard.cache.messages.publishing import Publication, publish
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.application import Application, application
from tests.servers import HOST, Server, running

KEYS = Draft(b"invalidate", "keys", keys=(b"api:user:1",))


@pytest.fixture
def shop(valkey: Server) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        yield cache


def published(cache: Cache, draft: Draft = KEYS, seconds: float = 30.0) -> Publication:
    *_, last = publish(cache, draft, seconds)
    return last


def test_ten_megabytes_and_bytes_that_are_no_text_arrive_as_they_are(valkey: Server, shop: Cache) -> None:
    payload = b"\xff\x00" * 5 * 1024 * 1024
    with application(valkey, "shop-1", b"\xff") as app:
        found = published(shop, Draft(b"\xff", "text", text=payload))
        assert app.next() == payload
    assert (found.bytes, found.id) == (len(payload), "")
    assert "cannot be acknowledged" in found.notes[0]


def test_a_flood_of_nonsense_on_the_reply_channel_is_counted_and_ends_in_time(valkey: Server, shop: Cache) -> None:
    with application(valkey, "shop-1", answers=False) as app, application(valkey, "silent", answers=False):
        flood = threading.Thread(target=_flood, args=(valkey, app), daemon=True)
        flood.start()
        found = published(shop, seconds=4.0)
        flood.join(60)
    assert found.counted.strange + found.counted.foreign + found.counted.repeated > 100
    assert [ack.name for ack in found.acks] == ["shop-1"]
    assert [one.client.name for one in found.silent] == ["silent"]
    assert found.progress.ended


def _flood(valkey: Server, app: Application) -> None:
    told = json.loads(app.next())
    app.answer(told)
    with valkey.client() as client:
        client.publish(told["reply"], b"x" * 10 * 1024 * 1024)
        pipe = client.pipeline(transaction=False)
        for number in range(20_000):
            pipe.publish(told["reply"], (b"no json", b'{"type":"ack","message":"other"}', b"\xff")[number % 3])
        pipe.execute()


@pytest.fixture
def limited(valkey: Server) -> Iterator[Callable[..., Cache]]:
    """The cache as a user with these ACL rules."""
    with valkey.client() as client:

        def made(*rules: str) -> Cache:
            client.execute_command("ACL", "SETUSER", "mo", "reset", "on", ">pw", "~*", "+@all", *rules)
            return Cache(parse_target(f"shop=redis://mo:pw@{HOST}:{valkey.port}"))

        yield made
        client.execute_command("ACL", "DELUSER", "mo")


def test_where_lists_are_denied_it_says_what_is_not_known_and_publishes(
    valkey: Server, limited: Callable[..., Cache]
) -> None:
    with closing(limited("&*", "-client|list", "-pubsub")) as cache, application(valkey, "shop-1") as app:
        found = published(cache, seconds=3.0)
        assert app.next()
    assert (found.before.subscribers, found.before.patterns, found.before.clients) == (None, None, None)
    assert any("CLIENT LIST" in problem for problem in found.before.problems)
    assert any("PUBSUB" in problem for problem in found.before.problems)
    assert found.silent_count is None
    assert len(found.acks) == 1


def test_where_the_reply_channel_may_not_be_heard_nobody_is_asked(
    valkey: Server, limited: Callable[..., Cache]
) -> None:
    with closing(limited("&invalidate")) as cache, application(valkey, "shop-1") as app:
        found = published(cache)
        assert "reply" not in json.loads(app.next())
    assert found.id == ""
    assert "none was asked for" in found.notes[0]
    assert "NOPERM" in found.notes[0]


def test_a_channel_that_is_not_allowed_is_refused(valkey: Server, limited: Callable[..., Cache]) -> None:
    with closing(limited("&other")) as cache, pytest.raises(Denied, match="may not publish to this channel"):
        list(publish(cache, KEYS, 0.0))


def test_a_server_that_restarts_while_one_waits_is_told() -> None:
    with running() as server, closing(Cache(parse_target(f"shop={server.url}"))) as cache:
        snapshots = publish(cache, KEYS, 30.0)
        assert next(snapshots).receivers == 0
        server.stop()
        *_, last = snapshots
        assert "not heard" in last.notes[-1]
        assert last.progress.ended
        with pytest.raises(Unreachable):
            list(publish(cache, KEYS, 0.0))
