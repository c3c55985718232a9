"""A message before it is published: what may be sent, and what is added to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboard.cache.messages.draft import MOST_BYTES, REPLY_PREFIX, BadDraft, Draft
from dashboard.cache.messages.told_form import asking, fields_of


def text(payload: bytes, *, asks: bool = True) -> Any:
    return Draft(b"c", "text", text=payload).prepared("shop", asks=asks)


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"channel": b"", "form": "text"}, "channel", "1 to 1,024 bytes"),
        ({"channel": b"c" * 1025, "form": "text"}, "channel", "1 to 1,024 bytes"),
        ({"form": "keys"}, "keys", "no key in it"),
        ({"form": "keys", "keys": (b"a",) * 501}, "keys", "At most 500"),
        ({"form": "pattern"}, "pattern", "empty"),
        ({"form": "pattern", "pattern": b"*a" * 17}, "pattern", "at most 16 stars"),
        ({"form": "tags"}, "tags", "at least one"),
        ({"form": "tags", "tags": (b"a", b"")}, "tags", "at least one"),
        ({"form": "tags", "tags": (b"a",) * 101}, "tags", "At most 100"),
        ({"form": "tags", "tags": (b"a" * 1025,)}, "tags", "1,024 bytes"),
        ({"form": "text", "text": b"x" * (MOST_BYTES + 1)}, "text", "at most 10 MB"),
        ({"form": "else"}, "form", "keys, a pattern or tags"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_field(fields: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(BadDraft) as error:
        Draft(**{"channel": b"c", **fields})
    assert error.value.field == field
    assert sentence in str(error.value)


def test_each_message_has_an_id_and_a_reply_channel_of_its_own() -> None:
    draft = Draft(b"c", "keys", keys=(b"a",))
    first, second = draft.prepared("shop", asks=True), draft.prepared("shop", asks=True)
    assert first.id != second.id
    assert first.reply == REPLY_PREFIX + first.id
    assert json.loads(first.payload)["reply"] == first.reply


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"text",
        b"\xff\x00",
        b"[1]",
        b"7",
        b'"{}"',
        b"{",
        b"{}x",
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 90_000,
    ],
)
def test_raw_text_that_is_no_object_is_sent_as_it_is_and_cannot_be_acknowledged(payload: bytes) -> None:
    prepared = text(payload)
    assert (prepared.payload, prepared.id, prepared.reply) == (payload, "", "")


@pytest.mark.parametrize("payload", [b"{}", b' { "a" : 1.50 ,"b":{"c":"}"} } \n', '{"ä":"\\u00e4"}'.encode()])
def test_raw_objects_get_two_fields_and_keep_every_other_byte(payload: bytes) -> None:
    prepared = text(payload)
    found = json.loads(prepared.payload)
    assert (found.pop("id"), found.pop("reply")) == (prepared.id, prepared.reply)
    assert found == json.loads(payload)
    assert prepared.payload.startswith(payload.rstrip()[:-1].rstrip())
    assert text(payload, asks=False).payload == payload


def test_a_raw_object_that_names_itself_stays_as_it_is() -> None:
    payload = b'{"id":"mine","reply":"answers"}'
    prepared = text(payload)
    assert (prepared.payload, prepared.id, prepared.reply) == (payload, "mine", "answers")
    for odd in (b'{"id":"mine"}', b'{"id":7,"reply":"a"}', b'{"id":"m","reply":""}', b'{"id":"","reply":"a"}'):
        prepared = text(odd)
        assert (prepared.payload, prepared.id) == (odd, "")


def test_it_is_told_in_words_that_name_what_it_is_about() -> None:
    assert Draft(b"c", "keys", keys=(b"\xff",)).in_words == "the key \\xff"
    assert Draft(b"c", "pattern", pattern=b"api:*").in_words == "keys of api:*"
    assert Draft(b"c", "tags", tags=(b"red",)).in_words == "the tag red"
    assert Draft(b"c", "tags", tags=(b"x" * 500, b"y")).in_words.startswith("2 tags (xxx")
    assert Draft(b"c", "text", text=b"secret").in_words == "raw text"


def test_fields_are_those_of_one_object_in_utf_8() -> None:
    assert fields_of(b'{"a":1}') == {"a": 1}
    assert fields_of('{"a":1}'.encode("utf-16")) is None
    assert asking(b"{}", "i", "r") == b'{"id":"i","reply":"r"}'
