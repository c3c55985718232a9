"""The selection bar: what its selects offer, in words. It stands on Keys, Expiry, Memory, with one query string."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from dashboard.cache.selecting.selection import TYPES, Selection
from dashboard.views.filters import byte_size, duration, utc

Choices = tuple[tuple[str, str], ...]

TYPE_CHOICES: Choices = (("", "any"), *((name, name) for name in TYPES))
TTL_CHOICES: Choices = (
    ("", "any"),
    ("none", "no TTL"),
    ("any", "with a TTL"),
    ("<60", "under 1 min"),
    ("<3600", "under 1 h"),
    (">3600", "over 1 h"),
    (">86400", "over 1 day"),
)
SIZE_CHOICES: Choices = (
    ("", "any"),
    ("<100", "under 100 B"),
    (">10240", "over 10 kB"),
    (">102400", "over 100 kB"),
    (">1048576", "over 1 MB"),
)
_RANGE = re.compile(r"(@?)(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Bar:
    """What each select offers: the usual, and what the URL asks for besides."""

    types: Choices
    ttls: Choices
    sizes: Choices


def selection_bar(selection: Selection) -> Bar:
    """The choices of the bar, so that whatever the selection says is among them."""
    return Bar(
        _with(TYPE_CHOICES, selection.type, selection.type),
        _with(TTL_CHOICES, selection.ttl, ttl_in_words(selection.ttl)),
        _with(SIZE_CHOICES, selection.size, size_in_words(selection.size)),
    )


def _with(usual: Choices, chosen: str, words: str) -> Choices:
    return usual if chosen in dict(usual) else (*usual, (chosen, words))


def ttl_in_words(condition: str) -> str:
    """A TTL condition for people: "<90" is "under 1 min 30 s", "300-900" is "5 min to 15 min"."""
    known = dict(TTL_CHOICES).get(condition)
    if known:
        return known
    between = _RANGE.fullmatch(condition)
    if between:
        at, low, high = between[1], float(between[2]), float(between[3])
        if not at:
            return f"{duration(low)} to {duration(high)}"
        same_day = utc(low)[:10] == utc(high)[:10]
        return f"expires {utc(low)[:19]} to {utc(high, 'clock' if same_day else 'full')}"
    return _bounded(condition, duration)


def size_in_words(condition: str) -> str:
    """A size condition for people: ">2048" is "over 2 kB"."""
    return dict(SIZE_CHOICES).get(condition) or _bounded(condition, byte_size)


def _bounded(condition: str, words: Callable[[float], str]) -> str:
    side = {"<": "under", ">": "over"}.get(condition[:1])
    try:
        return f"{side} {words(float(condition[1:]))}" if side else condition
    except ValueError:
        return condition
