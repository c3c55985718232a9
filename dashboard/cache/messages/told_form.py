"""The form of the messages by which applications are told what to drop, and of their acknowledgements. Pure.

It is documented in docs/invalidation.md and docs/events.md; applications rely on it, so it only ever grows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dashboard.cache.bytes_json import text_or_base64

VERSION = 1
BATCH = 500  # keys of one message


def message(kind: str, cache: str, *, invalidation: int | None = None, **more: Any) -> bytes:
    """One message of a kind: "begin", "keys", "selection" or "tags". invalidation: its number, where it has one."""
    head: dict[str, Any] = {"v": VERSION, "type": kind}
    if invalidation is not None:
        head["invalidation"] = invalidation
    return _written({**head, "cache": cache, **more})


def names(keys: Sequence[bytes]) -> list[Any]:
    """Keys as JSON knows them: text where they are UTF-8, else base64 of their bytes."""
    return [text_or_base64(key) for key in keys]


def asking(payload: bytes, number: str, reply: str) -> bytes:
    """A JSON object with the fields `id` and `reply` at its end, and every other byte as it was."""
    body = payload.rstrip().removesuffix(b"}").rstrip()
    fields = _written({"id": number, "reply": reply})
    return body + (b"" if body.endswith(b"{") else b",") + fields.removeprefix(b"{")


def fields_of(payload: bytes) -> dict[str, Any] | None:
    """The fields of a JSON object; None for anything else, however deep or broken it is."""
    try:
        found = json.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _written(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
