"""decode() on what somebody made to hurt: bombs, depth, lies about length, code in pickles, noise."""

from __future__ import annotations

import base64
import collections
import gzip
import json
import pickle
import random
import zlib
from pathlib import Path

import lz4.frame
import msgpack
import pytest
import zstandard

from dashboard.cache.decode import Decoded, decode

LIMIT = 256 * 1024


def bounded(data: bytes, *, complete: bool = True, limit: int = LIMIT) -> Decoded:
    found = decode(data, complete=complete, limit=limit)
    assert len(found.text.encode("utf-8")) <= limit
    assert len(found.layers) <= 8
    return found


def zstd_stream(window_log: int, megabytes: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return b"".join(stream.compress(b"a" * 2**20) for _ in range(megabytes)) + stream.flush()


def gzip_bomb(megabytes: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(stream.compress(b"\x00" * 2**20) for _ in range(megabytes)) + stream.flush()


def test_bombs_stop_at_the_limit() -> None:
    for bomb in (gzip_bomb(512), zstd_stream(20, 512), lz4.frame.compress(b"a" * 2**26), zlib.compress(b"a" * 2**26)):
        found = bounded(bomb)
        assert found.layers[-1].size == LIMIT
        assert not found.layers[-1].whole
        assert "Only the first 256.0 KiB inside" in found.cut


def test_a_bomb_in_a_bomb_stops_at_the_limit() -> None:
    found = bounded(zstandard.compress(gzip.compress(gzip_bomb(512))))
    assert found.chain[:3] == ("zstd", "gzip", "gzip")
    assert found.layers[-1].size == LIMIT


def test_endless_layers_are_not_followed() -> None:
    data = b"{}"
    for _ in range(30):
        data = gzip.compress(data)
    found = bounded(data)
    assert found.chain == ("gzip",) * 8
    assert "more layers" in found.cut


def test_an_enormous_zstd_window_is_refused() -> None:
    found = bounded(zstd_stream(27, 200))
    assert found.chain == ("zstd",)
    assert "window is larger than 32.0 MiB" in found.cut


def test_many_empty_members_end() -> None:
    assert "after the gzip stream are not shown" in bounded(gzip.compress(b"") * 20_000).cut
    assert "after the zstd stream are not shown" in bounded(zstandard.compress(b"") * 20_000).cut


@pytest.mark.parametrize(
    "deep",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"\x91" * 100_000 + b"\xc0",
        b"a:1:{i:0;" * 20_000 + b"i:1;" + b"}" * 20_000,
    ],
)
def test_depth_does_not_recurse(deep: bytes) -> None:
    assert "Nested deeper than 500 levels" in bounded(deep).cut


@pytest.mark.parametrize(
    "wide",
    [
        json.dumps([1] * 400_000).encode(),
        json.dumps({str(n): n for n in range(200_000)}).encode(),
        msgpack.packb([None] * 400_000),
        b"a:1:{i:0;" + b's:100000:"' + b"x" * 100_000 + b'";}',
        b'"' + b"\\u0000" * 300_000 + b'"',
        msgpack.packb(["\x00" * 300_000]),
        b"\x01" * 1_000_000,
        b"text " * 200_000,
        ("\u202e" * 300_000).encode(),
    ],
)
def test_the_text_is_bounded_however_it_grows(wide: bytes) -> None:
    bounded(wide)
    assert bounded(wide, limit=1000).cut


@pytest.mark.parametrize(
    "lie",
    [
        b"\xdd\xff\xff\xff\xff\x01",
        b"\xdf\xff\xff\xff\xff\xa1a\x01",
        b"\xc6\xff\xff\xff\xffab",
        b"\xc9\xff\xff\xff\xff\x05ab",
        b"a:9999999999:{i:0;i:1;}",
        b's:9999999999:"a";',
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\xac\xed\x00\x05|\xff\xff\xff\xff\xff\xff\xff\xffab",
        b"\xac\xed\x00\x05sr\xff\xffab",
        b"\xff\xff\xff\x7f\xf0abcdefgh",
    ],
)
def test_declared_lengths_are_not_believed(lie: bytes) -> None:
    for complete in (True, False):
        bounded(lie, complete=complete)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


class TestPickle:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_it_is_listed_and_never_loaded(self, tmp_path: Path, protocol: int) -> None:
        trap = tmp_path / "sprung"
        found = bounded(pickle.dumps(Trap(trap), protocol))
        assert found.chain == ("Python pickle",)
        assert "never loaded" in found.notes[0]
        assert found.text.rstrip().endswith("STOP")
        assert not trap.exists()

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_it_names_the_imports(self, protocol: int) -> None:
        found = bounded(
            zlib.compress(pickle.dumps([collections.OrderedDict(a=1), collections.Counter("ab")], protocol))
        )
        assert found.chain == ("zlib", "Python pickle")
        assert "imports collections.OrderedDict\nimports collections.Counter\n" in found.text

    def test_a_memo_bomb_is_a_short_list(self) -> None:
        bomb = b"\x80\x02]q\x00" + b"(h\x00h\x00e" * 30 + b"."
        assert bounded(bomb).chain == ("Python pickle",)

    def test_instructions_are_bounded(self) -> None:
        found = bounded(b"\x80\x02]" + b"Na" * 100_000 + b".", limit=4 * 2**20)
        assert found.cut == "Only the first 20000 instructions are shown."

    def test_a_huge_integer_is_described(self) -> None:
        found = bounded(b"\x80\x02\x8b\xff\xff\x03\x00" + b"\x7f" * 0x3FFFF + b".", limit=2**20)
        assert "(an integer of 2097143 bits)" in found.text
        bounded(b"\x80\x02L" + b"9" * 5000 + b"\n.")

    def test_a_prefix_is_listed(self) -> None:
        found = bounded(pickle.dumps({"key": list(range(100))})[:80], complete=False)
        assert found.chain == ("Python pickle",)
        assert 'SHORT_BINUNICODE "key"' in found.text


def corpus() -> list[bytes]:
    document = {"name": "café", "list": [1, 2.5, None, b"\x00".hex()], "deep": {"a": {"b": []}}}
    text = json.dumps(document).encode()
    return [
        text,
        gzip.compress(text, mtime=0),
        zlib.compress(text),
        zstandard.compress(text),
        lz4.frame.compress(text),
        base64.b64encode(gzip.compress(text, mtime=0)),
        msgpack.packb({**document, "b": b"\x00", "t": msgpack.Timestamp(1, 2), "e": msgpack.ExtType(1, b"a")}),
        *(pickle.dumps([document, collections.OrderedDict(a=1)], protocol) for protocol in range(6)),
        b'a:2:{i:0;s:3:"foo";s:1:"k";O:8:"stdClass":1:{s:1:"p";C:1:"X":3:{abc}}}',
        b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16`\xd1\x03\x00\x01F\x00\nloadFactorxp?@",
        b"\xac\xed\x00\x05t\x00\x02hi",
    ]


def mutated(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(changed) + 1)
        match source.randrange(5):
            case 0 if place < len(changed):
                changed[place] = source.randrange(256)
            case 1:
                changed[place:place] = source.randbytes(source.randint(1, 8))
            case 2:
                del changed[place : place + source.randint(1, 8)]
            case 3:
                changed[place:place] = changed[place : place + 20]
            case _ if place < len(changed):
                changed[place] ^= 1 << source.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(8))
def test_noise_never_raises_and_never_exceeds_the_limit(seed: int) -> None:
    source = random.Random(seed)
    values = corpus()
    for _ in range(600):
        limit = source.choice([0, 1, 5, 60, 1000, LIMIT])
        bounded(mutated(source, source.choice(values)), complete=source.random() < 0.7, limit=limit)
        bounded(source.randbytes(source.randrange(60)), complete=source.random() < 0.7, limit=limit)
