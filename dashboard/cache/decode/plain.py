"""The innermost layers that need no parser: integers, text, files known by their first bytes, and the rest."""

from __future__ import annotations

import base64
import binascii
import re

from dashboard.cache.decode.bytes_views import raw
from dashboard.cache.decode.outline import visible
from dashboard.cache.decode.result import Drawn, Unwrapped

_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]{0,38})")
# Control characters that text is written with: tab, line feed, form feed, carriage return, escape.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{8,}={0,2}")
_BASE64_URL = re.compile(rb"[A-Za-z0-9_-]{8,}={0,2}")

_SIGNATURES = (
    (re.compile(rb"HYLL[\x00\x01]\x00\x00\x00"), "HyperLogLog"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG image"),
    (re.compile(rb"\xff\xd8\xff[\xc0-\xfe]"), "JPEG image"),
    (re.compile(rb"GIF8[79]a"), "GIF image"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WebP image"),
    (re.compile(rb"%PDF-1|%PDF-2"), "PDF document"),
    (re.compile(rb"PK\x03\x04"), "ZIP archive"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "bzip2"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\xff\x06\x00\x00sNaPpY"), "Snappy"),
    (re.compile(rb'\x04\x08[\[{oIi"@:uUTFC0]'), "Ruby Marshal"),
)


def draw_integer(data: bytes) -> Drawn | None:
    """A decimal integer as INCR keeps it, and somewhat longer."""
    return Drawn("integer", data.decode("ascii")) if _INTEGER.fullmatch(data) else None


def as_text(data: bytes, *, complete: bool) -> str | None:
    """`data` as UTF-8 without control characters that no text has; a prefix may end inside a character."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if complete or error.reason != "unexpected end of data" or error.start < len(data) - 3:
            return None
        text = data[: error.start].decode("utf-8")
    return None if _NO_TEXT.search(text) else text


def draw_text(text: str) -> Drawn:
    return Drawn("text", visible(text))


def draw_binary(data: bytes) -> Drawn:
    """What nothing recognised, named if its first bytes are known, shown escaped."""
    for signature, name in _SIGNATURES:
        if signature.match(data):
            return Drawn(name, raw(data, len(data)), sure=True)
    return Drawn("binary", raw(data, len(data)))


def unwrap_base64(data: bytes, *, complete: bool) -> Unwrapped | None:
    """The bytes behind base64 or base64url (RFC 4648). Ordinary words are base64 too: the caller must doubt it."""
    packed = data.translate(None, b"\r\n")
    if _BASE64.fullmatch(packed):
        alphabet = b"+/"
    elif _BASE64_URL.fullmatch(packed):
        alphabet = b"-_"
    else:
        return None
    packed = packed.rstrip(b"=")
    if not complete:
        packed = packed[: len(packed) // 4 * 4]
    try:
        inside = base64.b64decode(packed + b"=" * (-len(packed) % 4), altchars=alphabet, validate=True)
    except binascii.Error:
        return None
    return Unwrapped("base64", inside, whole=complete)
