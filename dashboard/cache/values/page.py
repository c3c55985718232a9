"""One key's value, a bounded page at a time: never the whole of it, however large it is.

Strings are read by GETRANGE, lists and sorted sets by position, streams by id from the newest
entry, hashes and sets by *SCAN. Where scripts are allowed (EVAL_RO, or EVAL) one of ours cuts each
element on the server (values/script.py); elsewhere plain commands do with a guard (values/plain.py).
"""

from __future__ import annotations

from typing import Any

from dashboard.cache.servers.connect import Cache
from dashboard.cache.values.cursor import BadCursor, position, scan, stream
from dashboard.cache.values.lookup import is_literal, look_up
from dashboard.cache.values.plain import page_by_commands
from dashboard.cache.values.request import COUNT_MOST, LENGTHS, Request, ask, checked
from dashboard.cache.values.rows import (
    Excerpt,
    Gone,
    HashRow,
    ListRow,
    SetRow,
    SortedSetRow,
    StreamGroup,
    StreamRow,
    StringRow,
    ValuePage,
)
from dashboard.cache.values.script import page_by_script, scripting

__all__ = [
    "MATCHABLE", "BadCursor", "Excerpt", "Gone", "HashRow", "ListRow", "SetRow", "SortedSetRow", "StreamGroup",
    "StreamRow", "StringRow", "ValuePage", "page",
]  # fmt: skip

MATCHABLE = frozenset({"hash", "set", "zset"})  # types whose elements can be searched by pattern
MAX_BYTES = 1024 * 1024
_MAX_BYTES_MOST = 8 * 1024 * 1024
_GROUPS_SHOWN = 100


def page(
    cache: Cache,
    key: bytes,
    *,
    type: str,  # noqa: A002 - the term of the field
    cursor: str = "",
    count: int = 100,
    match: bytes | None = None,
    max_bytes: int = MAX_BYTES,
) -> ValuePage | Gone:
    """A page of the value of `key`, which is expected to be of `type` (as TYPE names it).

    cursor: "" for the first page, else ValuePage.next of the page before, with the same match.
    count: elements wanted, 1 to 1000; a hash or set gives whole scan batches, so a few more, and one
    that is kept in a compact encoding gives all of its elements (512 unless configured otherwise).
    match: glob over fields or members, where `type` is in MATCHABLE; ignored elsewhere.
    max_bytes: of a string, the bytes of this page; of a collection, about what its page may weigh,
    where one element shows 64 KiB at most and every row at least 64 bytes.

    Round trips: one for a string, and wherever scripts are allowed (two for a stream); one or two for a
    match without wildcards; at most four otherwise. Raises BadCursor and CacheError.
    An element that stays in the collection is seen on one of the pages, as SCAN promises; one that
    comes or goes meanwhile may be.
    """
    max_bytes = min(max(max_bytes, 1), _MAX_BYTES_MOST)
    if type == "string":
        return _string(cache, key, position(cursor), max_bytes)
    if type not in LENGTHS:
        return _module(cache, key, type)
    if match is not None and type in MATCHABLE and is_literal(match):
        return look_up(cache, key, kind=type, match=match)
    request = _request(key, type, cursor, count, match, max_bytes)
    found = page_by_script(cache, request) if scripting(cache.capabilities()) else None
    if found is None:
        found = page_by_commands(cache, request)
    if type == "stream" and isinstance(found, ValuePage):
        return _with_groups(cache, key, found)
    return found


def _request(key: bytes, kind: str, cursor: str, count: int, match: bytes | None, max_bytes: int) -> Request:
    skip = 0
    match = match if kind in MATCHABLE and match != b"*" else None
    if kind == "stream":
        start = stream(cursor)
    elif kind in ("hash", "set") or match is not None:
        start, skip = scan(cursor)
    else:
        start = str(position(cursor))
    return Request(key, kind, start, skip, min(max(count, 1), COUNT_MOST), match, max_bytes)


def _string(cache: Cache, key: bytes, offset: int, size: int) -> ValuePage | Gone:
    kind, total, data = ask(
        cache,
        key,
        [(b"TYPE", key), (b"STRLEN", key), (b"GETRANGE", key, offset, offset + size - 1)],
    )
    if checked(kind, cache) != b"string":
        return Gone(kind.decode())
    end = offset + len(checked(data, cache))
    following = str(end) if data and end < checked(total, cache) else None
    return ValuePage("string", (StringRow(offset, data),), total, following)


def _module(cache: Cache, key: bytes, expected: str) -> ValuePage | Gone:
    kind = checked(ask(cache, key, [(b"TYPE", key)])[0], cache).decode("utf-8", "replace")
    if kind != expected or kind == "none":
        return Gone(kind)
    note = f"Values of the type {kind} belong to a module of the server and are not shown here."
    return ValuePage(kind, (), None, None, (note,))


def _with_groups(cache: Cache, key: bytes, found: ValuePage) -> ValuePage:
    """The page with the stream's consumer groups; without, where XINFO is denied or the key has just gone."""
    reply = ask(cache, key, [(b"XINFO", b"GROUPS", key)])[0]
    if not isinstance(reply, list):
        return found
    groups = tuple(_group(dict(zip(group[::2], group[1::2], strict=True))) for group in reply[:_GROUPS_SHOWN])
    more = (f"Only {_GROUPS_SHOWN} of {len(reply)} consumer groups are shown.",) if len(reply) > len(groups) else ()
    return ValuePage(found.type, found.rows, found.total, found.next, (*found.notes, *more), groups)


def _group(facts: dict[bytes, Any]) -> StreamGroup:
    return StreamGroup(
        facts[b"name"],
        facts[b"consumers"],
        facts[b"pending"],
        facts[b"last-delivered-id"].decode(),
        facts.get(b"lag"),
    )
