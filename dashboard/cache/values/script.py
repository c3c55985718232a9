"""Pages of collections by a script on the server, which cuts each element before it is sent.

There is no command that says how long an element of a list, set, sorted set or stream is, and none
that gives its beginning: of a 500 MB element either all of it travels or a script cuts it. What
the script costs the server is a copy of the elements that it looks at; it stops at 64 MiB of those
(and, as the sizes are unknown beforehand, after the batch that crosses that). Values of hashes
above 8 MiB are not even copied, because HSTRLEN tells their size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from dashboard.cache.servers.capability import Capabilities
from dashboard.cache.servers.connect import Cache
from dashboard.cache.values.request import (
    ELEMENT_SHOWN,
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

_SCRIPT = Path(__file__).with_name("values.lua").read_bytes()


def scripting(capabilities: Capabilities) -> str:
    """The command that runs a script here: EVAL_RO (Redis 7, checked by the server to write nothing), EVAL, or ""."""
    return next((command for command in ("EVAL_RO", "EVAL") if capabilities.can(command)), "")


def page_by_script(cache: Cache, request: Request) -> ValuePage | Gone | None:
    """One round trip, and atomic. None where the server refuses the script or something that it does.

    Plain commands are tried then: they need less, and if they fail too, they fail with a clearer reason
    (a command that the ACL denies inside a script is no NOPERM but a plain ERR on some servers).
    """
    capabilities = cache.capabilities()
    arguments = (
        request.type,
        request.cursor,
        request.skip,
        request.count,
        request.match or b"",
        request.max_bytes,
        ELEMENT_SHOWN,
        READ_MOST,
        int(knows_novalues(capabilities)),
        int(knows_field_ttls(capabilities)),
    )
    command = scripting(capabilities).encode()
    reply = ask(cache, request.key, [(command, _SCRIPT, 1, request.key, *arguments)])[0]
    if isinstance(reply, ResponseError):
        return None
    kind, *rest = checked(reply, cache)
    if not rest:
        return Gone(kind.decode())
    return _page(request, *rest)


def _page(request: Request, total: int, following: bytes, skip: int, rows: list[list[Any]]) -> ValuePage:
    start = 0 if request.scans or request.type == "stream" else int(request.cursor or 0)
    found = tuple(_row(request, start + number, row) for number, row in enumerate(rows))
    cursor = following.decode()
    if not request.scans and request.type != "stream" and cursor and int(cursor) >= total:
        cursor = ""
    if cursor and request.scans:
        cursor = f"{cursor}:{skip}"
    return ValuePage(request.type, found, total, cursor or None)


def _row(request: Request, position: int, row: list[Any]) -> Row:
    if request.type == "stream":
        elements = [Excerpt(row[i + 1], row[i]) for i in range(2, len(row), 2)]
        return StreamRow(row[0].decode(), tuple(zip(elements[::2], elements[1::2], strict=True)), row[1])
    first = Excerpt(row[1], row[0])
    if request.type == "hash":
        expires_ms = row[4] if len(row) > 4 else -1
        return HashRow(first, Excerpt(row[3], row[2]), expires_ms / 1000 if expires_ms > 0 else None)
    if request.type == "zset":
        return SortedSetRow(first, float(row[2]), None if request.scans else position)
    return ListRow(position, first) if request.type == "list" else SetRow(first)
