"""Text with braces and indentation, written piece by piece until it is done or too long.

JSON, MessagePack and PHP values all become one of these. Nothing here recurses and nothing is
kept but the lines, so depth and declared lengths cannot hurt.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from dashboard.cache.decode.bytes_views import raw
from dashboard.cache.decode.result import Drawn, human_size

MAX_DEPTH = 500
MAX_VALUES = 200_000  # about half a second of work, and more than anyone reads
DEEPEST_INDENT = 40

_JOINERS = "\u200c\u200d"  # invisible by themselves, but emoji and several scripts are written with them


class Malformed(Exception):
    """The bytes are not of this format."""


class Short(Exception):
    """The bytes end in the middle of a value."""


class Full(Exception):
    """The text has reached a bound; str() is the sentence that says which."""


class Outline:
    """Collects an indented text of at most `limit` characters. Methods raise Full at a bound."""

    def __init__(self, limit: int) -> None:
        self.values = 0
        self._limit = limit
        self._parts: list[str] = []
        self._size = 0
        self._closings: list[str] = []
        self._empty = True
        self._after_key = False

    @property
    def depth(self) -> int:
        return len(self._closings)

    def open(self, opening: str, closing: str) -> None:
        self._place()
        if len(self._closings) >= MAX_DEPTH:
            raise Full(f"Nested deeper than {MAX_DEPTH} levels; the rest is not shown.")
        self._add(opening)
        self._closings.append(closing)
        self._empty = True

    def close(self) -> None:
        closing = self._closings.pop()
        if not self._empty:
            self._new_line()
        self._add(closing)
        self._empty = False

    def key(self, text: str) -> None:
        self._place()
        self._add(text + ": ")
        self._after_key = True

    def value(self, text: str) -> None:
        self._place()
        self._add(text)

    def quoted(self, text: str) -> str:
        """`text` in quotes, no more of it than there is room for."""
        return quote(text[: self._limit - self._size + 1])

    def text(self) -> str:
        return "".join(self._parts)

    def _place(self) -> None:
        self.values += 1
        if self.values > MAX_VALUES:
            raise Full(f"Only the first {MAX_VALUES} values are shown.")
        if self._after_key:
            self._after_key = False
        elif self._closings:
            if not self._empty:
                self._add(",")
            self._new_line()
        self._empty = False

    def _new_line(self) -> None:
        self._add("\n" + "  " * min(len(self._closings), DEEPEST_INDENT))

    def _add(self, text: str) -> None:
        self._size += len(text)
        self._parts.append(text)
        if self._size > self._limit:
            raise Full(limit_reached(self._limit))


def limit_reached(limit: int) -> str:
    return f"The text is cut at {human_size(limit)}."


def finish(name: str, outline: Outline, walk: Callable[[], None], *, complete: bool) -> Drawn | None:
    """Run a walk that writes into the outline; None where the bytes are not of that format."""
    cut = ""
    try:
        walk()
    except Malformed:
        return None
    except Short:
        if complete:
            return None
        return Drawn(name, outline.text() + "\n…")
    except Full as full:
        cut = str(full)
        return Drawn(name, outline.text() + "\n…", cut)
    return Drawn(name, outline.text(), cut)


def quote(text: str) -> str:
    """A JSON string literal in which every character that could not be seen is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isprintable() else "".join(map(_visible, quoted))


def visible(text: str) -> str:
    """Text with its line breaks and tabs kept and every other unprintable character escaped."""
    lines = text.split("\n")
    return "\n".join(
        line if line.isprintable() else "".join(c if c == "\t" else _visible(c) for c in line) for line in lines
    )


def quote_bytes(data: bytes, room: int) -> str:
    """Bytes as b"..." with what is not printable ASCII escaped; at most `room` bytes of them."""
    shown = raw(data[:room]).replace("\n", "\\n").replace('"', '\\"')
    return f'b"{shown}"' + ("…" if len(data) > room else "")


def _visible(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"
