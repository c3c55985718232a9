"""Keys on their way through URLs and pages.

A key is any sequence of bytes, a path segment of a URL is not. `to_token` keeps an ordinary key
readable (`api:user:42` stays as it is) and turns every other into `~` and base64url (RFC 4648,
section 5, unpadded), so that a slash, a newline, an empty name, `..` or bytes that are no text
survive links, forms and proxies. The mapping is one to one.
"""

from __future__ import annotations

import base64
import binascii
import re

# Unreserved and sub-delims of RFC 3986 without those that proxies or HTML treat in a special way.
_READABLE = re.compile(rb"[A-Za-z0-9_:@=,$!*.()-]{1,400}")
_ONLY_DOTS = re.compile(rb"\.+")


class BadToken(ValueError):
    """The text is not something that `to_token` has made."""


def to_token(key: bytes) -> str:
    """One path segment that stands for exactly this key."""
    if _READABLE.fullmatch(key) and not _ONLY_DOTS.fullmatch(key):
        return key.decode("ascii")
    return "~" + base64.urlsafe_b64encode(key).rstrip(b"=").decode("ascii")


def from_token(token: str) -> bytes:
    """The key of a token. Raises BadToken for anything that `to_token` would not have written."""
    if not token.startswith("~"):
        try:
            key = token.encode("ascii")
        except UnicodeEncodeError:
            raise BadToken("This address does not name a key.") from None
    else:
        key = _decode(token[1:])
    if to_token(key) != token:
        raise BadToken("This address does not name a key.")
    return key


def _decode(text: str) -> bytes:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise BadToken("This address does not name a key.") from None


_ESCAPES = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
_READ_AS_ESCAPE = ("\\", "n", "r", "t", "x")


def printable(key: bytes) -> str:
    """The key as one line of text: UTF-8 where it is, everything unprintable as `\\xNN`; '' for the empty key.

    A backslash is doubled where what follows would make it an escape, so that two different keys
    never look the same and `from_printable` gives the key back.
    """
    text = key.decode("utf-8", "surrogateescape")
    if "\\" not in text and text.isprintable():  # nearly every key, and lists have 50,000 of them
        return text
    shown: list[str] = []
    for character in reversed(text):
        if character == "\\":
            shown.append("\\\\" if shown and shown[-1].startswith(_READ_AS_ESCAPE) else "\\")
        else:
            shown.append(_shown(character))
    return "".join(reversed(shown))


def _shown(character: str) -> str:
    code = ord(character)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as surrogateescape carries it
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


_ESCAPED = re.compile(r"\\(\\|n|r|t|x[0-9A-Fa-f]{2})")
_UNESCAPES = {"\\": b"\\", "n": b"\n", "r": b"\r", "t": b"\t"}


def from_printable(text: str) -> bytes:
    r"""The bytes of what `printable` shows, so that an operator can paste it back: `\xff` is one byte.

    A backslash that begins none of these escapes stands for itself, as in a glob pattern.
    """
    if "\\" not in text:
        return text.encode("utf-8", "surrogateescape")
    key = bytearray()
    position = 0
    for found in _ESCAPED.finditer(text):
        key += text[position : found.start()].encode("utf-8", "surrogateescape")
        escape = found.group(1)
        key += _UNESCAPES[escape] if escape in _UNESCAPES else bytes([int(escape[1:], 16)])
        position = found.end()
    return bytes(key + text[position:].encode("utf-8", "surrogateescape"))
