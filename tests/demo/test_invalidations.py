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

from dashboard.demo.caching.copies import Copies
from dashboard.demo.caching.invalidations import CHANNEL, KEYS_AT_ONCE, Invalidations
from dashboard.demo.encoding import encode
from dashboard.demo.parts import EXTENSION
from tests.demo.table import KEY, cached
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
    wait_until(lambda: copies(client).is_open, "the shop listens")
    return client


def subscribers(server: Server) -> int:
    with server.client() as client:
        ((_, count),) = client.pubsub_numsub(CHANNEL)
    return int(count)


def copies(shop: FlaskClient) -> Copies:
    found: Copies = shop.application.extensions[EXTENSION].copies
    return found


def keep(shop: FlaskClient, key: str, *tags: str) -> None:
    wait_until(lambda: copies(shop).is_open, "the shop keeps copies")
    assert copies(shop).put(key, {"id": 1}, copies(shop).ticket(), tags=tags)


def publish(server: Server, **fields: Any) -> None:
    with server.client() as client:
        client.publish(CHANNEL, json.dumps({"v": 1, **fields}))


def test_a_write_is_told_to_who_listens(shop: FlaskClient, hearing: Hearing) -> None:
    shop.put("/prices/SKU-00017", json={"cents": 1234})
    told = hearing.next(CHANNEL)
    assert (told["v"], told["type"], told["keys"]) == (1, "keys", ["api:price:SKU-00017"])
    assert told["reply"].startswith("cachedeck:ack:")
    assert told["id"]


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
        client.hset(key, mapping={"document": encode({**first, "name": "another name"}), "took": 1})
    assert listening_shop.get(WINDOW).get_json()["showcase"][0] == first, "from a copy"
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
    assert (one["name"], one["sub"]) == ("demo-shop", "2"), "the channel, and its own for acknowledgements"


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
    keep(listening_shop, "api:product:1", "category:books")
    keep(listening_shop, "api:product:2", "category:toys")
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
        keep(shop, "api:product:1")
        server.stop()
        wait_until(lambda: not copies(shop).is_open, "it gives up what it cannot be told of")
        assert copies(shop).get("api:product:1") is None
        server.restart()
        wait_until(lambda: copies(shop).is_open, "the shop listens again")


def test_in_an_outage_that_is_played_there_are_no_copies_either(listening_shop: FlaskClient) -> None:
    keep(listening_shop, "api:product:1")
    remote = listening_shop.application.extensions[EXTENSION].remote
    remote.cut(3600)
    wait_until(lambda: not copies(listening_shop).is_open, "it gives up what it cannot be told of")
    remote.cut(0)
    wait_until(lambda: copies(listening_shop).is_open, "the shop listens again")


class Process:
    """What one process of the shop has of this: its copies, what it counts, and its listening."""

    def __init__(self, server: Server) -> None:
        self.here = cached(server.url)
        self.copies = Copies()
        self.invalidations = Invalidations(server.url, self.here.remote, self.copies, self.here.counters)
        self.invalidations.start()
        wait_until(lambda: self.copies.is_open, "it listens")

    def close(self) -> None:
        self.invalidations.close()
        wait_until(lambda: not self.copies.is_open, "it has ended")
        self.here.remote.close()


@pytest.fixture
def processes(valkey: Server) -> Iterator[list[Process]]:
    wait_until(lambda: subscribers(valkey) == 0, "shops of other tests have ended")
    found = [Process(valkey) for _ in range(2)]
    yield found
    for process in found:
        process.close()


def test_what_one_process_changes_the_other_drops_and_both_acknowledge(processes: list[Process]) -> None:
    here, there = processes
    for process in processes:
        assert process.copies.put(KEY, {"id": 42}, process.copies.ticket())
    assert here.invalidations.tell([KEY])
    assert here.copies.get(KEY) is None, "at once, and not when its own message comes back"
    wait_until(lambda: there.copies.get(KEY) is None, "the other has heard it")
    wait_until(lambda: here.here.counted.get("acks") == 2, "both have acknowledged it")
    assert here.here.counted["told"] == here.here.counted["heard"] == there.here.counted["heard"] == 1
    wait_until(lambda: here.here.counted.get("ack_ms_total", 0) > 0, "and how long it took is summed")
    assert "acks" not in there.here.counted, "it has asked for none"


def test_many_keys_are_told_in_parts(processes: list[Process]) -> None:
    here, there = processes
    keys = [f"api:user:{number}" for number in range(2 * KEYS_AT_ONCE + 1)]
    assert there.copies.put(keys[-1], {"id": 1}, there.copies.ticket())
    assert here.invalidations.tell(keys)
    wait_until(lambda: there.here.counted.get("heard") == 3, "the other has heard all parts")
    wait_until(lambda: there.copies.get(keys[-1]) is None, "also the last")
    assert here.invalidations.tell([])


def test_acknowledgements_of_what_was_never_asked_are_passed_over(processes: list[Process]) -> None:
    here = processes[0]
    for payload in (b'{"message":"never sent"}', b'{"message":7}', b"{}", b"7", b"\xff", b'{"message":["x"]}'):
        here.invalidations.acknowledged(payload)
    assert "acks" not in here.here.counted


def test_where_the_cache_cannot_be_told_its_own_copies_are_dropped_all_the_same(processes: list[Process]) -> None:
    here, there = processes
    for process in processes:
        assert process.copies.put(KEY, {"id": 42}, process.copies.ticket())
    here.here.remote.cut(3600)
    assert not here.invalidations.tell([KEY])
    assert here.copies.get(KEY) is None
    assert there.copies.get(KEY) is not None
    assert "told" not in here.here.counted
