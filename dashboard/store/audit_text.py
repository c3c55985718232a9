"""One entry of the audit trail in text: what differs, and a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dashboard.store.audit import JSON, Entry


def as_line(entry: Entry) -> str:
    """One entry as a line of JSON, with its time in ISO 8601 (UTC) beside the epoch seconds."""
    time = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps({"time": time} | asdict(entry), ensure_ascii=False) + "\n"


def differences(before: JSON | None, after: JSON | None) -> Iterator[tuple[str, str, str]]:
    """(field, what it was, what it became) of each field that differs; "" for what was not there."""
    old, new = _fields(before), _fields(after)
    for name in [*old, *(name for name in new if name not in old)]:
        was, became = _text(old.get(name)), _text(new.get(name))
        if was != became:
            yield name, was, became


def _fields(value: JSON | None) -> dict[str, Any]:
    if value is None:
        return {}
    return dict(value) if isinstance(value, dict) else {"": value}


def _text(value: JSON | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
