"""What a real server tells is heard, by both protocols, and what it refuses is named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from dashboard.cache.errors import Denied
from dashboard.cache.events.ear import Ear
from dashboard.cache.events.subscription import Subscription, from_pairs
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.programs import wait_until
from tests.servers import Server


@pytest.fixture
def shop(valkey: Server) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        yield cache


def heard(ear: Ear) -> list[list[Any]]:
    return ear.drained(60)


def on(cache: Cache, *pairs: tuple[str, str]) -> closing[Ear]:
    wanted: Subscription = from_pairs(pairs)
    return closing(Ear(cache, cache.primaries()[0], wanted))


def test_channels_patterns_and_sharded_channels(shop: Cache) -> None:
    with on(shop, ("channel", "inv"), ("pattern", "news:*"), ("sharded", "here")) as ear:
        shop.execute("PUBLISH", "inv", b"\xff\x00")
        shop.execute("PUBLISH", "news:1", "a")
        shop.execute("SPUBLISH", "here", "b")
        shop.execute("PUBLISH", "other", "c")
        assert heard(ear) == [
            [b"message", b"inv", b"\xff\x00"],
            [b"pmessage", b"news:*", b"news:1", b"a"],
            [b"smessage", b"here", b"b"],
        ]


def test_the_invalidations_of_client_side_caching(shop: Cache) -> None:
    with on(shop, ("tracking", "api:"), ("channel", "inv")) as ear:
        shop.execute("SET", "api:1", "v")
        shop.execute("SET", "web:1", "v")
        shop.execute("PUBLISH", "inv", "m")
        shop.execute("FLUSHALL")
        told = heard(ear)
    assert [b"invalidate", [b"api:1"]] in told
    assert [b"invalidate", None] in told
    assert [b"message", b"inv", b"m"] in told
    assert not any(b"web:1" in (message[1] or []) for message in told if message[0] == b"invalidate")


def test_a_payload_of_megabytes_comes_whole(shop: Cache) -> None:
    with on(shop, ("channel", "inv")) as ear:
        shop.execute("PUBLISH", "inv", b"x" * 10_000_000)
        assert [len(message[2]) for message in heard(ear)] == [10_000_000]
        assert ear.bytes > 10_000_000


def test_an_answer_that_stands_behind_a_flood_is_waited_for(valkey: Server) -> None:
    with closing(Cache(parse_target(f"shop={valkey.url}?timeout=0.2"))) as cache, on(cache, ("channel", "inv")) as ear:
        with valkey.client() as client:
            for _ in range(4):
                client.publish("inv", b"x" * 5_000_000)
        ear._ask(time.monotonic())
        time.sleep(0.3)
        found = ear.take()
        assert ear.answered < ear.asked, "there is more than one take reads"
        ear.ping()
        wait_until(lambda: found.extend(ear.take()) or len(found) == 4, "all came")


def test_what_is_refused_is_named_and_the_rest_is_heard(valkey: Server) -> None:
    with valkey.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ear", "on", ">secret", "+@all", "~*", "resetchannels", "&inv")
    url = valkey.url.replace("redis://", "redis://ear:secret@")
    try:
        with closing(Cache(parse_target(f"shop={url}"))) as cache:
            with on(cache, ("channel", "inv"), ("channel", "orders")) as ear:
                cache.execute("PUBLISH", "inv", "m")
                assert heard(ear) == [[b"message", b"inv", b"m"]]
                assert [one.source.name for one in ear.refusals] == [b"orders"]
                assert "orders" in ear.refusals[0].error.sentence
            with pytest.raises(Denied, match="orders"), on(cache, ("channel", "orders")):
                pass
    finally:
        with valkey.client() as admin:
            admin.execute_command("ACL", "DELUSER", "ear")


def test_where_nothing_happens_it_asks_for_a_sign_of_life(shop: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.cache.events.ear.PING_SECONDS", 0.0)
    with on(shop, ("event", "expired")) as ear:
        ear.ping()
        assert ear.asked == 1
        wait_until(lambda: not ear.take() and ear.answered == 1, "it answered")
        ear.ping()
        assert ear.asked == 2
