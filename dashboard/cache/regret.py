"""Regret: which share of the evicted keys is asked for again within a minute, told by the servers' notifications.

Long work as others: a generator of snapshots. It changes nothing; that notifications are on (FLAGS) is for its caller
to see to, as jobs/eviction_trace_job.py does. Evictions are taken for some time, and each is followed for a minute, so
it goes on for a minute longer. What is lost is told: each primary's own count of evictions is held against those that
were heard of, and a connection that breaks is a gap.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dashboard.cache.confirmed import ConfirmedAge, Confirming
from dashboard.cache.connect import Cache, Node
from dashboard.cache.errors import CacheError
from dashboard.cache.keyevents import KeyEvents, What
from dashboard.cache.progress import Progress
from dashboard.cache.regret_count import FOLLOWED_SECONDS, MOST_FOLLOWED, Regret, RegretCount

SNAPSHOT_SECONDS = 0.5
LOOK_SECONDS = 5.0
"""How often the servers' own counts are read, keys are drawn, and it is seen which primaries there are."""
AGAIN_SECONDS = 1.0
"""How soon a primary that was lost is tried again."""
WAIT_SECONDS = 0.1
MOST_GAPS = 50


@dataclass(frozen=True)
class Options:
    """seconds: for so long evictions are taken; each is followed for `followed` seconds. most: followed at the same
    time. confirm: whether keys are drawn, to tell the age of those that are evicted soon after."""

    seconds: float = 60.0
    followed: float = FOLLOWED_SECONDS
    most: int = MOST_FOLLOWED
    confirm: bool = True


@dataclass(frozen=True)
class Gap:
    """A primary was not heard from `at` (seconds since the start) on, for so many seconds; None: until the end."""

    node: str
    at: float
    seconds: float | None
    why: str


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
    hearing = _Hearing(cache, options)
    try:
        hearing.begin()
        yield hearing.trace()
        while not hearing.over:
            hearing.step()
            if hearing.snapshot_due:
                yield hearing.trace()
        hearing.finish()
        yield hearing.trace(ended=True)
    finally:
        hearing.close()


class _Hearing:
    """The state of one measurement; its clock is time.monotonic()."""

    def __init__(self, cache: Cache, options: Options) -> None:
        self._cache = cache
        self._options = options
        self._count = RegretCount(options.followed, options.most)
        self._confirming = Confirming()
        self._ears: dict[str, KeyEvents] = {}
        self._primaries: dict[str, Node] = {}
        self._silent: dict[str, tuple[float, str]] = {}
        self._gaps: list[Gap] = []
        self._server: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        self._events = self._misses = self._bytes = self._counted = 0
        self._busy = self._longest = 0.0
        self._calls = 0
        self._taking = True
        self._begun = time.monotonic()
        self._looked = self._told = self._tried = self._begun

    @property
    def over(self) -> bool:
        since = time.monotonic() - self._begun
        if since >= self._options.seconds + self._options.followed:
            return not self._taking
        return not self._taking and not self._count.waiting

    @property
    def snapshot_due(self) -> bool:
        return time.monotonic() - self._told >= SNAPSHOT_SECONDS

    def begin(self) -> None:
        self._primaries = {node.name: node for node in self._cache.primaries()}
        errors = [error for node in self._primaries.values() if (error := self._listen(node))]
        if not self._ears:
            raise errors[0] if errors else CacheError(f"{self._cache.name} has no primary.")
        self._read_counts()
        self._draw()
        # What was counted before anybody listened is not what was missed.
        self._begun = self._looked = time.monotonic()

    def step(self) -> None:
        """Take what has come, waiting for it a moment; now and then look at the servers themselves."""
        self._take_ready()
        if self._taking and time.monotonic() - self._begun >= self._options.seconds:
            # What was published by now is still taken: who is given the snapshots may have kept us from listening.
            self._drain()
            self._taking = False
        now = time.monotonic()
        self._count.until(now)
        for name, ear in list(self._ears.items()):
            try:
                ear.ping()
            except CacheError as error:
                self._lose(name, error)
        if self._silent and now - self._tried >= AGAIN_SECONDS:
            self._tried = now
            self._find_primaries(fresh=True)
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._find_primaries()
            self._read_counts()
            if self._taking:
                self._draw()

    def finish(self) -> None:
        """What the servers have counted by now, and then all that was published by then."""
        self._read_counts()
        self._drain()
        self._count.until(time.monotonic())

    def trace(self, *, ended: bool = False) -> Trace:
        now = self._told = time.monotonic()
        since, whole = now - self._begun, self._options.seconds + self._options.followed
        open_gaps = [Gap(name, at - self._begun, None, why) for name, (at, why) in self._silent.items()]
        return Trace(
            Progress(
                examined=round(min(since, whole)),
                total=round(whole),
                elapsed=since,
                busy=self._busy,
                calls=self._calls,
                longest_ms=self._longest * 1000,
                lost={gap.node: gap.why for gap in open_gaps},
                ended=ended,
                primaries=len(self._primaries),
                unit="seconds",
            ),
            self._options.seconds,
            self._count.counted(now),
            self._events,
            self._misses,
            self._bytes + sum(ear.received for ear in self._ears.values()),
            self._counted,
            self._unheard(),
            tuple(self._gaps + open_gaps),
            self._confirming.told(),
        )

    def close(self) -> None:
        for ear in self._ears.values():
            ear.close()
        self._ears.clear()

    def _unheard(self) -> int:
        return max(self._counted - sum(self._heard.values()), 0)

    def _take_ready(self) -> None:
        """By poll and not select, which knows no descriptor above 1023."""
        if not self._ears:
            time.sleep(WAIT_SECONDS)
            return
        poll = select.poll()
        of = {}
        for name, ear in self._ears.items():
            of[ear.fileno()] = name
            poll.register(ear, select.POLLIN)
        for descriptor, _ in poll.poll(WAIT_SECONDS * 1000):
            name = of[descriptor]
            try:
                self._take(name, self._ears[name].take())
            except CacheError as error:
                self._lose(name, error)

    def _drain(self) -> None:
        for name, ear in list(self._ears.items()):
            try:
                self._take(name, ear.drained(self._cache.target.timeout))
            except CacheError as error:
                self._lose(name, error)

    def _take(self, name: str, events: list[tuple[What, bytes]]) -> None:
        now = time.monotonic()
        count, confirming = self._count, self._confirming
        count.until(now)
        for what, key in events:
            if what == "keymiss":
                self._misses += 1
                count.missed(key, now)
                continue
            self._heard[name] = self._heard.get(name, 0) + 1
            if self._taking:
                count.evicted(key, now, name)
                confirming.evicted(key, now)
        self._events += len(events)

    def _listen(self, node: Node) -> CacheError | None:
        try:
            self._ears[node.name] = KeyEvents(self._cache, node)
        except CacheError as error:
            self._silent.setdefault(node.name, (time.monotonic(), error.sentence))
            return error
        since = self._silent.pop(node.name, None)
        if since is not None:
            self._gap(node.name, since)
        return None

    def _lose(self, name: str, error: CacheError) -> None:
        ear = self._ears.pop(name)
        self._bytes += ear.received
        ear.close()
        now = time.monotonic()
        self._count.lost(now, name)
        self._silent[name] = (now, error.sentence)

    def _gap(self, name: str, since: tuple[float, str]) -> None:
        at, why = since
        if len(self._gaps) < MOST_GAPS:
            self._gaps.append(Gap(name, at - self._begun, time.monotonic() - at, why))

    def _find_primaries(self, *, fresh: bool = False) -> None:
        """Listen to those that are primaries now: of a cluster, a replica may have taken over."""
        try:
            found = {node.name: node for node in self._cache.primaries(fresh=fresh)}
        except CacheError:
            return  # what is heard is heard; those that are lost are told as such
        for name in self._ears.keys() - found.keys():
            self._lose(name, CacheError(f"{name} is a primary of {self._cache.name} no more."))
        for name in self._silent.keys() - found.keys():
            self._gap(name, self._silent.pop(name))
        self._primaries = found
        for name in found.keys() - self._ears.keys():
            self._listen(found[name])

    def _read_counts(self) -> None:
        """Each primary's own count of evictions. What it counts while it is not heard counts as well."""
        for name, node in self._primaries.items():
            begun = time.monotonic()
            try:
                facts = self._cache.execute("INFO", "stats", node=node)
            except CacheError:
                continue
            self._spent(begun, 1)
            evicted = int(facts.get("evicted_keys", 0)) if isinstance(facts, Mapping) else 0
            before = self._server.get(name, evicted)
            # After a restart or CONFIG RESETSTAT it begins anew.
            self._counted += evicted - before if evicted >= before else evicted
            self._server[name] = evicted

    def _draw(self) -> None:
        if not self._options.confirm:
            return
        for node in self._primaries.values():
            begun = time.monotonic()
            self._spent(begun, self._confirming.draw(self._cache, node))

    def _spent(self, begun: float, calls: int) -> None:
        spent = time.monotonic() - begun
        self._busy += spent
        self._calls += calls
        self._longest = max(self._longest, spent / max(calls, 1))
