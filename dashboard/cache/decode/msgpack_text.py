"""MessagePack (github.com/msgpack/msgpack, spec.md) drawn as JSON-like text, read without building it.

Almost any bytes are the beginning of some MessagePack, so that recognising is the art: the whole
value must be exactly one array, map, string or binary, with text where the format promises text.
"""

from __future__ import annotations

import codecs
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.cache.decode.outline import Malformed, Outline, Short, finish, quote_bytes
from dashboard.cache.decode.result import Drawn

_BYTES_SHOWN = 4096
_TIMESTAMP = -1

# first byte -> (kind, struct format of the number that follows)
_SIZED = {
    0xC4: ("bin", ">B"), 0xC5: ("bin", ">H"), 0xC6: ("bin", ">I"),
    0xC7: ("ext", ">B"), 0xC8: ("ext", ">H"), 0xC9: ("ext", ">I"),
    0xD9: ("str", ">B"), 0xDA: ("str", ">H"), 0xDB: ("str", ">I"),
    0xDC: ("array", ">H"), 0xDD: ("array", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I"),
}  # fmt: skip
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_WORDS = {0xC0: "null", 0xC2: "false", 0xC3: "true"}
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_ROOTS = frozenset([*range(0x80, 0xC0), *_SIZED])


def draw_msgpack(data: bytes, *, complete: bool, limit: int) -> Drawn | None:
    """One MessagePack array, map, string or binary that fills `data` exactly (or that data is a prefix of)."""
    if not data or data[0] not in _ROOTS:
        return None
    walk = _Walk(data, Outline(limit), complete=complete)
    drawn = finish("MessagePack", walk.outline, walk.run, complete=complete)
    if drawn is None or not walk.believable():
        return None
    return Drawn(drawn.name, drawn.text, drawn.cut, sure=walk.sure())


@dataclass
class _Open:
    """An array or map that is being read. `left`: items to come, where a pair counts as two."""

    left: int
    is_map: bool


class _Walk:
    def __init__(self, data: bytes, outline: Outline, *, complete: bool) -> None:
        self.outline = outline
        self._data = data
        self._complete = complete
        self._position = 0
        self._open: list[_Open] = []
        self._root = ""
        self._letters = 0  # in whole strings: random bytes hardly spell any

    def sure(self) -> bool:
        return self._letters >= (3 if self._root == "map" else 6) and len(self._data) >= 8

    def believable(self) -> bool:
        if self._complete:
            return self._root in ("map", "array") or len(self._data) >= 3
        return len(self._data) >= 16 and (self.sure() or (self._root == "map" and self._letters > 0))

    def run(self) -> None:
        self._item()
        while self._open:
            top = self._open[-1]
            if top.left == 0:
                self._open.pop()
                self.outline.close()
                continue
            top.left -= 1
            self._item(key=top.is_map and top.left % 2 == 1)
        if self._position != len(self._data):
            raise Malformed

    def _item(self, *, key: bool = False) -> None:
        first = self._take(1)[0]
        kind, number = self._header(first)
        if not self._root:
            self._root = kind
        if kind in ("array", "map"):
            self._begin(kind, number, key=key)
            return
        shown, broken_off = self._scalar(kind, number, first)
        if key:
            self.outline.key(shown)
        else:
            self.outline.value(shown)
        if broken_off:
            raise Short

    def _header(self, first: int) -> tuple[str, int]:
        """The kind, and the number of bytes or items (of nothing else) that it declares."""
        if 0x80 <= first < 0x90:
            return "map", first & 0x0F
        if 0x90 <= first < 0xA0:
            return "array", first & 0x0F
        if 0xA0 <= first < 0xC0:
            return "str", first & 0x1F
        if first in _SIZED:
            kind, form = _SIZED[first]
            return kind, int(self._number(form))
        if first in _FIXED_EXT:
            return "ext", _FIXED_EXT[first]
        return "plain", 0

    def _begin(self, kind: str, count: int, *, key: bool) -> None:
        if key:
            raise Malformed
        count *= 2 if kind == "map" else 1
        if self._complete and count > len(self._data) - self._position:
            raise Malformed  # each item takes a byte at least
        self.outline.open(*("{}" if kind == "map" else "[]"))
        self._open.append(_Open(count, kind == "map"))

    def _scalar(self, kind: str, number: int, first: int) -> tuple[str, bool]:
        """How it is shown, and whether a prefix breaks off inside it."""
        if kind == "str":
            return self._text(number)
        if kind == "bin":
            data, broken_off = self._take_some(number)
            return quote_bytes(data, _BYTES_SHOWN), broken_off
        if kind == "ext":
            return self._extension(number), False
        if first in _WORDS:
            return _WORDS[first], False
        if first in _NUMBERS:
            number_read = self._number(_NUMBERS[first])
            return (repr(number_read) if first != 0xCA else f"{number_read:.9g}"), False
        if first == 0xC1:
            raise Malformed
        return str(first if first < 0x80 else first - 256), False

    def _text(self, size: int) -> tuple[str, bool]:
        data, broken_off = self._take_some(size)
        try:
            text, _ = codecs.utf_8_decode(data, "strict", not broken_off)
        except UnicodeDecodeError:
            raise Malformed from None
        if not broken_off and text[:64].isprintable():
            self._letters += len(text)
        return self.outline.quoted(text), broken_off

    def _extension(self, size: int) -> str:
        code = int(self._number(">b"))
        data = self._take(size)
        if code == _TIMESTAMP and (stamp := _timestamp(data)):
            return f"timestamp({stamp})"
        return f"ext({code}, {quote_bytes(data, _BYTES_SHOWN)})"

    def _number(self, form: str) -> int | float:
        number: int | float = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return number

    def _take(self, size: int) -> bytes:
        data, broken_off = self._take_some(size)
        if broken_off:
            raise Short
        return data

    def _take_some(self, size: int) -> tuple[bytes, bool]:
        data = self._data[self._position : self._position + size]
        if len(data) < size and self._complete:
            raise Malformed
        self._position += len(data)
        return data, len(data) < size


def _timestamp(data: bytes) -> str:
    """The timestamp extension of 4, 8 or 12 bytes; '' where it is none, or beyond the years 1 to 9999."""
    nanoseconds = 0
    if len(data) == 4:
        seconds = struct.unpack(">I", data)[0]
    elif len(data) == 8:
        both = struct.unpack(">Q", data)[0]
        nanoseconds, seconds = both >> 34, both & (1 << 34) - 1
    elif len(data) == 12:
        nanoseconds, seconds = struct.unpack(">Iq", data)
    else:
        return ""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return ""
    fraction = f".{nanoseconds:09d}" if nanoseconds else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
