"""Java's object serialisation stream: the outermost class named, or the string inside.

Grammar: Java Object Serialization Specification, section 6.4. Only the head is read; nothing is
instantiated, and the content of fields stays bytes.
"""

from __future__ import annotations

import struct

from dashboard.cache.decode.bytes_views import raw
from dashboard.cache.decode.result import Drawn, Unwrapped

_MAGIC = b"\xac\xed\x00\x05"
_STRING, _LONG_STRING = 0x74, 0x7C
_CLASS_DESCRIPTION = 0x72
_KINDS = {
    0x70: "null", 0x73: "object", 0x75: "array", 0x76: "class", 0x77: "block of primitive data",
    0x78: "end of a block", 0x7A: "long block of primitive data", 0x7D: "proxy", 0x7E: "enum constant",
}  # fmt: skip
_TYPES = {
    "B": "byte", "C": "char", "D": "double", "F": "float", "I": "int", "J": "long", "S": "short", "Z": "boolean",
    "L": "object", "[": "array",
}  # fmt: skip
_MAX_FIELDS = 200
_RAW_SHOWN = 64 * 1024


class _Ended(Exception):
    """The head goes on beyond the bytes at hand, or is not as the specification says."""


def unwrap_java_string(data: bytes) -> Unwrapped | None:
    """The text of a stream that holds one string and nothing else (as Spring Data Redis writes them)."""
    if not data.startswith(_MAGIC) or len(data) < 7 or data[4] not in (_STRING, _LONG_STRING):
        return None
    head, form = (7, ">H") if data[4] == _STRING else (13, ">Q")
    if len(data) < head:
        return None
    size = struct.unpack_from(form, data, 5)[0]
    if len(data) > head + size:
        return None
    content = data[head : head + size]
    return Unwrapped("Java string", content, whole=len(content) == size)


def draw_java(data: bytes, *, limit: int) -> Drawn | None:
    """What kind of thing is serialised, its class, version and fields, then the bytes; None for other data."""
    if not data.startswith(_MAGIC) or (len(data) > 4 and data[4] not in (*_KINDS, _STRING, _LONG_STRING)):
        return None
    reader = _Reader(data, len(_MAGIC))
    lines: list[str] = []
    try:
        _describe(reader, lines)
    except _Ended:
        lines.append("…")
    content = raw(data, min(_RAW_SHOWN, limit))
    cut = "" if len(data) <= _RAW_SHOWN else "Of the bytes, only the first 64 KiB are shown."
    return Drawn("Java serialised", "\n".join([*lines, "", content]), cut, sure=True)


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def name(self) -> str:
        """Java's modified UTF-8, with its length in front."""
        text = self.take(self.number(">H")).decode("utf-8", "replace")
        return text if text.isprintable() else ascii(text)

    def take(self, size: int) -> bytes:
        part = self._data[self._position : self._position + size]
        if len(part) < size:
            raise _Ended
        self._position += size
        return part


def _describe(reader: _Reader, lines: list[str]) -> None:
    kind = reader.number(">B")
    lines.append(f"Java {_KINDS.get(kind, 'string')}")
    if kind not in (0x73, 0x75, 0x76, 0x7E) or reader.number(">B") != _CLASS_DESCRIPTION:
        return
    lines[0] += f" of class {reader.name()}"
    lines.append(f"serialVersionUID {reader.number('>q')}")
    reader.take(1)  # flags: whether the class writes itself
    for _ in range(min(reader.number(">H"), _MAX_FIELDS)):
        code = chr(reader.number(">B"))
        lines.append(f"field {reader.name()}: {_TYPES.get(code, code)}")
        if code in "L[" and reader.number(">B") == _STRING:
            lines[-1] += f" {reader.name()}"
