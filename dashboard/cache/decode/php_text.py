"""PHP's serialize() format drawn as text; nothing is instantiated.

Format: the PHP manual's serialize() page and php-src ext/standard/var_unserializer.re.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from dashboard.cache.decode.outline import Malformed, Outline, Short, finish, quote_bytes
from dashboard.cache.decode.result import Drawn

_BYTES_SHOWN = 4096
_BEGINS = re.compile(rb'(?:[aOCsE]:[0-9]{1,10}:[{"]|i:-?[0-9]+;|b:[01];|d:[-0-9.INF]|N;)')
_SCALAR = re.compile(
    rb"N;|b:([01]);|i:(-?[0-9]{1,20});|d:(-?[0-9.]{1,400}(?:[eE][+-]?[0-9]+)?|-?INF|NAN);|([rR]):([0-9]{1,10});"
)
_STRING = re.compile(rb's:([0-9]{1,10}):"')
_ARRAY = re.compile(rb"a:([0-9]{1,10}):\{")
_OBJECT = re.compile(rb'O:[0-9]{1,10}:"([^"]{1,500})":([0-9]{1,10}):\{')
_CUSTOM = re.compile(rb'C:[0-9]{1,10}:"([^"]{1,500})":([0-9]{1,10}):\{')
_ENUM = re.compile(rb'E:[0-9]{1,10}:"([^"]{1,500})";')


def draw_php(data: bytes, *, complete: bool, limit: int) -> Drawn | None:
    """One serialised PHP value that fills `data` exactly (or that data is a prefix of)."""
    if not _BEGINS.match(data):
        return None
    walk = _Walk(data, Outline(limit), complete=complete)
    drawn = finish("PHP serialised", walk.outline, walk.run, complete=complete)
    if drawn is None or walk.outline.values == 0:
        return None
    return Drawn(drawn.name, drawn.text, drawn.cut, sure=len(data) >= 8)


class _Walk:
    def __init__(self, data: bytes, outline: Outline, *, complete: bool) -> None:
        self.outline = outline
        self._data = data
        self._complete = complete
        self._position = 0
        self._left: list[int] = []  # of each open array or object: items to come, a pair counts as two

    def run(self) -> None:
        self._item(key=False)
        while self._left:
            if self._left[-1] == 0:
                self._expect(b"}")
                self._left.pop()
                self.outline.close()
                continue
            self._left[-1] -= 1
            self._item(key=self._left[-1] % 2 == 1)
        if self._position != len(self._data):
            raise Malformed

    def _item(self, *, key: bool) -> None:
        letter = self._data[self._position : self._position + 1]
        if not letter:
            raise Short
        if key and letter not in b"is":
            raise Malformed
        if letter in b"aO":
            self._begin(letter)
            return
        readers: dict[bytes, Callable[[], str]] = {b"s": self._string, b"C": self._custom, b"E": self._enum}
        shown = readers.get(letter, self._plain)()
        if key:
            self.outline.key(shown)
        else:
            self.outline.value(shown)

    def _begin(self, letter: bytes) -> None:
        found = self._match(_ARRAY if letter == b"a" else _OBJECT)
        name = "" if letter == b"a" else _name(found[1]) + " "
        self.outline.open(name + "{", "}")
        self._left.append(2 * int(found[found.lastindex or 1]))

    def _plain(self) -> str:
        found = self._match(_SCALAR)
        boolean, integer, number, letter, target = found.groups()
        if boolean:
            return "true" if boolean == b"1" else "false"
        if letter:
            return f"reference to {target.decode()}"
        return (integer or number or b"null").decode()

    def _string(self) -> str:
        size = int(self._match(_STRING)[1])
        data = self._data[self._position : self._position + size]
        self._position += len(data)
        broken_off = len(data) < size
        if broken_off and self._complete:
            raise Malformed
        if not broken_off:
            self._expect(b'";')
        try:
            return self.outline.quoted(codecs.utf_8_decode(data, "strict", not broken_off)[0])
        except UnicodeDecodeError:
            return quote_bytes(data, _BYTES_SHOWN)

    def _custom(self) -> str:
        """A class that wrote its content itself: its bytes are shown as they are."""
        found = self._match(_CUSTOM)
        size = int(found[2])
        data = self._data[self._position : self._position + size]
        self._position += len(data)
        if len(data) == size:
            self._expect(b"}")
        elif self._complete:
            raise Malformed
        return f"{_name(found[1])} {{{quote_bytes(data, _BYTES_SHOWN)}}}"

    def _enum(self) -> str:
        return _name(self._match(_ENUM)[1])

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        found = pattern.match(self._data, self._position)
        if found is None:
            if not self._complete and len(self._data) - self._position < 540:
                raise Short
            raise Malformed
        self._position = found.end()
        return found

    def _expect(self, literal: bytes) -> None:
        if self._data.startswith(literal, self._position):
            self._position += len(literal)
        elif not self._complete and literal.startswith(self._data[self._position :]):
            raise Short
        else:
            raise Malformed


def _name(name: bytes) -> str:
    """A class name; PHP allows any byte above 0x7f in one."""
    shown = name.decode("utf-8", "backslashreplace")
    return shown if shown.isprintable() else ascii(shown)
