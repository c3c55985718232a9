"""A search's state travels with the page: what comes back is exactly it, or refused, whatever was put in its place."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc
import zlib

import pytest

from dashboard.cache.reading.search import MOST_SHOWN, State, state_from_text
from dashboard.cache.selecting.selection import BadSelection
from dashboard.cache.walking.walk import Place, Position

PLACE = {"cursor": 5, "examined": 10, "keys": 20, "lost": ""}


def _state(shown: int = 100) -> State:
    dice = random.Random(5)
    places = {
        "127.0.0.1:7000": Place(cursor=0, examined=1000, keys=1000),
        "[::1]:7001": Place(cursor=(1 << 64) - 1, examined=5, keys=2000),
        "/run/valkey.sock": Place(),
        "lost.example:7003": Place(cursor=7, examined=3, keys=9, lost="shop did not answer within the time-out."),
    }
    return State(Position(places), frozenset(dice.randbytes(8) for _ in range(shown)))


def _packed(head: object, marks: bytes = b"", size: int | None = None) -> str:
    raw = head if isinstance(head, bytes) else json.dumps(head).encode()
    body = (len(raw) if size is None else size).to_bytes(4, "big") + raw + marks
    return base64.urlsafe_b64encode(zlib.compress(body)).decode()


@pytest.mark.parametrize("shown", [0, 1, MOST_SHOWN])
def test_it_survives_a_form_field(shown: int) -> None:
    state = _state(shown)
    text = state.to_text()
    assert text.isascii()
    assert text.isprintable()
    assert state_from_text(text) == state


def test_the_largest_is_small_enough_for_a_form() -> None:
    assert len(_state(MOST_SHOWN).to_text()) < 200_000


def test_the_order_of_primaries_is_kept() -> None:
    assert list(state_from_text(_state().to_text()).position.places) == list(_state().position.places)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "not base64 at all!",
        "\u20ac",
        "AAAA",
        base64.urlsafe_b64encode(b"no zlib").decode(),
        base64.urlsafe_b64encode(zlib.compress(b"")).decode(),
        base64.urlsafe_b64encode(zlib.compress(b"\x00\x00")).decode(),
        _packed(b"{not json"),
        _packed(b"\xff\xfe"),
        _packed([]),
        _packed("text"),
        _packed(None),
        _packed(5),
        _packed({"n": None}),
        _packed({"n": {}}),
        _packed({"n": {**PLACE, "cursor": -1}}),
        _packed({"n": {**PLACE, "cursor": 1 << 64}}),
        _packed({"n": {**PLACE, "cursor": "x"}}),
        _packed({"n": {**PLACE, "cursor": []}}),
        _packed({"n": {**PLACE, "examined": "x"}}),
        _packed({"n": {**PLACE, "keys": "x"}}),
        _packed(b'{"n": {"cursor": 1e400, "examined": 0, "keys": 0, "lost": ""}}'),
        _packed(b'{"n": {"cursor": NaN, "examined": 0, "keys": 0, "lost": ""}}'),
        _packed(b'{"n": {"cursor": 5, "examined": Infinity, "keys": 0, "lost": ""}}'),
        _packed(b'{"n": {"cursor": 5, "examined": ' + b"9" * 5000 + b', "keys": 0, "lost": ""}}'),
        _packed({"n": PLACE}, size=3),
        _packed(b"[" * 100_000),
        _packed(b'{"a":' * 100_000),
    ],
    ids=lambda text: text[:24],
)
def test_what_nobody_wrote_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadSelection, match="Search again"):
        state_from_text(text)


def test_damage_anywhere_is_refused_or_harmless() -> None:
    text = _state(20).to_text()
    dice = random.Random(11)
    for _ in range(500):
        letters = list(text)
        for _ in range(dice.randrange(1, 4)):
            letters[dice.randrange(len(letters))] = dice.choice("ABCxyz019-_=")
        try:
            state_from_text("".join(letters)[: dice.randrange(len(text) + 1)])
        except BadSelection:
            continue


def test_a_bomb_is_bounded() -> None:
    """60 kB that unpack to 60 MB: only the first part is ever unpacked."""
    bomb = base64.urlsafe_b64encode(zlib.compress((2).to_bytes(4, "big") + b"{}" + b"\0" * 60_000_000, 9)).decode()
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        state_from_text(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_absurd_numbers_are_taken_within_reason() -> None:
    state = state_from_text(_packed({"n": {**PLACE, "examined": -5, "keys": -1, "lost": "x" * 5000}}))
    place = state.position.places["n"]
    assert (place.examined, place.keys, len(place.lost)) == (0, 0, 300)
