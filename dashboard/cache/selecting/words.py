"""A selection in plain English: `keys of api:search:* of type string with less than 5 min to live`. Pure.

Times of day are in UTC and say so: the sentence stands in the audit trail too, whose readers are anywhere.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.wording import size, span

_SWALLOWED = re.compile(r"^ | $|(?<= ) ")
PATTERN_SHOWN = 80  # characters of a pattern within a sentence


def in_words(selection: Selection) -> str:
    """The whole selection as the subject of a sentence: `all keys`, `keys of sess:* without TTL`."""
    if selection.keys is not None:
        return listed_in_words(len(selection.keys), selection)
    return _with_conditions(
        "all keys" if selection.glob == b"*" else f"keys of {pattern_in_words(selection)}", selection
    )


def listed_in_words(count: int, selection: Selection) -> str:
    """A selection of so many listed keys, the first of which it has at least."""
    first = _blanks_seen(printable((selection.keys or (b"",))[0]))
    shown = first if len(first) <= PATTERN_SHOWN else f"{first[: PATTERN_SHOWN - 1]}…"
    return _with_conditions(
        f"the key {shown}" if count == 1 else f"{count:,} listed keys ({shown} and others)", selection
    )


def _with_conditions(keys: str, selection: Selection) -> str:
    words = [keys]
    if selection.type:
        words.append(f"of type {selection.type}")
    words += [condition for condition in (ttl_in_words(selection), size_in_words(selection)) if condition]
    return " ".join(words)


def pattern_in_words(selection: Selection) -> str:
    """The pattern as one line, its end left out where it is very long."""
    shown = _blanks_seen(printable(selection.pattern))
    return shown if len(shown) <= PATTERN_SHOWN else f"{shown[: PATTERN_SHOWN - 1]}…"


def _blanks_seen(text: str) -> str:
    r"""With the blanks that a sentence swallows written as they are typed, too: ` *` is `\x20*`, and not every key."""
    return _SWALLOWED.sub(r"\\x20", text)


def ttl_in_words(selection: Selection) -> str:
    """The TTL condition: `without TTL`, `with 1 min to 5 min to live`,
    `that expire between 16:23:38 and 16:23:41 UTC on 2026-11-24`; "" where there is none."""
    condition = selection.ttl
    if condition in ("", "none", "any"):
        return {"": "", "none": "without TTL", "any": "that have a TTL"}[condition]
    if condition[0] in "<>":
        return f"with {'less' if condition[0] == '<' else 'more'} than {span(int(condition[1:]))} to live"
    low, high = selection.ttl_range_ms
    if selection.at_instant:
        return f"that expire {_between(low, high)}"
    return f"with {span(low / 1000) if low else '0 s'} to {span(high / 1000)} to live"


def _between(low: int, high: int) -> str:
    """Two instants in ms since 1970; the day once where it is the same one."""
    first, last = (datetime.fromtimestamp(at / 1000, UTC) for at in (low, high))
    if first.date() == last.date():
        return f"between {_clock(first)} and {_clock(last)} UTC on {first:%Y-%m-%d}"
    return f"between {first:%Y-%m-%d} {_clock(first)} and {last:%Y-%m-%d} {_clock(last)} UTC"


def _clock(moment: datetime) -> str:
    """To the second, or to the millisecond where that is meant."""
    return moment.time().isoformat("milliseconds" if moment.microsecond else "seconds")


def size_in_words(selection: Selection) -> str:
    """The size condition: `larger than 10 kB`; "" where there is none."""
    if not selection.size:
        return ""
    return f"{'smaller' if selection.size[0] == '<' else 'larger'} than {size(int(selection.size[1:]))}"
