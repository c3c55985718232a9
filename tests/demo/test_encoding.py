"""Values as they lie in the cache."""

from __future__ import annotations

import json

import pytest
import zstandard

from dashboard.demo.encoding import COMPRESS_FROM, LARGEST, ZSTD_MAGIC, Undecodable, decode, encode

SMALL_DOCUMENT = {"name": "Zoë", "posts": 3}
LARGE_DOCUMENT = {"text": "word " * COMPRESS_FROM}


@pytest.mark.parametrize("document", [SMALL_DOCUMENT, LARGE_DOCUMENT, {}, None])
def test_what_is_encoded_comes_back(document: dict[str, object] | None) -> None:
    assert decode(encode(document)) == document


def test_small_documents_are_plain_json() -> None:
    assert json.loads(encode(SMALL_DOCUMENT)) == SMALL_DOCUMENT


def test_large_documents_are_compressed() -> None:
    stored = encode(LARGE_DOCUMENT)
    assert stored.startswith(ZSTD_MAGIC)
    assert len(stored) < COMPRESS_FROM


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xff\x00",
        b"{",
        b"[1]",
        b'"text"',
        b"[" * 100_000,
        ZSTD_MAGIC,
        ZSTD_MAGIC + b"garbage",
        encode(LARGE_DOCUMENT)[:-5],
        zstandard.compress(b"not JSON"),
        zstandard.compress(b'{"bomb":"' + b"a" * 2 * LARGEST + b'"}'),
    ],
    ids=range(11),
)
def test_anything_else_is_refused(stored: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(stored)
