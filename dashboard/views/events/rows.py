"""Events as rows of the console: what a template draws of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dashboard.cache.events.event import Event, Gap, Item
from dashboard.cache.events.subscription import Kind
from dashboard.cache.selecting.key_token import printable, to_token
from dashboard.cache.values.rows import Excerpt
from dashboard.views.keys.value import draw

KIND_WORDS: dict[Kind, str] = {
    "channel": "channel",
    "pattern": "pattern",
    "sharded": "sharded",
    "event": "key event",
    "key": "key event",
    "tracking": "client cache",
}
LINE = 200
"""Characters of a payload that a row shows before it is opened."""

KeyAddress = Callable[[str], str]
"""A key's token -> the address of its page."""


@dataclass(frozen=True)
class Row:
    """One event. channel: what it is filed under: a channel, or what happened to a key. line: its payload in one line;
    whole: all that was kept of it, "" where the line is all. chain: how it was decoded. missing: why it is not whole.
    href: of the page of the key that it is about."""

    number: int
    at: float
    node: str
    source: str
    channel: str
    pattern: str
    line: str
    whole: str
    chain: tuple[str, ...]
    size: int
    missing: str
    href: str


@dataclass(frozen=True)
class GapRow:
    """A time in which a node (node: "" for the whole cache) was not heard, from `since` until `at`; or since then."""

    number: int
    at: float
    since: float
    node: str
    why: str
    over: bool


def rows(items: Iterable[tuple[int, Item]], address: KeyAddress) -> list[Row | GapRow]:
    """The newest first. address: gives a key's page."""
    found = [_row(number, one, address) for number, one in items]
    found.reverse()
    return found


def _row(number: int, item: Item, address: KeyAddress) -> Row | GapRow:
    if isinstance(item, Gap):
        return GapRow(number, item.at, item.since, item.node, item.why, item.over)
    key = item.key
    channel = _channel(item)
    line, whole, chain, missing = "", "", tuple[str, ...](), ""
    if item.everything:
        line = "all keys"
    elif item.source in ("event", "key", "tracking"):
        name = key if key is not None else _key_as_kept(item)
        line = printable(name)
        missing = "" if key is not None else "the beginning of its name"
    else:
        line, whole, chain, missing = _payload(item)
    return Row(
        number=number,
        at=item.at,
        node=item.node,
        source=KIND_WORDS[item.source],
        channel=channel,
        pattern=printable(item.pattern) if item.source == "pattern" else "",
        line=line,
        whole=whole,
        chain=chain,
        size=item.size,
        missing=missing,
        href=address(to_token(key)) if key is not None else "",
    )


def _channel(item: Event) -> str:
    if item.source == "tracking":
        return "invalidate"
    return printable(item.happened or item.channel)


def _key_as_kept(item: Event) -> bytes:
    return item.channel.partition(b"__:")[2] if item.source == "key" else item.payload


def _payload(item: Event) -> tuple[str, str, tuple[str, ...], str]:
    """(line, whole, chain, missing), decoded as an element of a value is."""
    drawn = draw(Excerpt(item.payload, item.size), "decoded")
    text = drawn.text
    line = " ".join(text[: 2 * LINE].split()) if "\n" in text else text[:LINE]
    shortened = len(line) > LINE or len(text) > LINE or "\n" in text
    # That text is text is not worth a word in every row.
    chain = () if drawn.chain == ("text",) else drawn.chain
    return line[:LINE], text if shortened else "", chain, drawn.cut
