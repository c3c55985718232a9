"""TTL and size conditions as people write them: `<5m`, `5m-1h`, `>1MB`. Pure.

A Selection has one canonical form of each: plain seconds and plain bytes. What is written otherwise is brought into
it here; what is no condition at all is left as it is, for the Selection to refuse with a sentence.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604_800}
BYTES = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}

_NUMBER = r"\d{1,15}(?:\.\d{1,6})?"
_PART = re.compile(rf"({_NUMBER})\s*(min|[smhdw])(?![a-z])\s*", re.ASCII)
_TIME = rf"(?:{_NUMBER}\s*(?:min|[smhdw])(?![a-z])\s*)+"
_TTL_BOUND = re.compile(rf"([<>])\s*({_TIME}|{_NUMBER})", re.ASCII)
_TTL_RANGE = re.compile(rf"({_TIME}|{_NUMBER})\s*-\s*({_TIME})", re.ASCII)
_SIZE_BOUND = re.compile(rf"([<>])\s*({_NUMBER})\s*(gb|mb|kb|b)?", re.ASCII)


def plain_ttl(written: str) -> str:
    """A TTL condition in seconds: `<5m` is `<300`, `5m-1h` is `300-3600`; any other text as it is, without blanks.

    A bare number is seconds. Of a range only its lower end may be bare, and then only 0: `5-10m` might mean either.
    """
    text = written.strip().lower()
    bound = _TTL_BOUND.fullmatch(text)
    if bound:
        return bound[1] + _plain(_seconds(bound[2]))
    between = _TTL_RANGE.fullmatch(text)
    if between:
        low, high = between.groups()
        if _PART.search(low) or Decimal(low) == 0:
            return f"{_plain(_seconds(low))}-{_plain(_seconds(high))}"
    return text


def plain_size(written: str) -> str:
    """A size condition in bytes: `>1MB` is `>1048576`; any other text as it is, without blanks around it.

    Sizes are whole bytes, so a fraction of one moves the bound to the next whole one that takes the same keys.
    """
    text = written.strip().lower()
    found = _SIZE_BOUND.fullmatch(text)
    if not found:
        return text
    least = Decimal(found[2]) * BYTES[found[3] or "b"]
    return found[1] + str(int(least.to_integral_value(ROUND_FLOOR if found[1] == ">" else ROUND_CEILING)))


def _seconds(time: str) -> Decimal:
    parts = _PART.findall(time)
    return sum((Decimal(number) * SECONDS[unit] for number, unit in parts), Decimal(0)) if parts else Decimal(time)


def _plain(seconds: Decimal) -> str:
    """Without an exponent, and without zeros at the end of a fraction."""
    text = f"{seconds:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
