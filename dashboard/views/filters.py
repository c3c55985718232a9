"""How numbers, sizes, times and key names are written on a page: pure functions, registered as Jinja filters.

Thousands are parted by U+202F (narrow no-break space), so that a figure never breaks across lines and reads
the same in every locale. static/js/format.js writes the same forms in the browser.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask

from dashboard.cache import wording

THIN = "\u202f"
MINUTE, HOUR, DAY = 60, 3600, 86400


def number(n: float, digits: int = 0) -> str:
    """`n` with `digits` decimals and thin spaces between thousands: 10212 -> "10 212"."""
    return f"{n:,.{digits}f}".replace(",", THIN)


def _scaled(n: float, base: int, units: tuple[str, ...]) -> tuple[str, str]:
    """One decimal below 100 unless it is a zero; "1 M", never "1000 k"."""
    size, step = float(n), 0
    while abs(size) >= base * 0.9995 and step < len(units) - 1:
        size, step = size / base, step + 1
    return number(size, 1 if abs(size) < 99.95 else 0).removesuffix(".0"), units[step]


def short_parts(n: float) -> tuple[str, str]:
    """A count for reading at a glance, with its SI prefix apart: 1204 -> ("1.2", "k")."""
    return _scaled(n, 1000, ("", "k", "M", "G", "T"))


def short(n: float) -> str:
    """`short_parts` as one text: 1204 -> "1.2 k"."""
    return THIN.join(part for part in short_parts(n) if part)


def bytes_parts(n: float) -> tuple[str, str]:
    """A size and its unit: 67108864 -> ("64", "MB").

    The units are those of redis.conf and valkey.conf ("1mb => 1024*1024 bytes"), so that a maxmemory
    of 64mb reads as 64 MB and not as 67.1 MB.
    """
    return _scaled(n, 1024, ("B", "kB", "MB", "GB", "TB"))


def byte_size(n: float) -> str:
    """`bytes_parts` as one text: 1229 -> "1.2 kB"."""
    return THIN.join(bytes_parts(n))


duration = wording.duration


def clock(seconds: float) -> str:
    """Time left, as ttl.js counts it down: 271 -> "4:31", 3723 -> "1:02:03", 273600 -> "3 d 4 h"."""
    left = max(0, math.ceil(seconds))
    if left >= DAY:
        return f"{left // DAY}{THIN}d {left % DAY // HOUR}{THIN}h"
    if left >= HOUR:
        return f"{left // HOUR}:{left % HOUR // MINUTE:02}:{left % MINUTE:02}"
    return f"{left // MINUTE}:{left % MINUTE:02}"


def iso(at: float, timespec: str = "seconds") -> str:
    """Epoch seconds as ISO 8601 in UTC, for `<time datetime>`. timespec: "seconds" or "milliseconds"."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def utc(at: float, style: str = "full") -> str:
    """Epoch seconds in words and in UTC, for a reader without JavaScript. style: "full", "clock", "ago", "ms" (a clock
    with milliseconds)."""
    moment = datetime.fromtimestamp(at, UTC)
    if style == "ms":
        return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} UTC"
    return moment.strftime("%H:%M:%S UTC" if style == "clock" else "%Y-%m-%d %H:%M:%S UTC")


def middle(text: str, limit: int = 400, tail: int = 20) -> tuple[str, int, str]:
    """A key as (head, characters left out, tail).

    The head is what CSS may shorten where the width ends; the tail always stays, because keys of one
    namespace differ there. Beyond `limit` characters the rest is not sent at all: a page of 100 keys of
    10 kB each would be a megabyte.
    """
    if len(text) > limit:
        head = limit - 2 * tail
        return text[:head], len(text) - head - tail, text[-tail:]
    cut = len(text) - tail if len(text) > 2 * tail else len(text)
    return text[:cut], 0, text[cut:]


def hyphenated(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a macro as attribute names: data_search=True -> data-search="", False is left out."""
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return {name: "" if value is True else value for name, value in named.items() if value is not False}


FILTERS = {
    "number": number,
    "short": short,
    "short_parts": short_parts,
    "bytes": byte_size,
    "bytes_parts": bytes_parts,
    "duration": duration,
    "clock": clock,
    "iso": iso,
    "utc": utc,
    "middle": middle,
    "hyphenated": hyphenated,
}


def register(app: Flask) -> None:
    """Add the filters to the templates of `app`."""
    app.jinja_env.filters.update(FILTERS)
