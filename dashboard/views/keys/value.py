"""A key's value, a page at a time, in one of three views: decoded, raw, hex."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.decode import VIEWS, Decoded, HexLine, decode, hexdump, raw
from dashboard.cache.errors import CacheError
from dashboard.cache.reading import keys
from dashboard.cache.selecting.key_token import from_printable, from_token, printable
from dashboard.cache.selecting.selection import Selection, from_query
from dashboard.cache.servers.connect import Cache
from dashboard.cache.values.page import MATCHABLE, MAX_BYTES, BadCursor, Excerpt, Gone, StringRow, ValuePage
from dashboard.cache.values.page import page as page_of
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.render import fragment, of_cache_error

blueprint = Blueprint("value", __name__, url_prefix="/caches/<cache>/keys/<key>/value")

# Bytes of a string that one page reads. Decoding wants as much as it may have, a hex dump is long.
_STRING_BYTES = {"decoded": 1024 * 1024, "raw": 128 * 1024, "hex": 8 * 1024}
_TEXT_LIMIT = 512 * 1024  # bytes of decoded text on a page: more only makes the browser slow
_ELEMENT_LIMIT = 8 * 1024  # the same for one element of a collection
_ELEMENT_HEX = 256
_ONE_LINE = 160  # bytes of JSON that a row shows as they are: indented, they would be as many lines


@dataclass(frozen=True)
class Drawn:
    """An element as the page shows it: text, what it was recognised as, its size and why it is cut ("" if whole)."""

    text: str
    chain: tuple[str, ...]
    size: int
    cut: str


@blueprint.get("")
@requires(Role.VIEWER)
def show(cache: str, key: str) -> ResponseReturnValue:
    """The value's block of the key's page, for another view, page or filter."""
    row = keys.look(current_cache(), from_token(key))
    if row is None:
        abort(404, "The key does not exist (any more).")
    return fragment("key/_value.html", row=row, **value_context(current_cache(), key, row.type))


def value_context(cache: Cache, token: str, kind: str) -> dict[str, Any]:
    """What key/_value.html draws: a page of the value, or the problem that kept it from being read.

    Query parameters: `view`, `cursor` (opaque, from the page before), `match` (a glob over fields or members).
    """
    view = request.args.get("view", VIEWS[0])
    if view not in VIEWS:
        abort(400, "There is no such view.")
    match = request.args.get("match", "")
    problem, page = None, None
    try:
        page = page_of(
            cache,
            from_token(token),
            type=kind,
            cursor=request.args.get("cursor", ""),
            match=Selection(from_printable(match)).glob if match else None,
            max_bytes=_STRING_BYTES[view] if kind == "string" else MAX_BYTES,
        )
    except CacheError as error:
        problem = of_cache_error(error)
    except BadCursor:
        abort(400, "This page of the value does not exist.")
    selection = from_query(request.args).to_query()
    here: dict[str, Any] = {"cache": cache.name, "key": token, **selection, "match": match or None}
    return {
        "problem": problem,
        "value": page if isinstance(page, ValuePage) else None,
        "gone": page.type if isinstance(page, Gone) else "",
        "view": view,
        "match": match,
        "matchable": kind in MATCHABLE,
        "first_page": "cursor" not in request.args,
        "tabs": [(name, *_addresses(here, view=name)) for name in VIEWS],
        "next_page": _addresses(here, view=view, cursor=page.next) if isinstance(page, ValuePage) and page.next else (),
        "whole_string": _string(page, view) if isinstance(page, ValuePage) and kind == "string" else None,
        "draw": lambda excerpt: draw(excerpt, view),
        "printable": printable,
        "look_again": url_for("key.show", **here, view=view),
        "value_at": time.time(),
    }


def _addresses(here: dict[str, Any], **changed: Any) -> tuple[str, str]:
    """(the page, the fragment) that show the value otherwise: the first for a link, the second for htmx."""
    return url_for("key.show", **here, **changed), url_for("value.show", **here, **changed)


@dataclass(frozen=True)
class DrawnString:
    """A page of a string: one of decoded, text and lines; offset and size in bytes, total of all of it."""

    offset: int
    size: int
    total: int
    decoded: Decoded | None = None
    text: str = ""
    lines: tuple[HexLine, ...] = ()


def _string(page: ValuePage, view: str) -> DrawnString:
    row = page.rows[0]
    assert isinstance(row, StringRow)  # noqa: S101  (a page of a string has this one row)
    total = page.total or 0
    if view == "hex":
        return DrawnString(row.offset, len(row.data), total, lines=hexdump(row.data, row.offset))
    if view == "raw":
        return DrawnString(row.offset, len(row.data), total, text=raw(row.data))
    complete = row.offset == 0 and len(row.data) == total
    return DrawnString(row.offset, len(row.data), total, decoded=decode(row.data, complete=complete, limit=_TEXT_LIMIT))


def draw(excerpt: Excerpt, view: str) -> Drawn:
    """One element of a collection in a view."""
    if view == "hex":
        part = excerpt.data[:_ELEMENT_HEX]
        return Drawn(part.hex(" "), (), excerpt.size, _missing(part, excerpt))
    if view == "raw" or not excerpt.data:
        part = excerpt.data[:_ELEMENT_LIMIT]
        return Drawn(raw(part), (), excerpt.size, _missing(part, excerpt))
    missing = _missing(excerpt.data, excerpt)
    decoded = decode(excerpt.data, complete=excerpt.whole, limit=_ELEMENT_LIMIT)
    if decoded.chain == ("JSON",) and len(excerpt.data) <= _ONE_LINE and b"\n" not in excerpt.data:
        return Drawn(excerpt.data.decode("utf-8", "replace"), decoded.chain, excerpt.size, missing)
    return Drawn(decoded.text, decoded.chain, excerpt.size, missing or decoded.cut)


def _missing(shown: bytes, excerpt: Excerpt) -> str:
    """Why an element is not all there; "" where it is."""
    if len(shown) == excerpt.size:
        return ""
    return f"its first {len(shown):,} bytes" if shown else "too large to show"
