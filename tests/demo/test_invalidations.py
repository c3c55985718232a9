"""The shop and its messages: it tells what it has changed, drops what it is told of, and acknowledges."""

from __future__ import annotations

import contextlib
import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.copies import Copies
from dashboard.demo.invalidations import CHANNEL
from dashboard.demo.parts import EXTENSION
from tests.programs import wait_until
from tests.servers import Server, running

REPLY = "cachedeck:ack:of-this-test"
WINDOW = "/"


class Hearing:
    """What comes on the channel and on the reply channel."""

    def __init__(self, client: redis.Redis) -> None:
        self._listening = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._listening.subscribe(CHANNEL, REPLY)
        for _ in range(2):
            self._listening.get_message(timeout=60)

    def next(self, channel: str) -> dict[str, Any]:
        while (message := self._listening.get_message(timeout=60)) is not None:
            if message["channel"] == channel.encode():
                found = json.loads(message["data"])
                assert isinstance(found, dict)
                return found
        raise queue.Empty

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def hearing(valkey: Server) -> Iterator[Hearing]:
    with valkey.client() as client, contextlib.closing(Hearing(client)) as found:
        yield found


@pytest.fixture
def listening_shop(open_shop: Callable[..., Flask], valkey: Server) -> FlaskClient:
    """It has subscribed, and no shop of another test still has."""
    wait_until(lambda: subscribers(valkey) == 0, "other shops have ended")
    client: FlaskClient = open_shop(valkey.url).test_client()
    wait_until(lambda: subscribers(valkey) == 1, "the shop listens")
    return client


def subscribers(server: Server) -> int:
    with server.client() as client:
        ((_, count),) = client.pubsub_numsub(CHANNEL)
    return int(count)


def copies(shop: FlaskClient) -> Copies:
    found: Copies = shop.application.extensions[EXTENSION].copies
    return found


def publish(server: Server, **fields: Any) -> None:
    with server.client() as client:
        client.publish(CHANNEL, json.dumps({"v": 1, **fields}))


def test_a_write_is_told_to_who_listens(shop: FlaskClient, hearing: Hearing) -> None:
    shop.put("/prices/SKU-00017", json={"cents": 1234})
    assert hearing.next(CHANNEL) == {"v": 1, "type": "keys", "keys": ["api:price:SKU-00017"]}


def test_a_write_that_changes_nothing_is_not(shop: FlaskClient, hearing: Hearing) -> None:
    shop.put("/prices/SKU-99999", json={"cents": 1234})
    shop.put("/prices/SKU-00018", json={"cents": 1234})
    assert hearing.next(CHANNEL)["keys"] == ["api:price:SKU-00018"]


def test_the_window_is_shown_from_copies_until_they_are_named(
    listening_shop: FlaskClient, valkey: Server, hearing: Hearing
) -> None:
    first = listening_shop.get(WINDOW).get_json()["showcase"][0]
    key = f"api:product:{first['id']}"
    with valkey.client() as client:
        client.set(key, json.dumps({**first, "name": "another name"}))
    assert listening_shop.get(WINDOW).get_json()["showcase"][0] == first
    publish(valkey, type="keys", keys=[key, {"base64": "/w=="}, 7, None], id="m1", reply=REPLY)
    ack = hearing.next(REPLY)
    assert {name: ack[name] for name in ("v", "type", "message", "name", "dropped")} == {
        "v": 1,
        "type": "ack",
        "message": "m1",
        "name": "demo-shop",
        "dropped": 1,
    }
    assert listening_shop.get(WINDOW).get_json()["showcase"][0]["name"] == "another name"
    with valkey.client() as client:
        (one,) = (found for found in client.client_list() if found["id"] == str(ack["client"]))
    assert (one["name"], one["sub"]) == ("demo-shop", "1")


@pytest.mark.parametrize(
    ("told", "dropped"),
    [
        ({"type": "tags", "tags": ["category:books"]}, 1),
        ({"type": "selection", "pattern": "api:*", "filters": {}}, 2),
        ({"type": "begin", "pattern": "api:*"}, 0),
        ({"type": "of a later version"}, 0),
        ({"type": "keys"}, 0),
    ],
)
def test_it_drops_what_is_meant_and_says_how_much(
    listening_shop: FlaskClient, valkey: Server, hearing: Hearing, told: dict[str, Any], dropped: int
) -> None:
    copies(listening_shop).put("api:product:1", {"id": 1}, ["category:books"])
    copies(listening_shop).put("api:product:2", {"id": 2}, ["category:toys"])
    publish(valkey, **told, id="m2", reply=REPLY)
    assert hearing.next(REPLY)["dropped"] == dropped


def test_what_is_no_message_of_that_form_is_passed_over(
    listening_shop: FlaskClient, valkey: Server, hearing: Hearing
) -> None:
    with valkey.client() as client:
        for payload in (b"\xff", b"7", b"[]", b"[" * 100_000, b"{" + b" " * 2_000_000 + b"}", b'{"id":7,"reply":7}'):
            client.publish(CHANNEL, payload)
    publish(valkey, type="keys", keys=[], id="after all that", reply=REPLY)
    assert hearing.next(REPLY)["message"] == "after all that"


def test_it_listens_again_after_the_cache_was_away(open_shop: Callable[..., Flask]) -> None:
    with running() as server:
        shop = open_shop(server.url).test_client()
        wait_until(lambda: subscribers(server) == 1, "the shop listens")
        copies(shop).put("api:product:1", {"id": 1})
        server.stop()
        wait_until(lambda: copies(shop).get("api:product:1") is None, "it forgets what it cannot be told of")
        server.restart()
        wait_until(lambda: subscribers(server) == 1, "the shop listens again")
