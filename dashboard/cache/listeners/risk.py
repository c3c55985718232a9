"""Which listening clients the server is about to drop, for what waits in their output buffers.

client-output-buffer-limit has three numbers for each class of clients: above the hard limit a client is dropped at
once; above the soft limit it is dropped when it has been for so many seconds. What counts is what CLIENT LIST calls
omem (networking.c, checkClientOutputBufferLimits). Since when a client is above its soft limit no server tells: two
looks do, as far as they go.
https://valkey.io/topics/clients/#output-buffer-limits
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboard.cache.listeners.client_list import Client
from dashboard.cache.servers.clients import CLIENT_NAME
from dashboard.cache.wording import number_of, percent, size, span

Who = tuple[str, int]
"""A client: (node, id)."""

NEAR, HALF = 0.8, 0.5
"""Shares of a limit from which on a client is in danger, and to be looked at."""


@dataclass(frozen=True)
class Limit:
    """Of a class of clients: bytes, and seconds that a client may be above `soft`; 0 for no limit."""

    hard: int
    soft: int
    seconds: int


DEFAULT = Limit(32 * 1024**2, 8 * 1024**2, 60)
"""For pubsub, where a server does not tell what it has (valkey.conf, redis.conf)."""


@dataclass(frozen=True)
class Listener:
    """A client, and how near it is to being dropped.

    limit: of its class, None where there is none. share: of the nearer of its limits, 0 to 1 and above; None without a
    limit. over: seconds for which it has been seen above its soft limit, None where it is not above it.
    """

    client: Client
    limit: Limit | None
    share: float | None
    over: float | None = None

    @property
    def ours(self) -> bool:
        """Whether it calls itself as Cachedeck's connections do."""
        return self.client.name == CLIENT_NAME

    @property
    def tracks(self) -> bool:
        return "t" in self.client.flags

    @property
    def level(self) -> str:
        """bad, warn or quiet."""
        if self.over is not None or (self.share or 0.0) >= NEAR:
            return "bad"
        return "warn" if (self.share or 0.0) >= HALF else "quiet"

    @property
    def words(self) -> str:
        """'12 % of 8 MB', 'above 8 MB for at least 12 s of 60 s', 'no limit'."""
        limit = self.limit
        if limit is None or self.share is None:
            return "no limit"
        if self.over is not None:
            seen = f" for at least {span(self.over)}" if self.over >= 1 else ""
            return f"above {size(limit.soft)}{seen}: dropped after {span(limit.seconds)} of that"
        nearest = min(one for one in (limit.hard, limit.soft) if one)
        return f"{percent(self.share)} of {size(nearest)}"


def limits_of(text: str) -> dict[str, Limit]:
    """What client-output-buffer-limit says: class -> its limit. What cannot be read is left out."""
    words, found = text.split(), dict[str, Limit]()
    for place in range(0, len(words) - 3, 4):
        name, *numbers = words[place : place + 4]
        if all(number.isascii() and number.isdecimal() for number in numbers):
            found[name] = Limit(*map(int, numbers))
    return found


def listener(client: Client, limits: Mapping[str, Limit] | None, over: float | None = None) -> Listener:
    """limits: those of its node, None where they are not told: then those that a server is made with are taken."""
    if client.subscribed:
        limit = limits.get("pubsub") if limits is not None else DEFAULT
    else:
        limit = (limits or {}).get("normal")
    bounds = [one for one in (limit.hard, limit.soft) if one] if limit else []
    if not bounds:
        return Listener(client, None, None)
    return Listener(client, limit, client.output / min(bounds), over if above_soft(client, limit) else None)


def above_soft(client: Client, limit: Limit | None) -> bool:
    return limit is not None and 0 < limit.soft <= client.output


def ranked(found: Iterable[Listener]) -> list[Listener]:
    """The nearest to being dropped first, then those that take most memory."""
    return sorted(
        found,
        key=lambda one: (one.over is None, -(one.over or 0.0), -(one.share or 0.0), -one.client.memory, one.client.id),
    )


def answer(tracking: int | None, listening: int | None, found: Iterable[Listener]) -> str:
    """The sentence on top. tracking, listening: how many clients do, None where that is not known."""
    if tracking == 0 and listening == 0:
        return "No client tracks keys, and none listens to channels."
    said = f"{_who(tracking, 'tracks keys', 'track keys')}, {_who(listening, 'listens', 'listen')} to channels"
    others = [one for one in found if not one.ours]
    over = [one for one in others if one.over is not None]
    if over:
        longest = max(one.over or 0.0 for one in over)
        since = f", for at least {span(longest)}" if longest >= 1 else ""
        verb = "is" if len(over) == 1 else "are"
        return f"{said}; {len(over)} {verb} above the soft limit{since}: the server drops whoever stays there."
    worst = max((one.share for one in others if one.share is not None), default=None)
    if worst is None:
        return f"{said}."
    if worst < 0.01:
        return f"{said}; none is near the limit at which the server drops it."
    return f"{said}; one is at {percent(worst)} of the limit at which the server drops it."


def _who(count: int | None, one: str, many: str) -> str:
    if count is None:
        return f"It is not known how many clients {many}"
    return f"{number_of(count, 'client')} {one if count == 1 else many}"
