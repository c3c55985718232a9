"""Namespaces from key names: parts between separators, with what varies folded into `*`. Pure.

`api:user:42:posts` belongs to `api:user:*:posts`. Folding looks at a key's shape, in which each run of
digits is one `0`: so analysis.lua, which folds on the server, can remember what it found for a shape and
need not think about every key. A test compares the two.

A part is folded whole when its shape
    has a `=` (`q=tea&page=1`), or a control character (binary),
    has digits and nothing but hexadecimal digits, dashes, dots, commas and underscores (42, 9f3a, a UUID, a date),
    is longer than 64 bytes, or has 16 bytes and more with three runs of digits (random tokens).
Else its runs of digits are (`user42` is `user*`), but for a version (`v2` stays).
"""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST_LOOKED_AT = 512  # bytes of a key; what comes later is folded unseen
LONGEST_PART = 64  # bytes of a part's shape
TOKEN = 16  # bytes from which a shape with three runs of digits is taken for a random token
MOST_PARTS = 16  # deeper ones are folded into one
_MOST_SHAPES = 10_000

_DIGITS = re.compile(rb"[0-9]+")
_WHOLLY_VARIABLE = re.compile(rb"[0-9A-Fa-f.,_-]*0[0-9A-Fa-f.,_-]*")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_VERSION = re.compile(rb"[vV]0")
_SPECIAL = re.compile(rb"([?\[\]\\])")


def namespace_of(key: bytes, separator: bytes) -> bytes:
    """The folded name of the namespace that a key belongs to."""
    parts = key[:LONGEST_LOOKED_AT].split(separator)
    if len(key) > LONGEST_LOOKED_AT:
        parts[-1] = b"*"
    if len(parts) > MOST_PARTS:
        parts[MOST_PARTS:] = [b"*"]
    return separator.join(_fold(part) for part in parts)


def folding(separator: bytes) -> Callable[[bytes], bytes]:
    """namespace_of() for very many keys: it remembers what it found for a shape, of which there are few."""
    known: dict[bytes, bytes] = {}

    def folded(key: bytes) -> bytes:
        shape = _DIGITS.sub(b"0", key) if len(key) <= LONGEST_LOOKED_AT else b""
        found = known.get(shape)
        if found is None:
            found = namespace_of(key, separator)
            # Of versions the digits stay; and a long name is looked at each time, as is one that digits part.
            if shape and not _VERSION.search(shape) and not _DIGITS.search(separator):
                if len(known) >= _MOST_SHAPES:
                    known.clear()
                known[shape] = found
        return found

    return folded


def _fold(part: bytes) -> bytes:
    shape = _DIGITS.sub(b"0", part)
    if (
        b"=" in shape
        or len(shape) > LONGEST_PART
        or _WHOLLY_VARIABLE.fullmatch(shape)
        or (len(shape) >= TOKEN and shape.count(b"0") >= 3)
        or _CONTROL.search(shape)
    ):
        return b"*"
    return part if _VERSION.fullmatch(shape) else shape.replace(b"0", b"*")


def pattern_of(name: bytes) -> bytes:
    """A glob for the keys of a namespace.

    It matches all of them, and more where others lie below: `api:user:*` takes `api:user:42:posts` too,
    because a glob's `*` does not end at a separator.
    """
    return _SPECIAL.sub(rb"\\\1", name)
