"""Keys as lines of JSON: what an export is made of. Pure.

    {"key": K, "type": T, "ttl_ms": N, "value": V}         N: -1 for a key without TTL
    {"key": K, "type": T, "ttl_ms": N, "dump": "base64"}   what RESTORE takes
    {"key": K, "type": T, "ttl_ms": N, "left_out": "why"}
    {"end": {"complete": true, "keys": N, ...}}            the last line, if the export was not broken off

Bytes are a JSON string where they are UTF-8, and {"base64": "..."} where they are not; where these are recognised
(compressed text, MessagePack and so on: decode), {"base64": "...", "as": ["gzip", "JSON"], "text": "..."}. A value is
such bytes for a string; a list of them for a list and a set; [[field, value], ...] for a hash; [[member, score], ...]
for a sorted set; [[id, [[field, value], ...]], ...] for a stream.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.cache.bytes_json import JSON, base64_of, text_or_base64
from dashboard.cache.decode import decode

TEXT_MOST = 1024 * 1024  # bytes of decoded text that stand beside the bytes of one key
_WHOLE_MOST = 2**53  # up to here a whole number is the same as a double and as JSON


def of_value(key: bytes, kind: str, pttl: int, reply: Any) -> str:
    """The line of a key with its value, from the reply of the command that reads it whole (RESP2)."""
    return _line(key, kind, pttl, {"value": _Shown().value(kind, reply)})


def of_dump(key: bytes, kind: str, pttl: int, dump: bytes) -> str:
    return _line(key, kind, pttl, {"dump": base64_of(dump)})


def of_left_out(key: bytes, kind: str, pttl: int, why: str) -> str:
    """why: a sentence."""
    return _line(key, kind, pttl, {"left_out": why})


@dataclass(frozen=True)
class Counts:
    """keys: lines written of keys, those left out among them; dumps: of these, with a DUMP; left_out: without either.

    gone: keys that were found and had expired or were removed before they could be read; they have no line.
    """

    keys: int = 0
    dumps: int = 0
    left_out: int = 0
    gone: int = 0

    def plus(self, keys: int = 0, dumps: int = 0, left_out: int = 0, gone: int = 0) -> Counts:
        return Counts(self.keys + keys, self.dumps + dumps, self.left_out + left_out, self.gone + gone)

    def to_plain(self) -> dict[str, int]:
        return {"keys": self.keys, "dumps": self.dumps, "left_out": self.left_out, "gone": self.gone}


def of_end(counts: Counts, *, why: str = "", lost: Mapping[str, str] | None = None) -> str:
    """The last line. why: a sentence where keys are missing from the export; "" where it is complete."""
    end: dict[str, Any] = {"complete": not why, **counts.to_plain()}
    if why:
        end["why"] = why
    if lost:
        end["lost"] = dict(lost)
    return _dumped({"end": end})


def _line(key: bytes, kind: str, pttl: int, content: dict[str, JSON]) -> str:
    return _dumped({"key": text_or_base64(key), "type": kind, "ttl_ms": pttl, **content})


def _dumped(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


class _Shown:
    """Of one key's value: how much decoded text there may be yet."""

    def __init__(self) -> None:
        self._room = TEXT_MOST

    def value(self, kind: str, reply: Any) -> JSON:
        if kind == "string":
            return self._bytes(reply)
        if kind == "hash":
            return self._pairs(reply)
        if kind == "zset":
            return [[self._bytes(member), _score(score)] for member, score in zip(reply[::2], reply[1::2], strict=True)]
        if kind == "stream":
            return [[name.decode(), self._pairs(fields or ())] for name, fields in reply]
        return [self._bytes(element) for element in reply]

    def _pairs(self, flat: Sequence[bytes]) -> JSON:
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return [[self._bytes(name), self._bytes(value)] for name, value in pairs]

    def _bytes(self, data: bytes) -> JSON:
        shown = text_or_base64(data)
        if not isinstance(shown, dict) or self._room <= 0:
            return shown
        decoded = decode(data, limit=self._room)
        if decoded.binary or not decoded.text:
            return shown
        self._room -= len(decoded.text)
        shown |= {"as": list(decoded.chain), "text": decoded.text}
        if decoded.cut:
            shown["cut"] = decoded.cut
        return shown


def _score(reply: bytes) -> JSON:
    """A number; "inf" and "-inf", which JSON does not know, as the server writes them."""
    score = float(reply)
    if math.isinf(score):
        return "inf" if score > 0 else "-inf"
    return int(score) if score.is_integer() and abs(score) < _WHOLE_MOST else score
