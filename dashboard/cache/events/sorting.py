"""Messages as a server writes them, sorted by what they are about. Pure, and quick: there may be 50,000 a second, of
which only the last thousand become events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from dashboard.cache.events.event import KEPT_BYTES, Event
from dashboard.cache.events.subscription import PREFIXES, Kind, Subscription

Heard: TypeAlias = tuple[Kind, bytes, bytes, bytes, bool]
"""(kind of source, channel, payload, pattern, whether it is about everything)."""


def sorter(subscription: Subscription, db: int) -> Callable[[Iterable[Sequence[Any]]], list[Heard]]:
    """A function that sorts what an Ear with this subscription took; db: the database's number.

    An invalidation of several keys becomes one Heard for each of them. What a pattern of channels catches of this
    database's keyspace notifications is sorted as such.
    """
    of_events, of_keys = (b"%b%d__:" % (prefix, db) for prefix in (PREFIXES["event"], PREFIXES["key"]))
    kinds: dict[bytes, Kind] = {one.channel(db): one.kind for one in subscription.sources if one.kind != "tracking"}

    def sort(messages: Iterable[Sequence[Any]]) -> list[Heard]:
        found = list[Heard]()
        for message in messages:
            told = message[0]
            if told == b"pmessage":
                kind, channel = kinds.get(message[1], "pattern"), message[2]
                if channel.startswith(b"__key"):
                    kind = "event" if channel.startswith(of_events) else "key" if channel.startswith(of_keys) else kind
                found.append((kind, channel, message[3], message[1], False))
            elif told == b"invalidate":
                keys = message[1]
                if keys is None:
                    found.append(("tracking", b"", b"", b"", True))
                else:
                    found.extend(("tracking", b"", key, b"", False) for key in keys)
            elif told == b"smessage":
                found.append(("sharded", message[1], message[2], b"", False))
            else:
                found.append((kinds.get(message[1], "channel"), message[1], message[2], b"", False))
        return found

    return sort


def event(heard: Heard, at: float, node: str) -> Event:
    """What is kept of a message that came at `at` (seconds since the epoch) from this primary."""
    kind, channel, payload, pattern, everything = heard
    return Event(
        at, node, kind, channel[:KEPT_BYTES], payload[:KEPT_BYTES], len(payload), pattern[:KEPT_BYTES], everything
    )
