"""Durations as people type them into a form, and back: `90`, `10 000`, `15m`, `2 h`, `1d 12h`."""

from __future__ import annotations

import math
import re

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LARGEST_FIRST = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhd])(?![a-z])\s*", re.ASCII)
# A space before three digits separates thousands, as our own pages draw them: never two numbers.
_THOUSANDS = re.compile(r"(?<=\d)[\s\u00a0\u202f](?=\d{3}(?!\d))")


class BadDuration(ValueError):
    """The text is no duration; the message is a sentence for the operator."""


def parse_duration(text: str, *, least: float, most: float) -> float:
    """Seconds: a number alone, or numbers each with s, m (min), h or d. Raises BadDuration, also out of bounds."""
    written = _THOUSANDS.sub("", text.strip().lower())
    if _NUMBER.fullmatch(written):
        seconds = float(written)
    elif written and not _PART.sub("", written):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(written))
    else:
        raise BadDuration("Write a time such as 90, 15m, 2h or 1d 12h.")
    if not least <= seconds <= most:
        raise BadDuration(f"The time is between {least:g} s and {most / 86400:,.0f} days.")
    return seconds


def typed_duration(seconds: float) -> str:
    """A length of time as it may be typed into a form again: 5400 is "1h 30m"."""
    parts, left = [], round(seconds)
    for size, unit in _LARGEST_FIRST:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts) if parts and round(seconds) == seconds else f"{seconds:g}"


def with_units(text: str) -> str:
    """A plain number of seconds, as addresses have it, as people type it: "900" is "15m"; any other text as it is."""
    return typed_duration(float(text)) if _NUMBER.fullmatch(text) and math.isfinite(float(text)) else text
