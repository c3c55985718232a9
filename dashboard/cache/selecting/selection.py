"""Selection: which keys. The one value that every screen and every verb shares.

It is immutable and travels in the URL's query string, so that "show these", "analyse these" and
"invalidate these" mean exactly the same keys on every screen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from dashboard.cache.selecting import glob
from dashboard.cache.selecting.conditions import plain_size, plain_ttl
from dashboard.cache.selecting.key_token import from_printable, printable

TYPES = ("string", "hash", "list", "set", "zset", "stream")
_TYPE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TTL_CONDITION = re.compile(r"none|any|[<>]\d{1,10}", re.ASCII)
_TTL_RANGE = re.compile(r"(@?)(\d{1,11}(?:\.\d{1,6})?)-(\d{1,11}(?:\.\d{1,6})?)", re.ASCII)
_SIZE_CONDITION = re.compile(r"[<>]\d{1,15}", re.ASCII)
ENDLESS = 9_000_000_000_000_000  # ms or bytes: more than there is, and whole in a double, in which Lua counts
EMPTY = '""'  # how the key with the empty name is written in a list
LEAST_SIZE, MOST_SIZE = 16, 1 << 46  # bytes: no key takes less, none more
MOST_LISTED = 50_000  # keys of a list, which a request carries and a job's row holds
PATTERN_LIMIT = 32_768  # bytes; a key may have 512 MB, a URL may not


class BadSelection(ValueError):
    """A query string that says nothing sensible; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Selection:
    """Keys that match a glob pattern, or a list of keys, and a type, a TTL and a size condition where given.

    pattern: Redis glob (`*`, `?`, `[a-z]`, backslash escapes), bytes.
    type: "" for any, else the server's name for it ("string", ..., or a module's such as "ReJSON-RL").
    ttl: "" for any, "none" (never expires), "any" (has a TTL), "<N" or ">N" seconds left, "A-B" for A <= ttl < B
        seconds left, "@A-B" for what expires at an instant A <= t < B in seconds since 1970.
    size: "" for any, "<N" or ">N" bytes by MEMORY USAGE.
    keys: these and no others, each once; None where the pattern says which. The pattern is `*` then.
    """

    pattern: bytes = b"*"
    type: str = ""
    ttl: str = ""
    size: str = ""
    keys: tuple[bytes, ...] | None = None

    def __post_init__(self) -> None:
        if self.keys is not None:
            self._check_list()
        if len(self.pattern) > PATTERN_LIMIT:
            raise BadSelection(f"A pattern of more than {PATTERN_LIMIT} bytes is not taken.")
        self._check_wildcards()
        if self.type and not _TYPE_NAME.fullmatch(self.type):
            raise BadSelection("This is not the name of a type.")
        if self.ttl and not _TTL_CONDITION.fullmatch(self.ttl):
            self._check_range()
        if self.size and not _SIZE_CONDITION.fullmatch(self.size):
            raise BadSelection(
                "A size filter is < or > and a size such as 1024, 10kb, 1MB or 2gb (a kb is 1024 bytes)."
            )

    def _check_wildcards(self) -> None:
        if not self.has_wildcard:
            return
        if glob.stars(self.pattern) > glob.STARS_LIMIT:
            raise BadSelection(
                f"A pattern has at most {glob.STARS_LIMIT} stars: each further one can hold a server up."
            )
        if glob.wild_length(self.glob) > glob.WILD_LIMIT:
            raise BadSelection(f"A pattern has at most {glob.WILD_LIMIT:,} bytes from its first wildcard to its last.")

    def _check_list(self) -> None:
        if not self.keys:
            raise BadSelection("The list has no key in it. An empty list never means all keys.")
        if len(self.keys) > MOST_LISTED:
            raise BadSelection(f"A list has at most {MOST_LISTED:,} keys; a pattern selects any number.")
        if self.pattern != b"*":
            raise BadSelection("Keys are selected by a list or by a pattern, not by both.")

    def _check_range(self) -> None:
        low, high = self.ttl_range_ms
        if (low, high) == (0, 0):
            raise BadSelection(
                "A TTL filter is none, any, < or > and a time such as 90, 5m, 2h, 1d or 1w (a bare number is whole "
                "seconds), a range such as 5m-1h, or a range of instants such as @1764000000-1764000060."
            )
        if low >= high:
            raise BadSelection("A TTL filter's range goes from less to more.")

    @cached_property
    def everything(self) -> bool:
        """Whether no key is left out, however that is written: `?*` and `[^]*` only spare the empty name, `size=>0`
        spares nothing."""
        if self.keys is not None or self.type or self.ttl:
            return False
        least, most = self.size_bounds
        return least <= LEAST_SIZE and most >= MOST_SIZE and glob.covers(self.pattern, b"?*")

    @cached_property
    def glob(self) -> bytes:
        """The pattern as a server is given it: `***` is `*`, which costs it less and matches the empty name too."""
        return glob.collapsed(self.pattern)

    @property
    def at_instant(self) -> bool:
        """Whether the TTL condition names instants, so that it can only be judged by a clock: the server's."""
        return self.ttl.startswith("@")

    @cached_property
    def ttl_range_ms(self) -> tuple[int, int]:
        """The two ends of a TTL range, milliseconds left or since 1970; (0, 0) where the condition is another."""
        found = _TTL_RANGE.fullmatch(self.ttl)
        return (round(float(found[2]) * 1000), round(float(found[3]) * 1000)) if found else (0, 0)

    @cached_property
    def ttl_bounds(self) -> tuple[str, int, int]:
        """The TTL condition as (kind, least, most), both ends in ms and included.

        kind: "" for any key, "none" without TTL, "left" for the time left, "at" for the instant since 1970.
        """
        if self.ttl in ("", "none"):
            return self.ttl, 0, 0
        if self.ttl == "any":
            return "left", 0, ENDLESS
        if self.ttl[0] in "<>":
            bound = int(self.ttl[1:]) * 1000
            return ("left", 0, bound - 1) if self.ttl[0] == "<" else ("left", bound + 1, ENDLESS)
        low, high = self.ttl_range_ms
        return "at" if self.at_instant else "left", low, high - 1

    @cached_property
    def size_bounds(self) -> tuple[int, int]:
        """The size condition as (least, most) bytes, both included."""
        if not self.size:
            return 0, ENDLESS
        bound = int(self.size[1:])
        return (0, bound - 1) if self.size[0] == "<" else (bound + 1, ENDLESS)

    @cached_property
    def has_wildcard(self) -> bool:
        """Whether the pattern can match more than one key; without, one look-up answers."""
        return self.keys is None and glob.is_wild(self.pattern)

    @property
    def literals(self) -> tuple[bytes, ...]:
        """The keys that the pattern may name letter by letter: as typed, and with glob escapes removed.

        `q=[a]` typed by somebody who pasted a key means that key too, although as a glob it does not
        match itself.
        """
        if self.keys is not None:
            return self.keys
        unescaped = re.sub(rb"\\(.)", rb"\1", self.pattern, flags=re.DOTALL)
        return tuple(dict.fromkeys((self.pattern, unescaped)))

    def takes_ttl(self, pttl: int, now: float | None = None) -> bool:
        """Whether a key with this PTTL reply (milliseconds; -1 none, -2 gone) meets the TTL condition.

        now: the server's clock, seconds since 1970, read after PTTL; only a range of instants asks for it.
        """
        kind, least, most = self.ttl_bounds
        if pttl == -2:
            return False
        if kind in ("", "none"):
            return not kind or pttl == -1
        return pttl >= 0 and least <= pttl + self._since_ms(now) <= most

    def _since_ms(self, now: float | None) -> int:
        if not self.at_instant:
            return 0
        if now is None:
            raise ValueError("a range of instants needs the server's clock")
        # Whole milliseconds, as the server counts; a double of 1.7e9 s is off by up to a ten-thousandth of one.
        return math.floor(now * 1000 + 0.0005)

    def takes_size(self, size: int) -> bool:
        """Whether a key of so many bytes, as MEMORY USAGE counts them, meets the size condition."""
        least, most = self.size_bounds
        return least <= size <= most

    def takes_type(self, name: str) -> bool:
        return not self.type or self.type.lower() == name.lower()

    def to_query(self) -> dict[str, str]:
        """The parts that differ from the default, as query parameters; a list as `keys`, one a line."""
        query = {"pattern": printable(self.pattern), "type": self.type, "ttl": self.ttl, "size": self.size}
        found = {name: value for name, value in query.items() if value != ("*" if name == "pattern" else "")}
        return found if self.keys is None else {**found, "keys": "\n".join(_line_of(key) for key in self.keys)}


def from_query(query: Mapping[str, str]) -> Selection:
    """The Selection of a query string's parameters. Raises BadSelection with a sentence.

    A missing or empty pattern means `*`: that is what an empty search box means to people. (The key
    with the empty name is in the list of `*` and has a link like any other.) `keys`, where it is there, is a list
    of names, one a line, and says all: an empty one is refused.
    """
    conditions = query.get("type", ""), query.get("ttl", ""), query.get("size", "")
    if "keys" in query:
        return listed(lines_of(query["keys"]), *conditions)
    return written(query.get("pattern") or "*", *conditions)


def lines_of(text: str) -> list[str]:
    """The lines of a pasted list or a file, by line feeds and nothing else: a raw name may hold any other sign that
    Python takes for the end of a line, and must not become two names."""
    return text.replace("\r\n", "\n").split("\n")


def listed(names: Iterable[str], kind: str = "", ttl: str = "", size: str = "") -> Selection:
    """The Selection of keys named one by one, as printable() writes them, each once; blank lines are no keys, and the
    one with the empty name is written `""`. Raises BadSelection with a sentence."""
    keys = tuple(dict.fromkeys(b"" if name == EMPTY else from_printable(name) for name in names if name.strip()))
    return Selection(b"*", kind.strip(), plain_ttl(ttl), plain_size(size), keys)


def written(pattern: str, kind: str, ttl: str, size: str) -> Selection:
    """The Selection of what somebody wrote, times and sizes with units too (`<5m`, `>1MB`): it has them in plain
    seconds and bytes. Raises BadSelection with a sentence."""
    return Selection(from_printable(pattern), kind.strip(), plain_ttl(ttl), plain_size(size))


def _line_of(key: bytes) -> str:
    """A key as a line that listed() reads: no blank line, and no other key is written as the empty one is."""
    if not key:
        return EMPTY
    line = printable(key)
    return f"\\x{key[0]:02x}{line[1:]}" if line == EMPTY or not line.strip() else line


def glob_escape(key: bytes) -> bytes:
    """A pattern that matches this key and no other."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", key)


def named(selection: Selection) -> Selection:
    """The same keys as a list, where the pattern can match one name only: nothing needs to be searched for it."""
    if selection.has_wildcard or selection.keys is not None:
        return selection
    return replace(selection, pattern=b"*", keys=(selection.literals[-1],))
