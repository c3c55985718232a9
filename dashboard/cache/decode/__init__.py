"""Bytes of a cached value -> what they are and how to show them. Pure: knows no server and no page.

Every kind of value is recognised by signs that bytes hardly show by chance; what shows none is text
or binary. Work and output are bounded by `limit`, whatever the bytes claim about themselves, and no
input makes decode() raise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dashboard.cache.decode.bytes_views import VIEWS, HexLine, hexdump, raw
from dashboard.cache.decode.compression import unpack, unpack_lz4_block
from dashboard.cache.decode.java import draw_java, unwrap_java_string
from dashboard.cache.decode.json_text import draw_json
from dashboard.cache.decode.msgpack_text import draw_msgpack
from dashboard.cache.decode.outline import limit_reached
from dashboard.cache.decode.php_text import draw_php
from dashboard.cache.decode.pickle_text import draw_pickle
from dashboard.cache.decode.plain import as_text, draw_binary, draw_integer, draw_text, unwrap_base64
from dashboard.cache.decode.result import DEFAULT_LIMIT, MAX_LAYERS, Decoded, Drawn, Layer, Unwrapped, human_size

__all__ = ["DEFAULT_LIMIT", "VIEWS", "Decoded", "HexLine", "Layer", "decode", "hexdump", "raw"]


@dataclass(frozen=True)
class _Found:
    """Layers from here inwards, the text, and every reason why it is not whole."""

    layers: tuple[Layer, ...]
    drawn: Drawn
    cuts: tuple[str, ...]


def decode(data: bytes, *, complete: bool = True, limit: int = DEFAULT_LIMIT) -> Decoded:
    """Recognise `data` and draw it in at most `limit` bytes of UTF-8. Never raises, never loads or runs anything.

    complete: False says that data is only the beginning of a value; it is decoded as far as it goes.
    Layers that are unpacked on the way hold at most `limit` bytes each, and there are at most 8.
    """
    found = _look(data, complete=complete, limit=limit, depth=1)
    text, too_long = _fit(found.drawn.text, limit)
    cuts = list(found.cuts)
    if too_long:
        cuts.append(limit_reached(limit))
    if not complete:
        cuts.insert(0, f"This is the beginning of a longer value: its first {human_size(len(data))}.")
    return Decoded(found.layers, text, " ".join(dict.fromkeys(cuts)), found.drawn.notes)


def _look(data: bytes, *, complete: bool, limit: int, depth: int) -> _Found:
    if depth > MAX_LAYERS:
        cut = f"There may be more layers: only {MAX_LAYERS} are looked into."
        return _Found((), Drawn("", raw(data, limit)), (cut,))
    unwrapped = unpack(data, limit, complete=complete) or unwrap_java_string(data)
    if unwrapped:
        return _around(unwrapped, data, complete, _inside(unwrapped, complete, limit, depth))
    window = data[:limit]
    beyond = len(window) < len(data)
    found = _look_at_window(window, complete=complete and not beyond, limit=limit, depth=depth)
    size = Layer(found.layers[0].name, len(data), complete)
    cuts = found.cuts
    if beyond:
        cuts = (f"Only the first {human_size(limit)} of {human_size(len(data))} are shown.", *cuts)
    return replace(found, layers=(size, *found.layers[1:]), cuts=cuts)


def _look_at_window(data: bytes, *, complete: bool, limit: int, depth: int) -> _Found:
    text = as_text(data, complete=complete)
    if text is not None:
        drawn = _draw_textual(data, text, complete=complete, limit=limit)
        doubtful = unwrap_base64(data, complete=complete) if drawn is None else None
    else:
        drawn = _draw_bytes(data, complete=complete, limit=limit)
        doubtful = unpack_lz4_block(data, limit) if drawn is None and complete else None
    if doubtful:
        inside = _inside(doubtful, complete, limit, depth)
        if inside.drawn.sure:
            return _around(doubtful, data, complete, inside)
    drawn = drawn or (draw_binary(data) if text is None else draw_text(text))
    return _Found((Layer(drawn.name, len(data), complete),), drawn, (drawn.cut,) if drawn.cut else ())


def _draw_textual(data: bytes, text: str, *, complete: bool, limit: int) -> Drawn | None:
    if not data:
        return Drawn("empty", "")
    return (
        (draw_integer(data) if complete else None)
        or draw_json(text.removeprefix("\ufeff"), complete=complete, limit=limit)
        or draw_php(data, complete=complete, limit=limit)
        or draw_pickle(data, complete=complete, limit=limit)
    )


def _draw_bytes(data: bytes, *, complete: bool, limit: int) -> Drawn | None:
    return (
        draw_java(data, limit=limit)
        or draw_pickle(data, complete=complete, limit=limit)
        or draw_php(data, complete=complete, limit=limit)
        or draw_msgpack(data, complete=complete, limit=limit)
    )


def _inside(unwrapped: Unwrapped, complete: bool, limit: int, depth: int) -> _Found:
    return _look(unwrapped.data, complete=complete and unwrapped.whole, limit=limit, depth=depth + 1)


def _around(unwrapped: Unwrapped, data: bytes, complete: bool, inside: _Found) -> _Found:
    layer = Layer(unwrapped.name, len(data), complete)
    if unwrapped.cut and not unwrapped.data:  # named, but nothing of it could be unpacked
        return _Found((layer,), Drawn(unwrapped.name, "", sure=unwrapped.sure), (unwrapped.cut,))
    cuts = (unwrapped.cut, *inside.cuts) if unwrapped.cut else inside.cuts
    drawn = replace(inside.drawn, sure=inside.drawn.sure or (unwrapped.name != "base64" and unwrapped.sure))
    return _Found((layer, *inside.layers), drawn, cuts)


def _fit(text: str, limit: int) -> tuple[str, bool]:
    """Cut to `limit` bytes of UTF-8, not inside a character."""
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= limit:
        return encoded.decode("utf-8"), False
    return encoded[: max(0, limit - 3)].decode("utf-8", "ignore") + "…"[: limit // 3], True
