"""Pieces of a JSON answer that nobody vouches for, each as what it should be or None. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST_TEXT = 400
LAST_MOMENT = 32_503_680_000.0  # the year 3000
LARGEST = 1e15  # beyond it a figure is no figure of a demo, and no longer exact as a float

Plain = Mapping[str, Any]


def mapping(value: object) -> Plain:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object, most: int) -> list[object]:
    """The first `most` of a JSON array; none of anything else."""
    return value[:most] if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A finite number within +-LARGEST."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before it is converted: an int of JSON may be larger than any float.
    return float(value) if -LARGEST <= value <= LARGEST else None


def count(value: object) -> int | None:
    """A number from 0, rounded."""
    found = number(value)
    return None if found is None or found < 0 else round(found)


def amount(value: object) -> float | None:
    """A number from 0."""
    found = number(value)
    return None if found is None or found < 0 else found


def ratio(value: object) -> float | None:
    """A number from 0 to 1."""
    found = number(value)
    return None if found is None or not 0 <= found <= 1 else found


def moment(value: object, ahead: float = 0.0) -> float | None:
    """Epoch seconds that a calendar knows, by a clock that is not `ahead` any more."""
    found = number(value)
    return found - ahead if found is not None and 0 <= found - ahead <= LAST_MOMENT else None


def switch(value: object) -> bool:
    return value is True


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    """At most `longest` characters that can be seen; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    return "".join(one if one.isprintable() else " " for one in value[:longest]).strip()
