"""Events as lines, of a terminal or of JSON: what `cachedeck events tail` prints and what an export is made of. Pure.

    {"at": ISO, "epoch": S, "node": N, "source": KIND, "channel": B, "payload": B, "size": BYTES}
        besides, where they are: "pattern": B, by which it came; "key": B and "event": B, of what is told of a key;
        "cut": true, where the payload is only the beginning of what was told; "everything": true, where all keys are
        invalid
    {"gap": {"at": ISO, "epoch": S, "since": S, "node": N, "why": SENTENCE, "over": BOOL}}
    {"lost": N}                         events that this reader was too slow for
    {"end": {"complete": BOOL, "events": N, "gaps": N, "passed": N, "not_kept": N}}   the last line of an export

B: a JSON string where the bytes are UTF-8, {"base64": "..."} where they are not; null where there is nothing, as the
channel of client-side caching. S: seconds since the epoch.
"""

from __future__ import annotations

import codecs
import json
from datetime import UTC, datetime
from typing import Any

from dashboard.cache.bytes_json import JSON, text_or_base64
from dashboard.cache.events.event import Event, Gap, Item
from dashboard.cache.selecting.key_token import printable


def of_item(item: Item) -> str:
    """One line of JSON, with its end."""
    return _dumped(_gap(item) if isinstance(item, Gap) else _event(item))


def of_lost(lost: int) -> str:
    """Said where it happened, between the events before and after."""
    return _dumped({"lost": lost})


def of_end(events: int, gaps: int, passed: int) -> str:
    """The last line of an export. passed: how many events and gaps there have been; what of them is kept no more is
    missing."""
    not_kept = passed - events - gaps
    complete = not gaps and not not_kept
    end = {"complete": complete, "events": events, "gaps": gaps, "passed": passed, "not_kept": not_kept}
    return _dumped({"end": end})


def as_text(item: Item) -> str:
    """One line for people, without its end: time in UTC, node, channel or what happened, payload or key. Whatever would
    move a terminal's cursor is written as an escape."""
    if isinstance(item, Gap):
        return gap_words(item)
    said = "all keys" if item.everything else printable(item.payload)
    if item.source == "key":
        said = printable(item.channel.partition(b"__:")[2])
    channel = "invalidate" if item.source == "tracking" else printable(item.happened or item.channel)
    more = f" (the beginning of {item.size:,} bytes)" if item.cut else ""
    return f"{_clock(item.at)}  {item.node}  {channel}  {said}{more}"


def gap_words(gap: Gap) -> str:
    """A sentence or two."""
    who = gap.node or "The cache"
    if gap.over:
        when = f"from {_clock(gap.since)} to {_clock(gap.at)}"
        return f"{who} was not heard {when}: what it told then is not known. {gap.why}"
    return f"{who} is not heard since {_clock(gap.at)}. {gap.why}"


def _event(item: Event) -> dict[str, Any]:
    line: dict[str, Any] = {
        "at": _iso(item.at),
        "epoch": round(item.at, 6),
        "node": item.node,
        "source": item.source,
        "channel": None if item.source == "tracking" else text_or_base64(item.channel),
        "payload": None if item.everything else _payload(item),
        "size": item.size,
    }
    if item.pattern and item.source == "pattern":
        line["pattern"] = text_or_base64(item.pattern)
    if item.key is not None:
        line["key"] = text_or_base64(item.key)
    if item.happened:
        line["event"] = text_or_base64(item.happened)
    if item.cut:
        line["cut"] = True
    if item.everything:
        line["everything"] = True
    return line


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "gap": {
            "at": _iso(gap.at),
            "epoch": round(gap.at, 6),
            "since": round(gap.since, 6),
            "node": gap.node,
            "why": gap.why,
            "over": gap.over,
        }
    }


def _payload(item: Event) -> JSON:
    """Where it was cut within a character, text without what is left of that."""
    if not item.cut:
        return text_or_base64(item.payload)
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(item.payload)
    except UnicodeDecodeError:
        return text_or_base64(item.payload)


def _dumped(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(at: float) -> str:
    return _iso(at)[11:23]
