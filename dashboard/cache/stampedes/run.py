"""A watch for stampedes: the servers tell which keys they are asked for in vain, remove, and are given again.

Long work as others: a generator of snapshots. It changes nothing; that notifications are on (stampede_events.flags) is
for its caller to see to, as jobs/stampede_watch_job.py does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dashboard.cache.errors import CacheError
from dashboard.cache.estimate import Estimate, sum_of
from dashboard.cache.notifications.flags import BY_LETTER, knows
from dashboard.cache.notifications.primary_listener import Gap, PrimaryListener
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.stampedes.count import THRESHOLD, StampedeCount
from dashboard.cache.stampedes.events import events
from dashboard.cache.stampedes.lookups import Lookups, hit_ratio
from dashboard.cache.stampedes.report import MissedNamespace, Stampedes
from dashboard.cache.stampedes.sampled_reads import read_a_burst
from dashboard.cache.walking.listened import snapshots
from dashboard.cache.walking.progress import Progress

HITS, MISSES = "keyspace_hits", "keyspace_misses"


@dataclass(frozen=True)
class Options:
    """threshold: misses of an episode from which it may be a stampede. reads: whether commands are looked at now and
    then, for hit ratios. new: whether the server tells of new keys (asks_for_new)."""

    seconds: float = 60.0
    separator: bytes = b":"
    threshold: int = THRESHOLD
    reads: bool = False
    new: bool = True


@dataclass(frozen=True)
class Watch:
    """How a watch stands.

    found: what it has found. events, bytes: that were published to Cachedeck. cpu: seconds of Cachedeck's own processor
    time that taking them took. counted: misses that the servers themselves have counted, as of the last look at INFO,
    0 where that is denied; of these, `unheard` were not told. gaps: when a primary was not heard. sampled: look-ups
    that were seen in `bursts` looks at commands. reads_denied: why these could not be had, "" where they could or were
    not asked for. begun_at: epoch seconds. trial: number of what keeps notifications switched on, None where they were
    on already.
    """

    progress: Progress
    seconds: float
    threshold: int
    found: Stampedes
    events: int = 0
    bytes: int = 0
    cpu: float = 0.0
    counted: int = 0
    unheard: int = 0
    gaps: tuple[Gap, ...] = ()
    reads: bool = False
    sampled: int = 0
    bursts: int = 0
    reads_denied: str = ""
    new: bool = True
    begun_at: float = 0.0
    trial: int | None = None
    notes: tuple[str, ...] = ()


def asks_for_new(cache: Cache) -> bool:
    """Whether this cache's servers tell of new keys. Raises CacheError."""
    known = cache.capabilities()
    return knows(BY_LETTER["n"], known.product, known.release)


def watch(cache: Cache, options: Options) -> Iterator[Watch]:
    """Snapshots, about two a second; the last is that of the end. Raises CacheError where no primary can be heard."""
    return snapshots(_Watching(cache, options))


class _Watching:
    """The state of one watch; its clock is time.monotonic()."""

    def __init__(self, cache: Cache, options: Options) -> None:
        self._cache = cache
        self._options = options
        self._count = StampedeCount(options.separator, options.threshold)
        self._lookups: dict[str, Lookups] = {}
        self._ratios: dict[str, tuple[Estimate, Estimate]] = {}
        self._reads_denied = ""
        self._listener = PrimaryListener(
            cache, events(new=options.new), (HITS, MISSES), self._count.take, self._count.lost, self._look
        )

    @property
    def over(self) -> bool:
        return time.monotonic() - self._listener.begun >= self._options.seconds

    def begin(self) -> None:
        self._listener.begin()

    def step(self) -> None:
        self._listener.step()
        self._count.until(time.monotonic())

    def finish(self) -> None:
        self._listener.finish()
        self._take_stock()

    def close(self) -> None:
        self._listener.close()

    def snapshot(self, *, ended: bool = False) -> Watch:
        now, listener, options = time.monotonic(), self._listener, self._options
        found = self._count.told(now, listener.begun)
        counted = listener.counted(MISSES)
        return Watch(
            listener.progress(options.seconds, ended=ended),
            options.seconds,
            options.threshold,
            replace(found, namespaces=tuple(self._with_ratio(one) for one in found.namespaces)),
            listener.events,
            listener.received,
            listener.cpu,
            counted,
            max(counted - found.misses, 0),
            listener.gaps(),
            options.reads,
            sum(one.sampled for one in self._lookups.values()),
            sum(one.bursts for one in self._lookups.values()),
            self._reads_denied,
            options.new,
            time.time() - (now - listener.begun),
        )

    def _look(self, primaries: Iterable[Node]) -> None:
        """The servers' counters have just been read."""
        self._take_stock()
        if not self._options.reads:
            return
        for node in primaries:
            begun = time.monotonic()
            into = self._lookups.setdefault(node.name, Lookups())
            try:
                self._listener.spent(begun, read_a_burst(self._cache, node, self._options.separator, into))
            except CacheError as error:
                self._reads_denied = error.sentence

    def _take_stock(self) -> None:
        """Hit ratios by now: misses and the servers' counters are of the same moment here, and not later on.

        Where a primary was not heard for a while, its misses are not known, and so no ratio is.
        """
        self._ratios.clear()
        if not any(one.sampled for one in self._lookups.values()) or self._listener.gaps():
            return
        for row in self._count.told(time.monotonic()).namespaces:
            name = from_printable(row.name)
            lookups = sum_of(
                one.of(name, self._listener.counted(HITS, node) + self._listener.counted(MISSES, node))
                for node, one in self._lookups.items()
            )
            if lookups.value:
                self._ratios[row.name] = (lookups, hit_ratio(lookups, row.misses, row.error))

    def _with_ratio(self, row: MissedNamespace) -> MissedNamespace:
        lookups, ratio = self._ratios.get(row.name, (None, None))
        return replace(row, lookups=lookups, hit_ratio=ratio)
