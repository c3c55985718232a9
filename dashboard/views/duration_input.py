"""Durations as people type them into a form: `90`, `15m`, `2 h`, `1d 12h`."""

from __future__ import annotations

import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


class BadDuration(ValueError):
    """The text is no duration; the message is a sentence for the operator."""


def parse_duration(text: str, *, least: float, most: float) -> float:
    """Seconds. Raises BadDuration for anything else than numbers with s, m, h, d, or out of bounds."""
    parts = _PART.findall(text.strip().lower())
    rest = _PART.sub("", text.strip().lower()).strip()
    if not parts or rest or any(unit not in _UNITS for _, unit in parts):
        raise BadDuration("Write a time such as 90, 15m, 2h or 1d.")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not least <= seconds <= most:
        raise BadDuration(f"The time is between {least:g} s and {most / 86400:,.0f} days.")
    return seconds
