"""One field or member looked up by its name: the answer to a pattern without wildcards, at once."""

from __future__ import annotations

from typing import Any

from dashboard.cache.selecting.glob import is_wild
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.values.request import ELEMENT_SHOWN, LENGTHS, READ_MOST, ask, checked, knows_field_ttls
from dashboard.cache.values.rows import Excerpt, Gone, HashRow, Row, SetRow, SortedSetRow, ValuePage


def is_literal(match: bytes) -> bool:
    return not is_wild(match)


def look_up(cache: Cache, key: bytes, *, kind: str, match: bytes) -> ValuePage | Gone:
    """The elements that `match` names letter by letter (as typed, and with glob escapes removed).

    One round trip; for a hash two.
    """
    names = Selection(match).literals
    commands: list[tuple[Any, ...]] = [(b"TYPE", key), (LENGTHS[kind], key)]
    for name in names:
        commands += _questions(cache, kind, key, name)
    found, total, *replies = ask(cache, key, commands)
    if checked(found, cache).decode() != kind:
        return Gone(found.decode())
    width = len(replies) // len(names)
    rows: list[Row] = []
    for number, name in enumerate(names):
        about = [checked(reply, cache) for reply in replies[number * width : (number + 1) * width]]
        row = _hash_row(cache, key, name, about) if kind == "hash" else _member_row(kind, name, about)
        if row is not None:
            rows.append(row)
    return ValuePage(kind, tuple(rows), checked(total, cache), None)


def _questions(cache: Cache, kind: str, key: bytes, name: bytes) -> list[tuple[Any, ...]]:
    if kind == "set":
        return [(b"SISMEMBER", key, name)]
    if kind == "zset":
        return [(b"ZSCORE", key, name), (b"ZRANK", key, name)]
    expiry = [(b"HPEXPIRETIME", key, b"FIELDS", 1, name)] if knows_field_ttls(cache.capabilities()) else []
    return [(b"HEXISTS", key, name), (b"HSTRLEN", key, name), *expiry]


def _member_row(kind: str, name: bytes, about: list[Any]) -> Row | None:
    member = Excerpt(name[:ELEMENT_SHOWN], len(name))
    if kind == "set":
        return SetRow(member) if about[0] else None
    return SortedSetRow(member, float(about[0]), about[1]) if about[0] is not None else None


def _hash_row(cache: Cache, key: bytes, name: bytes, about: list[Any]) -> Row | None:
    exists, size = about[:2]
    if not exists:
        return None
    value = b""
    if 0 < size <= READ_MOST:
        value = checked(ask(cache, key, [(b"HGET", key, name)])[0], cache) or b""
    expires_ms = about[2][0] if len(about) > 2 and about[2] else -1
    return HashRow(
        Excerpt(name[:ELEMENT_SHOWN], len(name)),
        Excerpt(value[:ELEMENT_SHOWN], max(size, len(value))),
        expires_ms / 1000 if expires_ms > 0 else None,
    )
