"""Text of the terminal: lengths of time as they are typed, and lines without what only the screens draw."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from dashboard.cache.selecting.conditions import SECONDS
from dashboard.cache.wording import MINUS, NARROW

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(min|[smhdw])?", re.ASCII)
# A server's words may hold anything, such as what moves the cursor of a terminal.
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), "?")
_PLAIN = {**_CONTROL, ord(NARROW): " ", ord(MINUS): "-", ord("\u2192"): "->"}


def time(text: str) -> float:
    """Seconds of what is written as `10`, `10s`, `5m`, `1.5h`, `2d`. Raises BadParameter."""
    found = _TIME.fullmatch(text.strip().lower())
    if not found:
        raise click.BadParameter(f"{text!r} is no time such as 10s, 5m or 1h.")
    return float(found[1]) * SECONDS[found[2] or "s"]


def plain(text: str) -> str:
    """One line without control characters, and without the narrow spaces, minus signs and arrows of the screens."""
    return text.translate(_PLAIN)


def say(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines, plain."""
    for line in lines:
        click.echo(plain(line), err=err)
