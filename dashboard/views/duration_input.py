"""Durations as people type them into a form: `90`, `10 000`, `15m`, `2 h`, `1d 12h`."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
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
