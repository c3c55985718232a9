"""Regret: which share of the evicted keys is asked for again within a minute, told by the servers' notifications.

Long work as others: a generator of snapshots. It changes nothing; that notifications are on (FLAGS) is for its caller
to see to, as jobs/eviction_trace_job.py does. Evictions are taken for some time, and each is followed for a minute, so
it goes on for a minute longer. What is lost is told: each primary's own count of evictions is held against those that
were heard of, and a connection that breaks is a gap.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dashboard.cache.eviction.confirmed import ConfirmedAge, Confirming
from dashboard.cache.eviction.regret_count import FOLLOWED_SECONDS, MOST_FOLLOWED, Regret, RegretCount
from dashboard.cache.notifications.keyevents import EVENTS
from dashboard.cache.notifications.primary_listener import Gap, PrimaryListener
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.listened import snapshots
from dashboard.cache.walking.progress import Progress


@dataclass(frozen=True)
class Options:
    """seconds: for so long evictions are taken; each is followed for `followed` seconds. most: followed at the same
    time. confirm: whether keys are drawn, to tell the age of those that are evicted soon after."""

    seconds: float = 60.0
    followed: float = FOLLOWED_SECONDS
    most: int = MOST_FOLLOWED
    confirm: bool = True


@dataclass(frozen=True)
class Trace:
    """How a measurement stands.

    regret: what was counted. events, bytes: that were published to Cachedeck. misses: of the events. counted: evictions
    that the servers themselves have counted meanwhile, 0 where INFO is denied; of these, `unheard` were not told.
    gaps: when a primary was not heard. confirmed: the age of evicted keys that had been drawn shortly before.
    trial: number of what keeps notifications switched on, None where they were on already.
    """

    progress: Progress
    seconds: float
    regret: Regret
    events: int = 0
    misses: int = 0
    bytes: int = 0
    counted: int = 0
    unheard: int = 0
    gaps: tuple[Gap, ...] = ()
    confirmed: ConfirmedAge | None = None
    trial: int | None = None
    notes: tuple[str, ...] = ()


def regret(cache: Cache, options: Options) -> Iterator[Trace]:
    """Snapshots, about two a second; the last is that of the end. Raises CacheError where no primary can be heard."""
    return snapshots(_Hearing(cache, options))


class _Hearing:
    """The state of one measurement; its clock is time.monotonic()."""

    def __init__(self, cache: Cache, options: Options) -> None:
        self._cache = cache
        self._options = options
        self._count = RegretCount(options.followed, options.most)
        self._confirming = Confirming()
        self._listener = PrimaryListener(cache, EVENTS, ("evicted_keys",), self._take, self._count.lost, self._draw)
        self._heard = self._misses = 0
        self._taking = True

    @property
    def over(self) -> bool:
        since = time.monotonic() - self._listener.begun
        if since >= self._options.seconds + self._options.followed:
            return not self._taking
        return not self._taking and not self._count.waiting

    def begin(self) -> None:
        self._listener.begin()

    def step(self) -> None:
        self._listener.step()
        if self._taking and time.monotonic() - self._listener.begun >= self._options.seconds:
            # What was published by now is still taken: who is given the snapshots may have kept us from listening.
            self._listener.drain()
            self._taking = False
        self._count.until(time.monotonic())

    def finish(self) -> None:
        self._listener.finish()
        self._count.until(time.monotonic())

    def snapshot(self, *, ended: bool = False) -> Trace:
        listener, counted = self._listener, self._listener.counted("evicted_keys")
        return Trace(
            listener.progress(self._options.seconds + self._options.followed, ended=ended),
            self._options.seconds,
            self._count.counted(time.monotonic()),
            listener.events,
            self._misses,
            listener.received,
            counted,
            max(counted - self._heard, 0),
            listener.gaps(),
            self._confirming.told(),
        )

    def close(self) -> None:
        self._listener.close()

    def _take(self, node: str, events: Sequence[tuple[str, bytes]], now: float) -> None:
        count, confirming = self._count, self._confirming
        count.until(now)
        for what, key in events:
            if what == "keymiss":
                self._misses += 1
                count.missed(key, now)
                continue
            self._heard += 1
            if self._taking:
                count.evicted(key, now, node)
                confirming.evicted(key, now)

    def _draw(self, primaries: Iterable[Node]) -> None:
        if not (self._options.confirm and self._taking):
            return
        for node in primaries:
            begun = time.monotonic()
            self._listener.spent(begun, self._confirming.draw(self._cache, node))
