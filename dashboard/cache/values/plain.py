"""Pages of collections where scripts are not allowed: ordinary commands, with MEMORY USAGE as the guard.

MEMORY USAGE counts small collections exactly (SAMPLES 0) and large ones from a sample, so that
the number of elements that fit can be chosen before they are fetched. What that cannot foresee is
one giant among many thousands of small elements: it is fetched once, and cut here. The page says so.
"""

from __future__ import annotations

from typing import Any

from dashboard.cache.servers.connect import Cache
from dashboard.cache.values.request import (
    ELEMENT_SHOWN,
    LENGTHS,
    READ_MOST,
    Request,
    ask,
    checked,
    knows_field_ttls,
    knows_novalues,
)
from dashboard.cache.values.rows import (
    Excerpt,
    Gone,
    HashRow,
    ListRow,
    Row,
    SetRow,
    SortedSetRow,
    StreamRow,
    ValuePage,
)

_EXACT_UP_TO = 1000  # elements; MEMORY USAGE visits every one of them
_SAMPLES = 200
_FETCHED_MOST = 16 * 1024 * 1024  # bytes that a page may cost, by the estimate
_FIELDS_SHOWN = 100
_UNFORESEEN = "This user may not run scripts (EVAL_RO) here, so elements are fetched whole before they are cut."
_UNGUARDED = "This user may run neither scripts nor MEMORY USAGE here: how large elements are was not known beforehand."
_TOO_LARGE = (
    "The elements are too large to be fetched whole, and this user may not run the script that cuts them (EVAL_RO)."
)


def page_by_commands(cache: Cache, request: Request) -> ValuePage | Gone:
    """Three round trips: type, length and size; elements; for a hash its values and TTLs. Four for a hash
    on Valkey 8, Redis 7.4 and later, where the values' sizes are asked before the values."""
    kind, total = ask(cache, request.key, [(b"TYPE", request.key), (LENGTHS[request.type], request.key)])
    if checked(kind, cache).decode() != request.type:
        return Gone(kind.decode())
    checked(total, cache)
    if request.type == "hash" and knows_novalues(cache.capabilities()):
        return _hash_by_name(cache, request, total)
    count, notes = _affordable(cache, request, total)
    if count == 0:
        return ValuePage(request.type, (), total, None, notes)
    reply = checked(ask(cache, request.key, [_fetch(request, count)])[0], cache)
    return _page(request, total, count, reply, notes)


def _affordable(cache: Cache, request: Request, total: int) -> tuple[int, tuple[str, ...]]:
    """How many elements a page may fetch, by their mean size; 0 if not even one."""
    if not cache.capabilities().can("MEMORY USAGE"):
        return min(request.count, 10), (_UNGUARDED,)
    samples = 0 if total <= _EXACT_UP_TO else _SAMPLES
    memory = checked(ask(cache, request.key, [(b"MEMORY", b"USAGE", request.key, b"SAMPLES", samples)])[0], cache)
    if total <= _EXACT_UP_TO and (memory or 0) <= _FETCHED_MOST:
        return request.count, ()
    affordable = _FETCHED_MOST * max(total, 1) // max(memory or 0, 1)
    if affordable == 0:
        return 0, (_TOO_LARGE,)
    return min(request.count, affordable), (_UNFORESEEN,)


def _fetch(request: Request, count: int) -> tuple[Any, ...]:
    key, start = request.key, request.cursor
    if request.scans:
        command = {"hash": b"HSCAN", "set": b"SSCAN", "zset": b"ZSCAN"}[request.type]
        pattern = (b"MATCH", request.match) if request.match is not None else ()
        # A pattern is looked for among more elements than are shown: only those that match are sent.
        return (command, key, start, *pattern, b"COUNT", count * 10 if pattern else count)
    if request.type == "stream":
        # One for the entry that the last page ended with, and one to know whether anything follows.
        return (b"XREVRANGE", key, start or b"+", b"-", b"COUNT", count + 2)
    stop = int(start or 0) + count - 1
    command, options = (b"LRANGE", ()) if request.type == "list" else (b"ZRANGE", (b"WITHSCORES",))
    return (command, key, int(start or 0), stop, *options)


def _page(request: Request, total: int, count: int, reply: Any, notes: tuple[str, ...]) -> ValuePage:
    if request.scans:
        return _scanned(request, total, reply, notes)
    rows: tuple[Row, ...]
    if request.type == "stream":
        entries = [entry for entry in reply if entry[0].decode() != request.cursor]
        rows = tuple(_stream_row(name.decode(), fields) for name, fields in entries[:count])
        following = entries[count - 1][0].decode() if len(entries) > count else None
        return ValuePage("stream", rows, total, following, notes)
    start = int(request.cursor or 0)
    if request.type == "list":
        rows = tuple(ListRow(start + number, _cut(value)) for number, value in enumerate(reply))
    else:
        rows = tuple(
            SortedSetRow(_cut(member), float(score), start + number)
            for number, (member, score) in enumerate(zip(reply[::2], reply[1::2], strict=True))
        )
    end = start + len(rows)
    return ValuePage(request.type, rows, total, str(end) if rows and end < total else None, notes)


def _scanned(request: Request, total: int, reply: Any, notes: tuple[str, ...]) -> ValuePage:
    cursor, items = reply
    rows: tuple[Row, ...]
    if request.type == "set":
        rows = tuple(SetRow(_cut(member)) for member in dict.fromkeys(items))
    else:
        pairs = dict(zip(items[::2], items[1::2], strict=True)).items()
        if request.type == "hash":
            rows = tuple(HashRow(_cut(name), _cut(value)) for name, value in pairs)
        else:
            rows = tuple(SortedSetRow(_cut(member), float(score), None) for member, score in pairs)
    # The whole batch is one page: there is nothing of it to pass over on the next.
    return ValuePage(request.type, rows, total, _following(cursor), notes)


def _hash_by_name(cache: Cache, request: Request, total: int) -> ValuePage:
    """Names first, then the sizes of their values, then those values that are not too large."""
    reply = checked(ask(cache, request.key, [(*_fetch(request, request.count), b"NOVALUES")])[0], cache)
    names = list(dict.fromkeys(reply[1]))
    sizes, expiries = _about_fields(cache, request.key, names)
    room = _FETCHED_MOST
    fetched = []
    for name in names:
        if sizes[name] <= min(room, READ_MOST):
            room -= sizes[name]
            fetched.append(name)
    values: dict[bytes, bytes | None] = {}
    if fetched:
        found = checked(ask(cache, request.key, [(b"HMGET", request.key, *fetched)])[0], cache)
        values = dict(zip(fetched, found, strict=True))
    rows = tuple(
        HashRow(_cut(name), _cut(value) if value is not None else Excerpt(b"", sizes[name]), expiries.get(name))
        for name in names
        for value in [values.get(name)]
    )
    return ValuePage("hash", rows, total, _following(reply[0]))


def _about_fields(cache: Cache, key: bytes, names: list[bytes]) -> tuple[dict[bytes, int], dict[bytes, float | None]]:
    """The sizes of fields' values in bytes, and when each expires (epoch seconds); one round trip."""
    if not names:
        return {}, {}
    commands: list[tuple[Any, ...]] = [(b"HSTRLEN", key, name) for name in names]
    if knows_field_ttls(cache.capabilities()):
        commands.append((b"HPEXPIRETIME", key, b"FIELDS", len(names), *names))
    replies = ask(cache, key, commands)
    sizes = {name: checked(size, cache) for name, size in zip(names, replies, strict=False)}
    moments = replies[len(names)] if len(replies) > len(names) else None
    if not isinstance(moments, list):
        return sizes, {}
    return sizes, {name: at / 1000 if at > 0 else None for name, at in zip(names, moments, strict=True)}


def _following(cursor: bytes) -> str | None:
    return f"{cursor.decode()}:0" if cursor != b"0" else None


def _stream_row(name: str, fields: list[bytes]) -> StreamRow:
    shown = [_cut(element) for element in fields[: 2 * _FIELDS_SHOWN]]
    return StreamRow(name, tuple(zip(shown[::2], shown[1::2], strict=True)), len(fields) // 2)


def _cut(element: bytes) -> Excerpt:
    return Excerpt(element[:ELEMENT_SHOWN], len(element))
