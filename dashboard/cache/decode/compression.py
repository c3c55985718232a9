"""gzip, zlib, zstd and LZ4, unpacked as streams that stop at a limit, however much more there is."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator

import lz4.block
import lz4.frame
import zstandard

from dashboard.cache.decode.result import MIB, Unwrapped, human_size

# RFC 8878 asks decoders for 8 MiB; level 20 makes 32 MiB. `--long` and level 22 go beyond, and a header may
# claim terabytes.
ZSTD_MAX_WINDOW = 32 * MIB
# A block of zstd is 3 bytes at least and 128 KiB at most: 96 bytes become 4 MiB and no more.
_ZSTD_CHUNK = 96
_CHUNK = 256 * 1024
_MAX_MEMBERS = 1000

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LZ4_MAGIC = b"\x04\x22\x4d\x18"
_GZIP_MAGIC = b"\x1f\x8b\x08"


class _Early(Exception):
    """The stream ends before its end."""


class _Trailing(Exception):
    """Something else follows the stream."""


def unpack(data: bytes, limit: int, *, complete: bool = True) -> Unwrapped | None:
    """What is inside a compressed stream, at most `limit` bytes of it; None where it is none.

    A stream that breaks off or is damaged gives what came before, and `cut` says so.
    """
    if data.startswith(_GZIP_MAGIC):
        return _collect("gzip", _gzip(memoryview(data)), limit, complete=complete)
    if data.startswith(_ZSTD_MAGIC):
        return _collect("zstd", _zstd(memoryview(data)), limit, complete=complete)
    if data.startswith(_LZ4_MAGIC):
        return _collect("LZ4", _lz4(memoryview(data)), limit, complete=complete)
    if _looks_like_zlib(data):
        found = _collect("zlib", _zlib(memoryview(data)), limit, complete=complete)
        # Two bytes are a weak sign: only a stream that is right up to its checksum, or that goes on, counts.
        return found if found.sure else None
    return None


def unpack_lz4_block(data: bytes, limit: int) -> Unwrapped | None:
    """A bare LZ4 block with the size in front (what lz4.block.compress writes); the caller must doubt it."""
    if len(data) < 8:
        return None
    size = struct.unpack_from("<I", data)[0]
    if not 8 <= size <= min(limit, 255 * len(data)):  # LZ4 cannot compress further than 1:255
        return None
    try:
        return Unwrapped("LZ4 block", lz4.block.decompress(data), whole=True)
    except (lz4.block.LZ4BlockError, ValueError):
        return None


def _looks_like_zlib(data: bytes) -> bool:
    """RFC 1950: deflate with a window of at most 32 KiB, no preset dictionary, header a multiple of 31."""
    return (
        len(data) >= 6
        and data[0] & 0x0F == 8
        and data[0] >> 4 <= 7
        and not data[1] & 0x20
        and (data[0] << 8 | data[1]) % 31 == 0
    )


def _collect(name: str, pieces: Iterator[bytes], limit: int, *, complete: bool) -> Unwrapped:
    found: list[bytes] = []
    size = 0
    cut = ""
    sound = True
    try:
        for piece in pieces:
            found.append(piece)
            size += len(piece)
            if size > limit:
                cut = f"Only the first {human_size(limit)} inside {name} were unpacked."
                break
    except _Early:
        cut = f"The {name} stream breaks off after {human_size(size)} of content."
        sound = not complete and size >= 16
    except _Trailing as trailing:
        cut = f"{trailing} after the {name} stream are not shown."
    except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError, MemoryError, ValueError) as error:
        cut = f"The {name} stream cannot be unpacked beyond {human_size(size)}: {_reason(error)}"
        sound = False
    data = b"".join(found)[:limit]
    return Unwrapped(name, data, whole=not cut, cut=cut, sure=sound or (size >= 64 and name != "zlib"))


def _reason(error: Exception) -> str:
    text = str(error)
    if "too much memory" in text:
        return f"its window is larger than {human_size(ZSTD_MAX_WINDOW)}."
    if "ictionary" in text:
        return "it was made with a dictionary that is not here."
    return "it is damaged."


def _zlib(data: memoryview) -> Iterator[bytes]:
    rest = yield from _inflate(data, zlib.MAX_WBITS)
    if rest:
        raise _Trailing(human_size(len(rest)))


def _gzip(data: memoryview) -> Iterator[bytes]:
    """RFC 1952: members one after another."""
    for _ in range(_MAX_MEMBERS):
        data = yield from _inflate(data, zlib.MAX_WBITS | 16)
        if not data:
            return
        if data[: len(_GZIP_MAGIC)] != _GZIP_MAGIC:
            break
    raise _Trailing(human_size(len(data)))


def _inflate(data: memoryview, window_bits: int) -> Generator[bytes, None, memoryview]:
    """Yields pieces of at most 256 KiB and returns what follows the stream."""
    unpacker = zlib.decompressobj(window_bits)
    position = 0
    while not unpacker.eof:
        part = data[position : position + _CHUNK]
        if not part:
            raise _Early
        piece = unpacker.decompress(part, _CHUNK)
        position += len(part) - len(unpacker.unconsumed_tail) - len(unpacker.unused_data)
        if piece:
            yield piece
    return data[position:]


def _zstd(data: memoryview) -> Iterator[bytes]:
    for _ in range(_MAX_MEMBERS):
        unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_MAX_WINDOW).decompressobj()
        position = 0
        while not unpacker.eof:
            part = data[position : position + _ZSTD_CHUNK]
            if not part:
                raise _Early
            piece = unpacker.decompress(part)
            position += len(part)
            if piece:
                yield piece
        data = data[position - len(unpacker.unused_data) :]
        if not data:
            return
        if data[: len(_ZSTD_MAGIC)] != _ZSTD_MAGIC:
            break
    raise _Trailing(human_size(len(data)))


def _lz4(data: memoryview) -> Iterator[bytes]:
    for _ in range(_MAX_MEMBERS):
        unpacker = lz4.frame.LZ4FrameDecompressor()
        position = 0
        while not unpacker.eof:
            part = data[position : position + _CHUNK] if unpacker.needs_input else data[:0]
            if unpacker.needs_input and not part:
                raise _Early
            piece = unpacker.decompress(part, _CHUNK)
            position += len(part)
            if piece:
                yield piece
        data = data[position - len(unpacker.unused_data or b"") :]
        if not data:
            return
        if data[: len(_LZ4_MAGIC)] != _LZ4_MAGIC:
            break
    raise _Trailing(human_size(len(data)))
