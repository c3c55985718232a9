"""Subscription: what is listened to. Immutable, and one to one with a query string. Pure.

Six kinds of sources. `channel` and `pattern` are Pub/Sub; a cluster passes these on to every node, so one connection
hears them all. The others are told by each primary for itself: `sharded` channels (Redis 7.0, Valkey) by the owner of
their slot, `event` and `key` (keyspace notifications: which keys something happened to, what happened to a key) and
`tracking` (client-side caching in broadcasting mode: keys below a prefix that were written, expired or evicted).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from dashboard.cache.selecting.key_token import from_printable, printable

Kind = Literal["channel", "pattern", "sharded", "event", "key", "tracking"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EVERYWHERE: frozenset[Kind] = frozenset({"channel", "pattern"})
"""Kinds that one node of a cluster tells for all."""

MOST_SOURCES = 50
LONGEST_NAME = 2048
"""Bytes of a channel, a pattern, a prefix: it has to fit into an address."""

PREFIXES: Mapping[Kind, bytes] = {"event": b"__keyevent@", "key": b"__keyspace@"}


class BadSubscription(ValueError):
    """A query string that says nothing sensible; the text is a sentence for the operator."""


@dataclass(frozen=True, order=True)
class Source:
    """One thing that is listened to.

    name: of a channel or sharded channel; a glob pattern of channels (`pattern`), of keys (`key`) or of events
    (`event`: expired, set, `*`); a prefix of keys (`tracking`, b"" for all).
    """

    kind: Kind
    name: bytes

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadSubscription("This is no kind of source.")
        if not self.name and self.kind != "tracking":
            raise BadSubscription("A channel or pattern has a name.")
        if len(self.name) > LONGEST_NAME:
            raise BadSubscription(f"A name has at most {LONGEST_NAME:,} bytes.")

    @property
    def printable(self) -> str:
        """The name in one word, from which from_pairs() makes this source again."""
        if self.kind == "tracking":
            return _word(self.name) + "*"
        return _word(self.name)

    def channel(self, db: int) -> bytes:
        """What SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE is given; of `tracking`, the prefix."""
        prefix = PREFIXES.get(self.kind)
        return self.name if prefix is None else b"%b%d__:%b" % (prefix, db, self.name)


@dataclass(frozen=True)
class Subscription:
    """Sources, each once and in order; at least one. Raises BadSubscription."""

    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            raise BadSubscription("Name a channel, a pattern, an event or a prefix to listen to.")
        if len(self.sources) > MOST_SOURCES:
            raise BadSubscription(f"At most {MOST_SOURCES} sources are listened to together.")
        if tuple(sorted(set(self.sources))) != self.sources:
            object.__setattr__(self, "sources", tuple(sorted(set(self.sources))))
        prefixes = self.names("tracking")
        for one in prefixes:
            for other in prefixes:
                if one != other and one.startswith(other):
                    raise BadSubscription(
                        f"The server takes no prefixes that overlap: {printable(one)} begins with "
                        f"{printable(other) or 'the empty prefix, which is all keys'}."
                    )

    def names(self, kind: Kind) -> tuple[bytes, ...]:
        """Of the sources of one kind."""
        return tuple(one.name for one in self.sources if one.kind == kind)

    @property
    def tracks(self) -> bool:
        """Whether client-side caching's stream is part of it, which RESP3 alone can carry along."""
        return any(one.kind == "tracking" for one in self.sources)

    @property
    def notified(self) -> bool:
        """Whether keyspace notifications are part of it, so that notify-keyspace-events must be on."""
        return any(one.kind in PREFIXES for one in self.sources)

    def to_query(self) -> list[tuple[str, str]]:
        """Pairs for a query string, one for each source."""
        return [(one.kind, one.printable) for one in self.sources]


def _word(name: bytes) -> str:
    # A backslash before the space would make an escape of our escape: it is doubled, as printable() doubles them.
    return re.sub(r"(\\?) ", r"\1\1\\x20", printable(name))


def from_pairs(pairs: Iterable[tuple[str, str]]) -> Subscription:
    """The Subscription of a query string's pairs. Names of a kind are separated by white space (a space in a name is
    written \\x20), other kinds are passed over. Of `tracking`, `*` means all keys. Raises BadSubscription."""
    sources = []
    for kind, text in pairs:
        if kind not in KINDS:
            continue
        for word in re.split(r"[ \t\r\n]+", text.strip(" \t\r\n")):
            if not word:
                continue
            name = from_printable(word)
            sources.append(Source(kind, name.removesuffix(b"*") if kind == "tracking" else name))
    return Subscription(tuple(sources))
