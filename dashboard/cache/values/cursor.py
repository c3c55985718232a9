"""The texts that say where a page of a value begins. They come back through URLs, so they are checked.

A position or an offset is a decimal number. A scan is the server's cursor, a colon, and how many
elements of that batch were already shown. A stream is the id of the last entry that was shown.
"""

from __future__ import annotations

import re

_POSITION = re.compile(r"[0-9]{1,18}")
_SCAN = re.compile(r"([0-9]{1,20}):([0-9]{1,9})")
_STREAM = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_UNSIGNED_64 = 2**64


class BadCursor(ValueError):
    """The text is no cursor of this kind of value; it is a sentence for the operator."""

    def __init__(self) -> None:
        super().__init__("This address does not name a page of the value.")


def position(cursor: str) -> int:
    """An index, rank or offset; 0 for ""."""
    if not cursor:
        return 0
    if not _POSITION.fullmatch(cursor):
        raise BadCursor
    return int(cursor)


def scan(cursor: str) -> tuple[str, int]:
    """The server's cursor ("0" at the start) and the elements of its batch to pass over."""
    if not cursor:
        return "0", 0
    found = _SCAN.fullmatch(cursor)
    if found is None or int(found[1]) >= _UNSIGNED_64:
        raise BadCursor
    return found[1], int(found[2])


def stream(cursor: str) -> str:
    """The id after which, going back in time, the page begins; "" for the newest entry."""
    if not cursor:
        return ""
    if not _STREAM.fullmatch(cursor) or any(int(part) >= _UNSIGNED_64 for part in cursor.split("-")):
        raise BadCursor
    return cursor
