"""Bytes in JSON: a string where they are UTF-8, and {"base64": "..."} where they are not. Pure.

The one form in which exports, messages to applications and lines of events carry keys and values.
"""

from __future__ import annotations

import base64
from typing import TypeAlias

JSON: TypeAlias = "int | float | str | list[JSON] | dict[str, JSON]"


def text_or_base64(data: bytes) -> JSON:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64_of(data)}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
