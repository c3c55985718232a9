"""The notifications of one primary: which keys it evicts, and which it is asked for in vain.

A cluster's node publishes what happens to its own keys to its own clients only, so each primary is listened to by
itself. https://valkey.io/topics/notifications/; flags: E for these channels, e evicted, m missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dashboard.cache.events.ear import Ear
from dashboard.cache.events.subscription import Source, Subscription
from dashboard.cache.servers.connect import Cache, Node

FLAGS = "Eem"
SETTING = "notify-keyspace-events"

EVENTS: tuple[str, ...] = ("evicted", "keymiss")


class KeyEvents:
    """One primary's events of these names, on a connection of its own. Raises CacheError; then it is to be closed."""

    def __init__(self, cache: Cache, node: Node, events: Sequence[str] = EVENTS) -> None:
        sources = {what: Source("event", what.encode()) for what in events}
        self._what: dict[bytes, str] = {one.channel(cache.target.db): what for what, one in sources.items()}
        self._ear = Ear(cache, node, Subscription(tuple(sources.values())))
        if self._ear.refusals:
            self.close()
            raise self._ear.refusals[0].error

    @property
    def received(self) -> int:
        """Bytes that came so far."""
        return self._ear.bytes

    def fileno(self) -> int:
        """Of the socket, to wait for what comes."""
        return self._ear.fileno()

    def take(self) -> list[tuple[str, bytes]]:
        """What has come by now, in its order; waits for nothing."""
        return self._events(self._ear.take())

    def ping(self) -> None:
        """As Ear.ping()."""
        self._ear.ping()

    def drained(self, seconds: float) -> list[tuple[str, bytes]]:
        """All that was published before now; waits for it so long at most."""
        return self._events(self._ear.drained(seconds))

    def close(self) -> None:
        self._ear.close()

    def _events(self, messages: Iterable[list[Any]]) -> list[tuple[str, bytes]]:
        what = self._what
        return [(what[message[1]], message[2]) for message in messages if message[1] in what]
