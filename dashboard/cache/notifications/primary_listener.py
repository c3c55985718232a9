"""Hearing what happens to the keys of every primary, for long work that counts it: one thread, one connection each.

Each primary tells of its own keys only, and of its own only. What is lost is told: a connection that breaks is a gap,
and what the servers have counted themselves can be held against what was heard. (What many read at once is heard by
events/hearing.py.)
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dashboard.cache.errors import CacheError
from dashboard.cache.notifications.keyevents import KeyEvents
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.progress import Progress
from dashboard.cache.wording import duration

LOOK_SECONDS = 5.0
"""How often the servers' own counts are read, and it is seen which primaries there are."""
AGAIN_SECONDS = 1.0
"""How soon a primary that was lost is tried again."""
WAIT_SECONDS = 0.1
MOST_GAPS = 50

Take: TypeAlias = Callable[[str, Sequence[tuple[str, bytes]], float], None]
"""Is given a primary's name, its events (what, key) in their order, and when they came."""


@dataclass(frozen=True)
class Gap:
    """A primary was not heard from `at` (seconds since the start) on, for so many seconds; None: until the end."""

    node: str
    at: float
    seconds: float | None
    why: str


def gap_in_words(one: Gap) -> str:
    """'10.0.0.3:6379 was not heard for 3 s, 12 s after the start: ...'"""
    long = "until the end" if one.seconds is None else f"for {duration(one.seconds)}"
    return f"{one.node} was not heard {long}, from {duration(max(one.at, 0.0))} after the start on: {one.why}"


class PrimaryListener:
    """Listens to all primaries of a cache. Its clock is time.monotonic(). Not thread-safe.

    events: which. counters: fields of INFO stats whose growth is counted. take: is given what came. lost: is told that
    nothing is known of a primary from a moment on. look: is called every LOOK_SECONDS with all primaries.

    begun: the start. cpu: seconds of this thread that taking events took. busy, calls, longest: seconds for which it
    waited for replies.
    """

    def __init__(
        self,
        cache: Cache,
        events: Sequence[str],
        counters: Sequence[str],
        take: Take,
        lost: Callable[[float, str], None],
        look: Callable[[Iterable[Node]], None] = lambda _: None,
    ) -> None:
        self._cache = cache
        self._events = tuple(events)
        self._given, self._lost, self._look = take, lost, look
        self._ears: dict[str, KeyEvents] = {}
        self._primaries: dict[str, Node] = {}
        self._silent: dict[str, tuple[float, str]] = {}
        self._gaps: list[Gap] = []
        self._counters = tuple(counters)
        self._server: dict[tuple[str, str], int] = {}
        self._grown: dict[tuple[str, str], int] = {}
        self._closed_bytes = 0
        self.events = 0
        self.cpu = self.busy = self.longest = 0.0
        self.calls = 0
        self.begun = time.monotonic()
        self._looked = self._tried = self.begun

    def begin(self) -> None:
        """Raises CacheError where no primary can be heard."""
        self._primaries = {node.name: node for node in self._cache.primaries()}
        errors = [error for node in self._primaries.values() if (error := self._listen(node))]
        if not self._ears:
            raise errors[0] if errors else CacheError(f"{self._cache.name} has no primary.")
        self._read_counts()
        self._look(self._primaries.values())
        # What was counted before anybody listened is not what was missed.
        self.begun = self._looked = time.monotonic()

    def step(self) -> None:
        """Take what has come, waiting for it a moment; now and then look at the servers themselves."""
        self._take_ready()
        now = time.monotonic()
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
            self._look(self._primaries.values())

    def drain(self) -> None:
        """Take all that was published before now."""
        for name, ear in list(self._ears.items()):
            try:
                self._take(name, ear.drained(self._cache.target.timeout))
            except CacheError as error:
                self._lose(name, error)

    def finish(self) -> None:
        """What the servers have counted by now, and then all that was published by then."""
        self._read_counts()
        self.drain()

    def close(self) -> None:
        for ear in self._ears.values():
            ear.close()
        self._ears.clear()

    @property
    def received(self) -> int:
        """Bytes that came by the network."""
        return self._closed_bytes + sum(ear.received for ear in self._ears.values())

    def counted(self, counter: str, node: str | None = None) -> int:
        """What the servers (one of them) have counted themselves since the start, as of the last look; 0 where INFO is
        denied."""
        return sum(value for (name, field), value in self._grown.items() if field == counter and node in (None, name))

    def gaps(self) -> tuple[Gap, ...]:
        """Those that are over, and those that are open."""
        return tuple(self._gaps + self._open_gaps())

    def progress(self, whole: float, *, ended: bool) -> Progress:
        """How far it is, of so many seconds."""
        since = time.monotonic() - self.begun
        return Progress(
            examined=round(min(since, whole)),
            total=round(whole),
            elapsed=since,
            busy=self.busy,
            calls=self.calls,
            longest_ms=self.longest * 1000,
            lost={gap.node: gap.why for gap in self._open_gaps()},
            ended=ended,
            primaries=len(self._primaries),
            unit="seconds",
        )

    def spent(self, begun: float, calls: int) -> None:
        """Note that a server was waited for since `begun`, in so many calls."""
        spent = time.monotonic() - begun
        self.busy += spent
        self.calls += calls
        self.longest = max(self.longest, spent / max(calls, 1))

    def _open_gaps(self) -> list[Gap]:
        return [Gap(name, at - self.begun, None, why) for name, (at, why) in self._silent.items()]

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
            begun = time.thread_time()
            try:
                self._take(name, self._ears[name].take())
            except CacheError as error:
                self._lose(name, error)
            self.cpu += time.thread_time() - begun

    def _take(self, name: str, events: Sequence[tuple[str, bytes]]) -> None:
        self.events += len(events)
        self._given(name, events, time.monotonic())

    def _listen(self, node: Node) -> CacheError | None:
        try:
            self._ears[node.name] = KeyEvents(self._cache, node, self._events)
        except CacheError as error:
            self._silent.setdefault(node.name, (time.monotonic(), error.sentence))
            return error
        since = self._silent.pop(node.name, None)
        if since is not None:
            self._gap(node.name, since)
        return None

    def _lose(self, name: str, error: CacheError) -> None:
        ear = self._ears.pop(name)
        self._closed_bytes += ear.received
        ear.close()
        now = time.monotonic()
        self._lost(now, name)
        self._silent[name] = (now, error.sentence)

    def _gap(self, name: str, since: tuple[float, str]) -> None:
        at, why = since
        if len(self._gaps) < MOST_GAPS:
            self._gaps.append(Gap(name, at - self.begun, time.monotonic() - at, why))

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
        """Each primary's own counters. What it counts while it is not heard counts as well."""
        for name, node in self._primaries.items():
            begun = time.monotonic()
            try:
                facts = self._cache.execute("INFO", "stats", node=node)
            except CacheError:
                continue
            self.spent(begun, 1)
            if isinstance(facts, Mapping):
                self._count(name, facts)

    def _count(self, name: str, facts: Mapping[str, object]) -> None:
        for field in self._counters:
            now = int(str(facts.get(field, 0)))
            before = self._server.get((name, field), now)
            # After a restart or CONFIG RESETSTAT it begins anew.
            more = now - before if now >= before else now
            self._grown[name, field] = self._grown.get((name, field), 0) + more
            self._server[name, field] = now
