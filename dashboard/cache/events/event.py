"""Event: one message as a server told it, and Gap: a time in which nobody listened. Pure."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dashboard.cache.events.subscription import Kind

KEPT_BYTES = 2048
"""Of a payload: the rest is counted and let go, so that a thousand events take bounded memory."""


class Event(NamedTuple):
    """One message. A NamedTuple, because 50,000 a second are made.

    at: when it came, seconds since the epoch. node: the primary that told it. source: which kind of source it came by.
    channel: the channel as the server names it, b"" for tracking. payload: its first KEPT_BYTES; a key's name for
    `event` and `tracking`, an event's for `key`. size: bytes of the whole. pattern: the one it matched, b"" for none.
    everything: of tracking: not one key, but all are invalid (FLUSHALL, FLUSHDB).
    """

    at: float
    node: str
    source: Kind
    channel: bytes
    payload: bytes
    size: int
    pattern: bytes = b""
    everything: bool = False

    @property
    def cut(self) -> bool:
        """Whether a part of the payload was let go."""
        return self.size > len(self.payload)

    @property
    def key(self) -> bytes | None:
        """The key that it is about, where it is about one: of keyspace notifications and of tracking.

        None too where not all of its name was kept.
        """
        if self.everything or self.cut or len(self.channel) >= KEPT_BYTES:
            return None
        if self.source in ("tracking", "event"):
            return self.payload
        return self.channel.partition(b"__:")[2] if self.source == "key" else None

    @property
    def happened(self) -> bytes:
        """The event's name of a keyspace notification; b"" for any other."""
        if self.source == "event":
            return self.channel.partition(b"__:")[2]
        return self.payload if self.source == "key" else b""


class Gap(NamedTuple):
    """From `since` until `at` a node was not heard (node: "" for all of them), and what it told then is not known.

    over: whether it is heard again. why: a sentence.
    """

    at: float
    since: float
    node: str
    why: str
    over: bool


Item: TypeAlias = Event | Gap
