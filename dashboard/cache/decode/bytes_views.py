"""Bytes shown as they are: escaped, or in hexadecimal."""

from __future__ import annotations

from dataclasses import dataclass

VIEWS = ("decoded", "raw", "hex")

HEX_WIDTH = 16
HEX_LIMIT = 64 * 1024
RAW_LIMIT = 1024 * 1024

_SHORT = {0x09: "\\t", 0x0A: "\n", 0x0D: "\\r", 0x5C: "\\\\"}
_ESCAPED = tuple(_SHORT.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in range(256))
_ASCII = bytes(byte if 0x20 <= byte < 0x7F else 0x2E for byte in range(256))


@dataclass(frozen=True)
class HexLine:
    """16 bytes or fewer: the offset of the first, pairs of hex digits, and printable ASCII with dots."""

    offset: int
    hex: str
    ascii: str


def raw(data: bytes, limit: int = RAW_LIMIT) -> str:
    r"""The first `limit` bytes: printable ASCII as it is, line breaks kept, all else as `\xNN`.

    A backslash is doubled, so that no two different values look the same. At most 4 * limit characters.
    """
    return "".join(map(_ESCAPED.__getitem__, data[:limit]))


def hexdump(data: bytes, offset: int = 0, limit: int = HEX_LIMIT) -> tuple[HexLine, ...]:
    """The first `limit` bytes of data, which itself begins `offset` bytes into the value."""
    shown = data[:limit]
    return tuple(
        _hex_line(offset + start, shown[start : start + HEX_WIDTH]) for start in range(0, len(shown), HEX_WIDTH)
    )


def _hex_line(offset: int, part: bytes) -> HexLine:
    return HexLine(offset, part.hex(" "), part.translate(_ASCII).decode("ascii"))
