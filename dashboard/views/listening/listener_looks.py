"""Looks at who listens to a cache, shared by all who watch the page: a long CLIENT LIST costs its servers something.

Between two looks at a cache there is a hundred times of what one is reckoned to take, so that they have a hundredth of
the servers' time at most, however many pages are open.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import current_app

from dashboard.cache.listeners.listeners import Listening, listening
from dashboard.cache.listeners.risk import Listener, Who, listener, ranked
from dashboard.cache.messages.channels import Channels, channels_of
from dashboard.cache.servers.connect import Cache
from dashboard.views.kept_looks import KeptLooks

LEAST_SECONDS = 2.0
TIMES = 100.0
"""So many times as long as a look takes of a server's time, it serves."""

_EXTENSION = "cachedeck_listeners"


@dataclass(frozen=True)
class Seen:
    """One look. clients: the nearest to being dropped first. since: (node, id) -> since when, by time.monotonic(), a
    client has been seen above its soft limit, one look after the other. every: seconds for which this look serves."""

    found: Listening
    channels: Channels
    clients: tuple[Listener, ...]
    since: Mapping[Who, float] = field(default_factory=dict)
    every: float = LEAST_SECONDS


class Looks:
    """The last look at each cache, of its primaries alone and with its replicas."""

    def __init__(self) -> None:
        self._kept = {replicas: KeptLooks[Seen]() for replicas in (False, True)}
        self._last: dict[tuple[str, bool], Seen] = {}

    def seen(self, cache: Cache, *, replicas: bool) -> Seen | None:
        """A look that is not too old; None while somebody else takes the first. Raises CacheError."""
        last = self._last.get((cache.name, replicas))

        def look(of: Cache) -> Seen:
            made = look_at(of, last, replicas=replicas)
            self._last[of.name, replicas] = made
            return made

        return self._kept[replicas].latest(cache, look, last.every if last else LEAST_SECONDS)


def look_at(cache: Cache, last: Seen | None, *, replicas: bool) -> Seen:
    """Ask every node. last: the look before, which says who was above the limit then. Raises CacheError."""
    found, channels = listening(cache, replicas=replicas), channels_of(cache)
    now = time.monotonic()
    clients, since = list[Listener](), dict[Who, float]()
    for node in found.nodes:
        for client in node.clients:
            who = (client.node, client.id)
            first = last.since.get(who, now) if last else now
            one = listener(client, node.limits, now - first)
            if one.over is not None:
                since[who] = first
            clients.append(one)
    return Seen(
        found, channels, tuple(ranked(clients)), since, max(LEAST_SECONDS, TIMES * (found.busy + channels.busy))
    )


def looks() -> Looks:
    """Those of the current application."""
    made = current_app.extensions.setdefault(_EXTENSION, Looks())
    assert isinstance(made, Looks)  # noqa: S101  (narrows the type; nobody else writes it)
    return made
