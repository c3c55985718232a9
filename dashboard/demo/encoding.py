"""Values as they lie in the cache: JSON, and from a size on JSON compressed with zstd."""

from __future__ import annotations

import json
from typing import Any

import zstandard

Document = dict[str, Any]

COMPRESS_FROM = 6 * 1024  # bytes; below it the saved memory does not pay for the time
LARGEST = 8 * 1024 * 1024  # bytes after decompression; the shop never stores a larger value
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Undecodable(ValueError):
    """The bytes are not what `encode` makes: somebody else's value, or a damaged one."""


def encode(document: Document | None) -> bytes:
    """The document as bytes; None stands for a row that does not exist."""
    plain = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(plain) < COMPRESS_FROM:
        return plain
    return zstandard.ZstdCompressor(level=3).compress(plain)


def decode(stored: bytes) -> Document | None:
    """The reverse of `encode`. Raises Undecodable."""
    try:
        if stored.startswith(ZSTD_MAGIC):
            stored = _decompressed(stored)
        document = json.loads(stored)
    except (ValueError, RecursionError, zstandard.ZstdError) as error:
        raise Undecodable("not a value of the shop") from error
    if document is None or isinstance(document, dict):
        return document
    raise Undecodable("not a value of the shop")


def _decompressed(stored: bytes) -> bytes:
    # Where the frame says its size the library allocates that much, whatever max_output_size is.
    if zstandard.frame_content_size(stored) > LARGEST:
        raise Undecodable("larger than any value of the shop")
    return zstandard.ZstdDecompressor().decompress(stored, max_output_size=LARGEST)
