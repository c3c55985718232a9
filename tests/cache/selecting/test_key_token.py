"""Keys survive URLs and pages whatever their bytes, and no two keys are ever shown or linked as the same."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest

from dashboard.cache.selecting.key_token import BadToken, from_printable, from_token, printable, to_token
from tests.cache.hostile_keys import HOSTILE, random_keys

EVERY_BYTE = [bytes([byte]) for byte in range(256)]


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_key_survives_its_token(key: bytes) -> None:
    assert from_token(to_token(key)) == key


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_token_is_one_plain_path_segment(key: bytes) -> None:
    token = to_token(key)
    assert re.fullmatch(r"[A-Za-z0-9_:@=,$!*.()~-]+", token)
    assert token.strip(".")
    assert unquote(quote(token, safe="~")) == token


@pytest.mark.parametrize("key", [b"api:user:42", b"sess.9f-e_1", b"a=b,c@d", b"x" * 400, b"...x"])
def test_an_ordinary_key_stays_readable(key: bytes) -> None:
    assert to_token(key) == key.decode()


def test_random_keys_survive_and_no_two_share_a_token() -> None:
    keys = {*random_keys(20_24, 3000), *EVERY_BYTE}
    tokens = {to_token(key): key for key in keys}
    assert len(tokens) == len(keys)
    assert all(from_token(token) == key for token, key in tokens.items())


@pytest.mark.parametrize(
    "token",
    [
        "",
        "..",
        ".",
        "a/b",
        "a b",
        "a%2Fb",
        "caf\u00e9",
        "~ab=",
        "~a",
        "~YWJj",
        "~a+b/",
        "~\u00e9",
        "~YQ\n",
        "~YR",
        "x" * 401,
    ],
)
def test_a_token_that_nobody_made_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        from_token(token)


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_key_is_shown_on_one_visible_line_and_can_be_pasted_back(key: bytes) -> None:
    shown = printable(key)
    assert shown.isprintable()
    assert from_printable(shown) == key


def test_random_keys_can_be_pasted_back_and_no_two_look_the_same() -> None:
    keys = {*random_keys(1, 5000), *EVERY_BYTE, b"\\", b"\\\\", b"\\n", b"\n", b"\\\\n", rb"\x0a", b"\\\n"}
    shown = {printable(key): key for key in keys}
    assert len(shown) == len(keys)
    assert all(from_printable(text) == key for text, key in shown.items())


def test_text_is_shown_as_it_is_and_the_rest_as_escapes() -> None:
    assert printable("caf\u00e9 \U0001f9c0".encode()) == "caf\u00e9 \U0001f9c0"
    assert printable(b"\xff\x00\n") == r"\xff\x00\n"
    assert printable("\u202e".encode()) == r"\xe2\x80\xae"
    assert printable(rb"a\d") == r"a\d"
    assert printable(rb"a\n") == r"a\\n"


def test_a_backslash_before_no_escape_stands_for_itself() -> None:
    assert from_printable(r"a\*b\q\xZZ\x4") == rb"a\*b\q\xZZ\x4"
