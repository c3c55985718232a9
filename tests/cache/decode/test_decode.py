"""decode(): what is recognised, what is left alone, and how it is shown."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib

import lz4.block
import lz4.frame
import msgpack
import pytest
import zstandard

from dashboard.cache.decode import decode

DOCUMENT = {"name": "café", "tags": ["a", 2, 2.5, None, True], "empty": {}, "none": []}
JSON = json.dumps(DOCUMENT).encode()
DRAWN = """{
  "name": "café",
  "tags": [
    "a",
    2,
    2.5,
    null,
    true
  ],
  "empty": {},
  "none": []
}"""


def test_it_draws_json() -> None:
    found = decode(JSON)
    assert (found.chain, found.text, found.cut, found.notes) == (("JSON",), DRAWN, "", ())


@pytest.mark.parametrize(
    ("wrapped", "chain"),
    [
        (gzip.compress(JSON, mtime=0), ("gzip", "JSON")),
        (gzip.compress(JSON[:9], mtime=0) + gzip.compress(JSON[9:], mtime=0), ("gzip", "JSON")),
        (zlib.compress(JSON), ("zlib", "JSON")),
        (zstandard.compress(JSON), ("zstd", "JSON")),
        (zstandard.compress(JSON[:9]) + zstandard.compress(JSON[9:]), ("zstd", "JSON")),
        (lz4.frame.compress(JSON), ("LZ4", "JSON")),
        (lz4.frame.compress(JSON[:9]) + lz4.frame.compress(JSON[9:]), ("LZ4", "JSON")),
        (lz4.block.compress(JSON + b" " * 300), ("LZ4 block", "JSON")),
        (base64.b64encode(JSON), ("base64", "JSON")),
        (base64.encodebytes(JSON), ("base64", "JSON")),
        (base64.urlsafe_b64encode(gzip.compress(JSON, mtime=0)).rstrip(b"="), ("base64", "gzip", "JSON")),
        (zstandard.compress(base64.b64encode(zlib.compress(JSON))), ("zstd", "base64", "zlib", "JSON")),
        (b"\xac\xed\x00\x05t\x00" + bytes([len(JSON)]) + JSON, ("Java string", "JSON")),
        (msgpack.packb(DOCUMENT), ("MessagePack",)),
        (base64.b64encode(msgpack.packb(DOCUMENT)), ("base64", "MessagePack")),
    ],
)
def test_it_unwraps(wrapped: bytes, chain: tuple[str, ...]) -> None:
    found = decode(wrapped)
    assert (found.chain, found.text, found.cut) == (chain, DRAWN, "")
    assert found.layers[0].size == len(wrapped)
    assert all(layer.whole for layer in found.layers)


def test_it_tells_the_size_of_each_layer() -> None:
    packed = zstandard.compress(JSON)
    assert [layer.size for layer in decode(base64.b64encode(packed)).layers] == [
        len(base64.b64encode(packed)),
        len(packed),
        len(JSON),
    ]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"", "empty"),
        (b"42", "integer"),
        (b"-7", "integer"),
        (b"007", "text"),
        (b"4.5", "text"),
        (b"true", "text"),
        (b"hello", "text"),
        (b"password", "text"),
        (b"Zm9vYmFy", "text"),
        (b"d41d8cd98f00b204e9800998ecf8427e", "text"),
        (b"The quick brown fox.\r\n\tjumps", "text"),
        (b"[INFO] started", "text"),
        (b"{not json}", "text"),
        (b'{"a": 1} trailing', "text"),
        (b"[1, 2", "text"),
        (b"x^2 + y", "text"),
        (b"a:1 is a ratio", "text"),
        (b"I42\n.", "text"),
        (b"(see above).", "text"),
        (b"cafe.", "text"),
        ("größe".encode(), "text"),
        ("größe".encode("latin-1"), "binary"),
        (b"\x00\x00\x00\x2a", "binary"),
        (b"\xff\xfe\xfd", "binary"),
        (b"\xc3", "binary"),
        (b"\x89PNG\r\n\x1a\n0000", "PNG image"),
        (b"HYLL\x01\x00\x00\x00" + b"\x00" * 8, "HyperLogLog"),
        (b"\x04\x08[\x07i\x06i\x07", "Ruby Marshal"),
    ],
)
def test_it_does_not_see_more_than_there_is(value: bytes, name: str) -> None:
    assert decode(value).chain == (name,)


def test_random_bytes_are_binary() -> None:
    source = random.Random(7)
    values = [source.randbytes(size) for size in range(4, 104) for _ in range(20)]
    misread = [value for value in values if decode(value).chain not in (("binary",), ("text",))]
    # MessagePack is dense: a few short values in a thousand are valid by chance, whoever looks.
    assert len(misread) < len(values) * 0.004


def test_a_prefix_is_decoded_as_far_as_it_goes_and_says_so() -> None:
    long = json.dumps([{"id": number, "name": f"user {number}"} for number in range(20_000)]).encode()
    for packed in (long, gzip.compress(long), zlib.compress(long), zstandard.compress(long), lz4.frame.compress(long)):
        found = decode(packed[: len(packed) // 2], complete=False)
        assert found.chain[-1] == "JSON"
        assert found.text.startswith('[\n  {\n    "id": 0,\n    "name": "user 0"\n  },')
        assert found.text.endswith("…")
        assert "beginning of a longer value" in found.cut
        assert not found.layers[0].whole


@pytest.mark.parametrize("length", range(1, len(JSON)))
def test_every_prefix_of_json_is_json_or_text(length: int) -> None:
    assert decode(JSON[:length], complete=False).chain in (("JSON",), ("text",))
    assert decode(JSON[:length]).chain == ("text",) or JSON[length - 1] == 0xC3


def test_a_prefix_of_messagepack_is_drawn() -> None:
    found = decode(msgpack.packb({"name": "x" * 50, "blob": b"\x00" * 1000})[:100], complete=False)
    assert found.chain == ("MessagePack",)
    assert '"blob": b"\\x00\\x00' in found.text


def test_a_prefix_of_base64_is_unwrapped() -> None:
    found = decode(base64.b64encode(JSON)[:31], complete=False)
    assert found.chain == ("base64", "JSON")


def test_a_damaged_stream_shows_what_came_before() -> None:
    noise = random.Random(3).randbytes(300_000).hex().encode()
    packed = bytearray(gzip.compress(b'{"a": "' + noise + b'"}'))
    packed[-100:] = b"\xff" * 100
    found = decode(bytes(packed))
    assert found.chain == ("gzip", "JSON")
    assert "cannot be unpacked beyond" in found.cut or "breaks off" in found.cut


def test_what_follows_a_stream_is_mentioned() -> None:
    assert decode(zstandard.compress(JSON) + b"tail").cut == "4 bytes after the zstd stream are not shown."


def test_a_zstd_dictionary_is_named_as_the_reason() -> None:
    samples = [f'{{"user": {n}, "name": "name {n}", "mail": "{n}@example.org"}}'.encode() for n in range(2000)]
    dictionary = zstandard.train_dictionary(4096, samples)
    packed = zstandard.ZstdCompressor(dict_data=dictionary).compress(samples[7])
    found = decode(packed)
    assert found.chain == ("zstd",)
    assert "dictionary" in found.cut


class TestJson:
    def test_nothing_is_lost(self) -> None:
        huge = "9" * 5000
        found = decode(f'{{"a": 1, "a": 2, "b": 1.00, "c": 1E2, "d": {huge}}}'.encode())
        assert found.text == f'{{\n  "a": 1,\n  "a": 2,\n  "b": 1.00,\n  "c": 1E2,\n  "d": {huge}\n}}'

    def test_nan_is_noted(self) -> None:
        found = decode(b'{"a": NaN, "b": [Infinity, -Infinity]}')
        assert (found.chain, found.notes) == (("JSON",), ("NaN is not standard JSON.",))

    def test_lone_surrogates_and_invisible_characters_stay_escaped(self) -> None:
        found = decode(b'["\\ud800", "\\u0000", "\\u202e", "\\u00e9", "\\ud83d\\ude00", "\xe2\x80\xae"]')
        assert found.text.split() == [
            "[", '"\\ud800",', '"\\u0000",', '"\\u202e",', '"é",', '"😀",', '"\\u202e"', "]",
        ]  # fmt: skip

    def test_a_byte_order_mark_does_not_hide_it(self) -> None:
        assert decode(b"\xef\xbb\xbf" + JSON).chain == ("JSON",)

    @pytest.mark.parametrize(
        "text",
        ["[1,]", "[,1]", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "[1 2]", '["\n"]', '["\\q"]', "[01]", "[1]]", "[}"],
    )
    def test_what_is_not_json_is_text(self, text: str) -> None:
        assert decode(text.encode()).chain == ("text",)


class TestMessagePack:
    def test_bytes_extensions_and_timestamps_are_shown(self) -> None:
        found = decode(
            msgpack.packb(
                {
                    "raw": b"\x00\xff\n",
                    "ext": msgpack.ExtType(5, b"abc"),
                    "at": msgpack.Timestamp(1700000000, 5),
                    "then": msgpack.Timestamp(1700000000),
                    "before": msgpack.Timestamp(-1, 0),
                    3: -5,
                }
            )
        )
        assert found.chain == ("MessagePack",)
        assert [line.strip().rstrip(",") for line in found.text.splitlines()[1:-1]] == [
            '"raw": b"\\x00\\xff\\n"',
            '"ext": ext(5, b"abc")',
            '"at": timestamp(2023-11-14T22:13:20.000000005Z)',
            '"then": timestamp(2023-11-14T22:13:20Z)',
            '"before": timestamp(1969-12-31T23:59:59Z)',
            "3: -5",
        ]

    @pytest.mark.parametrize(
        "value",
        [0, 127, 128, 255, 65535, 65536, 2**32, 2**64 - 1, -1, -32, -33, -129, -40000, -(2**40), -(2**63), 1.5, True],
    )
    def test_numbers_are_exact(self, value: float) -> None:
        assert decode(msgpack.packb([value, "x"])).text == f'[\n  {str(value).replace("True", "true")},\n  "x"\n]'

    def test_something_behind_it_makes_it_binary(self) -> None:
        assert decode(msgpack.packb(DOCUMENT) + b"\x01").chain == ("binary",)


class TestOtherLanguages:
    def test_php_is_drawn(self) -> None:
        found = decode(
            b'a:3:{i:0;s:5:"caf\xc3\xa9";s:1:"k";O:8:"stdClass":1:{s:4:"\x00*\x00p";b:1;}i:7;E:11:"Suit:Hearts";}'
        )
        assert found.chain == ("PHP serialised",)
        assert '0: "café"' in found.text
        assert '"k": stdClass {' in found.text
        assert '"\\u0000*\\u0000p": true' in found.text
        assert "7: Suit:Hearts" in found.text

    @pytest.mark.parametrize(("value", "text"), [(b"i:42;", "42"), (b's:2:"hi";', '"hi"'), (b"d:0.5;", "0.5")])
    def test_php_scalars_are_recognised(self, value: bytes, text: str) -> None:
        assert (decode(value).chain, decode(value).text) == (("PHP serialised",), text)

    @pytest.mark.parametrize("value", [b"a:2:{i:0;i:1;}", b's:3:"hi";', b"i:42;x", b"a:1:{a:0:{}i:1;}"])
    def test_malformed_php_is_text(self, value: bytes) -> None:
        assert decode(value).chain == ("text",)

    def test_a_java_object_is_named(self) -> None:
        found = decode(
            b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16`\xd1\x03\x00\x02"
            b"F\x00\nloadFactorI\x00\tthresholdxp?@\x00\x00"
        )
        assert found.chain == ("Java serialised",)
        assert found.text.splitlines()[:4] == [
            "Java object of class java.util.HashMap",
            "serialVersionUID 362498820763181265",
            "field loadFactor: float",
            "field threshold: int",
        ]
