"""Standing: how listening to a subscription stands, in one look a second."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.cache.errors import CacheError
from dashboard.cache.events.ear import Refusal
from dashboard.cache.events.heavy_hitters import Hitter


@dataclass(frozen=True)
class Silent:
    """A node that is not heard since (seconds since the epoch), and why."""

    node: str
    since: float
    error: CacheError


@dataclass(frozen=True)
class Standing:
    """How a Hearing stands; one look a second.

    heard: names of nodes. silent: those that should be heard and are not. refusals: (node, what a single source was
    refused) of nodes that are heard. total, size: events, and bytes on the network, since `begun_at` (seconds since the
    epoch). rate, byte_rate: of the last full second. seconds: events of each of the last minute's seconds, the oldest
    first. watchers: pages that look on.
    """

    begun_at: float
    heard: tuple[str, ...] = ()
    silent: tuple[Silent, ...] = ()
    refusals: tuple[tuple[str, Refusal], ...] = ()
    total: int = 0
    size: int = 0
    rate: int = 0
    byte_rate: int = 0
    seconds: tuple[int, ...] = ()
    busiest: tuple[Hitter[bytes], ...] = ()
    watchers: int = 0
