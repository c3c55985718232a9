"""JSON made readable without building it: token by token, in its own order, with its own digits.

Nothing is lost on the way (duplicate names, 1.0 or 1e2, integers of any length) and nothing
recurses. NaN and Infinity, which RFC 8259 does not know and Python writes, are let through with a note.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from dashboard.cache.decode.outline import Malformed, Outline, Short, finish
from dashboard.cache.decode.result import Drawn

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"true|false|null|NaN|-?Infinity")
_NOT_STANDARD = frozenset({"NaN", "Infinity", "-Infinity"})
_BROKEN_OFF = re.compile(r"-|t(?:r|ru)?|f(?:a|al|als)?|n(?:u|ul)?|N(?:a)?|-?I(?:n|nf|nfi|nfin|nfini|nfinit)?")
_HALF_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
_read_string = json.JSONDecoder().raw_decode


def draw_json(text: str, *, complete: bool, limit: int) -> Drawn | None:
    """An object, an array or a string as indented JSON; None where the text is not that."""
    if text[:64].lstrip(" \t\r\n")[:1] not in ("{", "[", '"'):
        return None
    walk = _Walk(text, Outline(limit), complete=complete)
    drawn = finish("JSON", walk.outline, walk.run, complete=complete)
    if drawn is None or not walk.believable(drawn):
        return None
    return Drawn(drawn.name, drawn.text, drawn.cut, tuple(walk.notes), sure=walk.kinds[:1] in ("{", "["))


class _Walk:
    def __init__(self, text: str, outline: Outline, *, complete: bool) -> None:
        self.outline = outline
        self.notes: list[str] = []
        self.kinds = ""  # of the first tokens; says what the root is, and whether there is more than a bracket
        self._text = text
        self._complete = complete
        self._position = 0
        self._inside: list[str] = []

    def believable(self, drawn: Drawn) -> bool:
        """A lone `[` or an unclosed quotation mark at the start of a prefix is no sign of JSON."""
        return bool(drawn.cut) or self._complete or (self.kinds[:1] in ("{", "[") and len(self.kinds) > 2)

    def run(self) -> None:
        state: Callable[[str, str], str] = self._value
        states: dict[str, Callable[[str, str], str]] = {
            "value": self._value,
            "first value": self._first_value,
            "key": self._key,
            "first key": self._first_key,
            "colon": self._colon,
            "more": self._more,
        }
        while True:
            kind, shown = self._token()
            following = state(kind, shown)
            if following == "end":
                break
            state = states[following]
        if _SPACE.match(self._text, self._position).end() != len(self._text):  # type: ignore[union-attr]
            raise Malformed

    def _token(self) -> tuple[str, str]:
        """The next token's kind (itself, or s for string, v for another scalar) and how it is shown."""
        text = self._text
        self._position = _SPACE.match(text, self._position).end()  # type: ignore[union-attr]
        first = text[self._position : self._position + 1]
        if not first:
            raise Short
        if first in "{}[],:":
            self._position += 1
            token = (first, first)
        elif first == '"':
            token = ("s", self._string())
        else:
            token = ("v", self._scalar())
        if len(self.kinds) < 4:
            self.kinds += token[0]
        return token

    def _string(self) -> str:
        try:
            string, self._position = _read_string(self._text, self._position)
        except ValueError:
            return self._broken_string()
        return self.outline.quoted(string)

    def _broken_string(self) -> str:
        """The string that a prefix breaks off in, shown as far as it goes."""
        if self._complete:
            raise Malformed
        tail = _HALF_ESCAPE.sub("", self._text[self._position :])
        try:
            string, end = _read_string(tail + '"')
        except ValueError:
            raise Malformed from None
        if end != len(tail) + 1:
            raise Malformed
        self._position = len(self._text)
        return self.outline.quoted(string)

    def _scalar(self) -> str:
        found = _NUMBER.match(self._text, self._position) or _WORD.match(self._text, self._position)
        if found is None:
            if not self._complete and _BROKEN_OFF.fullmatch(self._text, self._position):
                raise Short
            raise Malformed
        self._position = found.end()
        shown = found.group()
        if shown in _NOT_STANDARD and not self.notes:
            self.notes.append(f"{shown} is not standard JSON.")
        return shown

    def _value(self, kind: str, shown: str) -> str:
        if kind in "sv":
            self.outline.value(shown)
            return self._after_value()
        if kind == "{":
            self.outline.open("{", "}")
            self._inside.append("}")
            return "first key"
        if kind == "[":
            self.outline.open("[", "]")
            self._inside.append("]")
            return "first value"
        raise Malformed

    def _first_value(self, kind: str, shown: str) -> str:
        return self._more(kind, shown) if kind == "]" else self._value(kind, shown)

    def _first_key(self, kind: str, shown: str) -> str:
        return self._more(kind, shown) if kind == "}" else self._key(kind, shown)

    def _key(self, kind: str, shown: str) -> str:
        if kind != "s":
            raise Malformed
        self.outline.key(shown)
        return "colon"

    def _colon(self, kind: str, _shown: str) -> str:
        if kind != ":":
            raise Malformed
        return "value"

    def _more(self, kind: str, _shown: str) -> str:
        """After a value inside something: a comma, or the bracket that ends it."""
        inside = self._inside[-1]
        if kind == ",":
            return "key" if inside == "}" else "value"
        if kind != inside:
            raise Malformed
        self._inside.pop()
        self.outline.close()
        return self._after_value()

    def _after_value(self) -> str:
        return "more" if self._inside else "end"
