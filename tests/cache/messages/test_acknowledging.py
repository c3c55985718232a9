"""Who has acknowledged, and who is silent: told apart as far as it goes, and bounded whatever comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboard.cache.listeners.client_list import Client
from dashboard.cache.messages.acknowledging import MOST_BYTES, MOST_KEPT, Acknowledging, Counted


def client(number: int, name: str = "", node: str = "n1") -> Client:
    return Client(node, number, f"10.0.0.{number}:1", name, channels=1)


def ack(message: str = "m", **fields: Any) -> bytes:
    return json.dumps({"v": 1, "type": "ack", "message": message, **fields}).encode()


def silent(heard: Acknowledging) -> list[tuple[int, str, bool]]:
    return [(one.client.id, one.client.node, one.doubtful) for one in heard.silent()]


def test_a_client_is_known_by_its_id_and_otherwise_by_its_name() -> None:
    heard = Acknowledging("m", [client(1, "a"), client(2, "b"), client(3, "c"), client(4, "d")])
    assert not heard.complete
    heard.take(ack(client=1, name="another name"), 1.24)
    heard.take(ack(client=99, name="b"), 2.0)
    heard.take(ack(client="c"), 3.0)
    assert [(one.client, one.name, one.latency_ms, one.address) for one in heard.acks] == [
        ("1", "another name", 1.2, "10.0.0.1:1"),
        ("99", "b", 2.0, "10.0.0.2:1"),
        ("c", "", 3.0, "10.0.0.3:1"),
    ]
    assert silent(heard) == [(4, "n1", False)]
    heard.take(ack(client=4), 4.0)
    assert heard.complete


def test_two_nodes_may_give_the_same_id_and_then_the_name_decides() -> None:
    heard = Acknowledging("m", [client(7, "a", "n1"), client(7, "b", "n2")])
    heard.take(ack(client=7, name="b"), 1.0)
    assert silent(heard) == [(7, "n1", False)]
    assert heard.acks[0].node == "n2"


def test_clients_that_cannot_be_told_apart_are_doubtful_until_as_many_have_answered() -> None:
    heard = Acknowledging("m", [client(1, "same"), client(2, "same"), client(3, "other")])
    heard.take(ack(name="same"), 1.0)
    assert silent(heard) == [(1, "n1", True), (2, "n1", True), (3, "n1", False)]
    assert heard.acks[0].address == ""
    heard.take(ack(name="same"), 1.0)
    assert silent(heard) == [(3, "n1", False)]
    heard.take(ack(name="same"), 1.0)
    assert heard.counted == Counted(acks=2, repeated=1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"7",
        b"null",
        b"[]",
        b"{}",
        b'{"type":"ack"}',
        b'{"type":"ack","message":7}',
        b'{"type":"keys","message":"m"}',
        b"[" * 60_000,
        ack(name="x" * MOST_BYTES),
    ],
)
def test_what_is_no_acknowledgement_is_counted_as_strange(payload: bytes) -> None:
    heard = Acknowledging("m", [client(1)])
    heard.take(payload, 1.0)
    assert (heard.counted, heard.acks) == (Counted(strange=1), [])


def test_one_of_another_message_and_one_that_is_repeated_are_counted_apart() -> None:
    heard = Acknowledging("m", [client(1)])
    heard.take(ack("other", client=1), 1.0)
    heard.take(ack(client=1), 1.0)
    heard.take(ack(client=1), 1.0)
    heard.take(ack(), 1.0)
    heard.take(ack(), 1.0)
    assert heard.counted == Counted(acks=2, repeated=2, foreign=1)
    assert heard.counted.odd == 3


@pytest.mark.parametrize(
    ("fields", "client_told", "name"),
    [
        ({"client": True, "name": 7}, "", ""),
        ({"client": -1, "name": None}, "", ""),
        ({"client": 2**63, "name": ["a"]}, "", ""),
        ({"client": 1.5, "name": "<b>x</b>"}, "", "<b>x</b>"),
        ({"client": "\ud800", "name": "a\x00\x1b\u202e"}, "\\xed\\xa0\\x80", "a\\x00\\x1b\\xe2\\x80\\xae"),
        ({"client": "c" * 500, "name": "\x00" * 500}, "c" * 200, "\\x00" * 50),
    ],
)
def test_hostile_names_are_cut_and_made_printable(fields: dict[str, Any], client_told: str, name: str) -> None:
    heard = Acknowledging("m", [])
    heard.take(ack(**fields), 1.0)
    assert (heard.acks[0].client, heard.acks[0].name) == (client_told, name)


def test_a_flood_of_made_up_names_is_counted_and_does_not_grow() -> None:
    heard = Acknowledging("m", [client(1, "real")])
    for number in range(5000):
        heard.take(ack(client=1000 + number, name=f"made up {number}"), 1.0)
    heard.take(ack(client=1, name="real"), 1.0)
    assert (heard.counted.acks, len(heard.acks)) == (5001, MOST_KEPT)
    assert heard.silent() == []
    assert len(heard._said) == MOST_KEPT + 1


def test_how_many_copies_were_dropped_is_told_where_it_is_a_number() -> None:
    heard = Acknowledging("m", [])
    for dropped in (3, -1, "x", True):
        heard.take(ack(name=str(dropped), dropped=dropped), 1.0)
    assert [one.dropped for one in heard.acks] == [3, None, None, None]


def test_nobody_known_is_never_complete() -> None:
    heard = Acknowledging("m", [])
    heard.take(ack(client=1), 1.0)
    assert not heard.complete
