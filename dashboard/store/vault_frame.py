"""How records stand in the vault's files: frames of many records each, and entries of the index. Bytes only.

A frame is a head (magic, version, number of records, lengths, when it was written, CRC-32 of the body, CRC-32 of the
head) and a body, compressed by zstd at its fastest level. The body is in columns, because these are packed and read by
a few calls into C for thousands of records, and compress better: lengths of names, lengths of dumps, TTLs, clocks, all
names, all dumps.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import zstandard

Record: TypeAlias = tuple[bytes, int, int, bytes]
"""A key's name, its TTL in ms (-1: none), the server's clock in ms when both were read, and its DUMP."""

VERSION = 1
_MAGIC = b"CDVF"
_HEAD = struct.Struct("<4sHHIQQqI")  # magic, version, spare, records, bytes of the body unpacked and packed, ms, CRC-32
_CHECK = struct.Struct("<I")
HEAD_BYTES = _HEAD.size + _CHECK.size
_ENTRY = struct.Struct("<QQqII")  # offset and length of the frame in bytes, ms, records, CRC-32 of the body
ENTRY_BYTES = _ENTRY.size + _CHECK.size


class BadFrame(ValueError):
    """Bytes that are no frame, or no longer the frame that was written; the text says what is wrong with them."""


@dataclass(frozen=True)
class Slot:
    """Where a frame stands. `length` includes the head; `written_ms` is our clock."""

    offset: int
    length: int
    written_ms: int
    keys: int
    crc: int

    @property
    def end(self) -> int:
        return self.offset + self.length

    def packed(self) -> bytes:
        """The frame's entry in the index; slot_of() reads it."""
        entry = _ENTRY.pack(self.offset, self.length, self.written_ms, self.keys, self.crc)
        return entry + _CHECK.pack(zlib.crc32(entry))


def slot_of(entry: bytes) -> Slot | None:
    """The slot that an entry of the index tells of; None where the entry is damaged."""
    if len(entry) != ENTRY_BYTES or zlib.crc32(entry[: _ENTRY.size]) != _CHECK.unpack_from(entry, _ENTRY.size)[0]:
        return None
    return Slot(*_ENTRY.unpack_from(entry))


def slot_at(offset: int, head: bytes) -> Slot | None:
    """The slot that a frame's own head tells of; None where this is no head."""
    if len(head) < HEAD_BYTES or zlib.crc32(head[: _HEAD.size]) != _CHECK.unpack_from(head, _HEAD.size)[0]:
        return None
    magic, _version, _spare, keys, _unpacked, packed, written_ms, crc = _HEAD.unpack_from(head)
    return Slot(offset, HEAD_BYTES + packed, written_ms, keys, crc) if magic == _MAGIC else None


def whole(slot: Slot, frame: bytes) -> bool:
    """Whether all bytes of a frame are there and are those that were written."""
    return len(frame) == slot.length and zlib.crc32(memoryview(frame)[HEAD_BYTES:]) == slot.crc


def pack(records: Sequence[Record], written_ms: int, compressor: zstandard.ZstdCompressor) -> tuple[bytes, int]:
    """The frame of some records, and the CRC-32 of its body. Raises struct.error for lengths of 4 GB and more."""
    names, ttls, clocks, dumps = zip(*records, strict=True)
    count = len(records)
    lengths, times = struct.Struct(f"<{count}I"), struct.Struct(f"<{count}q")
    unpacked = b"".join(
        (
            lengths.pack(*map(len, names)),
            lengths.pack(*map(len, dumps)),
            times.pack(*ttls),
            times.pack(*clocks),
            *names,
            *dumps,
        )
    )
    body = compressor.compress(unpacked)
    crc = zlib.crc32(body)
    head = _HEAD.pack(_MAGIC, VERSION, 0, count, len(unpacked), len(body), written_ms, crc)
    return b"".join((head, _CHECK.pack(zlib.crc32(head)), body)), crc


def unpack(slot: Slot, frame: bytes) -> list[Record]:
    """The records of a frame. Raises BadFrame."""
    told = slot_at(slot.offset, frame)
    if told is None:
        raise BadFrame("its head is not what was written")
    if told != slot or not whole(slot, frame):
        raise BadFrame("its checksum does not match")
    version, count, size = _HEAD.unpack_from(frame)[1], slot.keys, _HEAD.unpack_from(frame)[4]
    if version != VERSION:
        raise BadFrame(f"it is of version {version}, which this version of Cachedeck cannot read")
    try:
        body = zstandard.ZstdDecompressor().decompress(memoryview(frame)[HEAD_BYTES:], max_output_size=size)
    except zstandard.ZstdError as error:
        raise BadFrame("it cannot be decompressed") from error
    return _records(body, count)


def _records(body: bytes, count: int) -> list[Record]:
    name_lengths = struct.unpack_from(f"<{count}I", body)
    dump_lengths = struct.unpack_from(f"<{count}I", body, 4 * count)
    ttls = struct.unpack_from(f"<{count}q", body, 8 * count)
    clocks = struct.unpack_from(f"<{count}q", body, 16 * count)
    bounds = list(accumulate(name_lengths + dump_lengths, initial=24 * count))
    parts = list(map(body.__getitem__, map(slice, bounds, bounds[1:])))
    return list(zip(parts[:count], ttls, clocks, parts[count:], strict=True))
