"""Selection: which keys. The one value that every screen and every verb shares.

It is immutable and travels in the URL's query string, so that "show these", "analyse these" and
"invalidate these" mean exactly the same keys on every screen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.cache.key_token import from_printable, printable

TYPES = ("string", "hash", "list", "set", "zset", "stream")
_TYPE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TTL_CONDITION = re.compile(r"none|any|[<>]\d{1,10}")
_GLOB = frozenset(b"*?[")
PATTERN_LIMIT = 32_768  # bytes; a key may have 512 MB, a URL may not


class BadSelection(ValueError):
    """A query string that says nothing sensible; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Selection:
    """Keys that match a glob pattern, and a type and a TTL condition where given.

    pattern: Redis glob (`*`, `?`, `[a-z]`, backslash escapes), bytes.
    type: "" for any, else the server's name for it ("string", ..., or a module's such as "ReJSON-RL").
    ttl: "" for any, "none" (never expires), "any" (has a TTL), "<N" or ">N" seconds left.
    """

    pattern: bytes = b"*"
    type: str = ""
    ttl: str = ""

    def __post_init__(self) -> None:
        if len(self.pattern) > PATTERN_LIMIT:
            raise BadSelection(f"A pattern of more than {PATTERN_LIMIT} bytes is not taken.")
        if self.type and not _TYPE_NAME.fullmatch(self.type):
            raise BadSelection("This is not the name of a type.")
        if self.ttl and not _TTL_CONDITION.fullmatch(self.ttl):
            raise BadSelection("A TTL filter is none, any, <seconds or >seconds.")

    @property
    def everything(self) -> bool:
        """Whether no key is left out."""
        return self.pattern == b"*" and not self.type and not self.ttl

    @property
    def has_wildcard(self) -> bool:
        """Whether the pattern can match more than one key; without, one look-up answers."""
        position = 0
        while position < len(self.pattern):
            if self.pattern[position] == 0x5C:
                position += 2
                continue
            if self.pattern[position] in _GLOB:
                return True
            position += 1
        return False

    @property
    def literals(self) -> tuple[bytes, ...]:
        """The keys that the pattern may name letter by letter: as typed, and with glob escapes removed.

        `q=[a]` typed by somebody who pasted a key means that key too, although as a glob it does not
        match itself.
        """
        unescaped = re.sub(rb"\\(.)", rb"\1", self.pattern, flags=re.DOTALL)
        return tuple(dict.fromkeys((self.pattern, unescaped)))

    def takes_ttl(self, pttl: int) -> bool:
        """Whether a key with this PTTL reply (milliseconds; -1 none, -2 gone) meets the TTL condition."""
        if pttl == -2:
            return False
        if not self.ttl:
            return True
        if self.ttl in ("none", "any"):
            return (pttl == -1) == (self.ttl == "none")
        bound = int(self.ttl[1:]) * 1000
        return pttl >= 0 and (pttl < bound if self.ttl[0] == "<" else pttl > bound)

    def takes_type(self, name: str) -> bool:
        return not self.type or self.type.lower() == name.lower()

    def to_query(self) -> dict[str, str]:
        """The parts that differ from the default, as query parameters."""
        query = {"pattern": printable(self.pattern), "type": self.type, "ttl": self.ttl}
        default = {"pattern": "*", "type": "", "ttl": ""}
        return {name: value for name, value in query.items() if value != default[name]}


def from_query(query: Mapping[str, str]) -> Selection:
    """The Selection of a query string's parameters. Raises BadSelection with a sentence.

    A missing or empty pattern means `*`: that is what an empty search box means to people. (The key
    with the empty name is in the list of `*` and has a link like any other.)
    """
    pattern = query.get("pattern") or "*"
    return Selection(from_printable(pattern), query.get("type", "").strip(), query.get("ttl", "").strip())


def glob_escape(key: bytes) -> bytes:
    """A pattern that matches this key and no other."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", key)
