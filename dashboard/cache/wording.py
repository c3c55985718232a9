"""Numbers as words within a sentence: `1.2 k`, `64 MB`, `93.1 %`, `12 min`. Pure, in plain text.

Bytes are counted as the server's own `_human` fields do: 1 kB is 1024 bytes.
"""

from __future__ import annotations

from collections.abc import Callable

NARROW = "\u202f"  # no-break: a number and its unit stay on one line
MINUS = "\u2212"
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float) -> str:
    """Three significant digits and a decimal prefix: 7, 0.4, 12.3, 340, `1.2 k`, `10.1 M`."""
    for step, prefix in _STEPS:
        if abs(value) >= step * 0.9995:
            return f"{_digits(value / step)}{NARROW}{prefix}"
    return _digits(value)


def size(value: float) -> str:
    """Bytes: `312 B`, `1.5 kB`, `64 MB`."""
    for exponent, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        step = 1024.0**exponent
        if abs(value) >= step * 0.9995:
            return f"{_digits(value / step)}{NARROW}{unit}"
    return f"{value:.0f}{NARROW}B"


def percent(share: float) -> str:
    """A share of 1: `93.1 %`; never `100 %` or `0 %` for what is not exactly that."""
    shown = share * 100
    if 0 < shown < 0.05:
        return f"under 0.1{NARROW}%"
    if 99.95 <= shown < 100:
        return f"over 99.9{NARROW}%"
    return f"{shown:.1f}".removesuffix(".0") + f"{NARROW}%"


def span(seconds: float) -> str:
    """A length of time in its largest fitting unit: `45 s`, `5 min`, `3 h`, `12 days`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}{NARROW}ms"
    for step, unit, until in ((1, "s", 90), (60, "min", 90 * 60), (3600, "h", 48 * 3600)):
        if seconds < until:
            return f"{seconds / step:.0f}{NARROW}{unit}"
    return f"{seconds / 86400:.0f}{NARROW}days"


def duration(seconds: float) -> str:
    """How long something takes or lives, in its two largest units: 271 -> `4 min 31 s`, 86400 -> `1 d`."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}{NARROW}ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}{NARROW}s"
    left = round(seconds)
    parts: list[str] = []
    for step, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= step or (unit == "s" and not parts):
            parts.append(f"{left // step}{NARROW}{unit}")
            left %= step
        if parts and (left < step / 24 or len(parts) == 2):
            break
    return " ".join(parts)


def number_of(value: float, one: str, many: str = "") -> str:
    """A count with its noun: `1 client`, `12 clients`."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def _digits(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}"
    return text.removesuffix(".0")


def signed(value: float, words: Callable[[float], str]) -> str:
    """`+ 1.1 GB`, or with a minus: the sign stands apart, so that it is not read as a part of a name."""
    return f"{MINUS if value < 0 else '+'}{NARROW}{words(abs(value))}"
