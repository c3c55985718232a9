"""Governing: whatever visits keys goes over all primaries here, in batches, gently.

What is done to a batch is a visit: SCAN (walk.py), a script that scans and adds up (analysis/script.py),
a script that scans and changes (retiming/run.py). Which primary is asked when, for how much, what happens when
one fails or another takes over, is the same for all of them and stands here.

A visit is a generator: it yields commands and is sent their replies. So all primaries work side by side, and
while we deal with one batch the server deals with the next, in one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from dashboard.cache.errors import (
    Busy,
    CacheError,
    ClusterDown,
    Denied,
    Loading,
    ReadOnlyReplica,
    Strained,
    TimedOut,
    Unreachable,
)
from dashboard.cache.servers.calls import Calls, Ended, Step, Visited
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.replicas import one_replica_each
from dashboard.cache.walking.governor import Budget, Governor, Rests, rest_of
from dashboard.cache.walking.listing import Listing
from dashboard.cache.walking.position import Place, Position
from dashboard.cache.walking.watch import Limits, Watch

LEAD = 0.02  # how far a primary may be ahead of the others: what was seen of a cluster is about as much of each
RETRY_SECONDS = 1.0  # until the first try again; each further one waits twice as long
LONGEST_RETRY = 8.0
_PASSING = (Unreachable, TimedOut, Busy, Loading, ClusterDown, ReadOnlyReplica)

T = TypeVar("T")

Visit = Callable[[Node, int, int], Step[T]]
"""(server, cursor, count): a step that visits about `count` keys from the cursor on."""


def at_once(visit: Callable[[Node, int, int], Visited[T]]) -> Visit[T]:
    """A visit from a function that asks and waits by itself."""

    def step(node: Node, cursor: int, count: int) -> Step[T]:
        yield from ()
        return visit(node, cursor, count)

    return step


@dataclass(frozen=True)
class Cost:
    """What a walk has cost so far: calls, seconds for which servers were held, and the longest call's seconds."""

    calls: int = 0
    busy: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True)
class Batch(Generic[T]):
    """What one visit found, and where the walk stands before (`before`) and after it (`position`).

    found is None for a primary that failed: position.lost says why. anew: the server is walked from its beginning,
    for the first time or again because another server has taken over; what was found on it before is void, as is
    what was found on servers that are no longer in the position.
    """

    node: Node
    found: T
    before: Position
    position: Position
    anew: bool = False
    cost: Cost = Cost()


def govern(
    cache: Cache,
    visit: Visit[T],
    budget: Budget,
    start: Position | None = None,
    *,
    limits: Limits | None = None,
    replicas: bool = False,
    listing: Listing | None = None,
    rests: Rests | None = None,
) -> Iterator[Batch[T | None]]:
    """Visits of every primary, from `start` (or the beginning) to the end or the budget's.

    A primary that fails ends there as lost, in the position of a batch without keys, and the others go on; with
    `budget.patience` it is tried again, and another one that has taken over is walked from its beginning.
    listing: the walk goes through these keys, and through servers that serve some of them. rests: shared with others
    who take time of the same servers on behalf of the same work.
    Closing the generator hangs up on servers that are still at work; a visit that changes something goes `at_once`,
    so that there are none.
    Raises CacheError where no server can be asked at all, and Strained (budget.watched).
    """
    sources = _Sources(cache, replicas, listing)
    walking: _Walking[T] = _Walking(cache, visit, budget, limits or Limits(), sources, {} if rests is None else rests)
    try:
        walking.prepare(start or Position())
        yield from walking.batches()
    finally:
        walking.close()


@dataclass(frozen=True)
class _Sources:
    """Which servers are walked, and how many keys there are on each."""

    cache: Cache
    replicas: bool
    listing: Listing | None

    def servers(self, *, fresh: bool = False) -> tuple[Node, ...]:
        primaries = self.cache.primaries(fresh=fresh)
        if self.listing is None:
            return one_replica_each(self.cache, primaries) if self.replicas else primaries
        if fresh:
            self.listing.regroup()
        return tuple(node for node in primaries if self.listing.of(node))

    def place(self, node: Node) -> Place:
        """The beginning there. Raises CacheError."""
        if self.listing is not None:
            return Place(keys=len(self.listing.of(node)))
        try:
            return Place(keys=int(self.cache.execute("DBSIZE", node=node)))
        except Denied:
            return Place(keys=None)  # how many there are is not told; SCAN may be allowed all the same


class _Walking(Generic[T]):
    """One walk while it is on."""

    def __init__(
        self, cache: Cache, visit: Visit[T], budget: Budget, limits: Limits, sources: _Sources, rests: Rests
    ) -> None:
        self._cache = cache
        self._visit = visit
        self._budget = budget
        self._limits = limits
        self._sources = sources
        self._rests = rests
        self._deadline = None if budget.seconds is None else time.monotonic() + budget.seconds
        self._position = Position()
        self._nodes: dict[str, Node] = {}
        self._governors: dict[str, Governor] = {}
        self._watches: dict[str, Watch] = {}
        self._calls: Calls[T] = Calls(cache)
        self._anew: set[str] = set()
        self._failed_at: dict[str, float] = {}
        self._retry_at = 0.0
        self._retry_after = RETRY_SECONDS
        self._spent = Cost()  # of governors that are no more

    # --- beginning and end ---------------------------------------------------------------------------------

    def prepare(self, start: Position) -> None:
        """A place for every server of now. Raises the first CacheError where none at all can be asked."""
        nodes = self._sources.servers()
        errors = []
        for node in nodes:
            try:
                self._adopt(node, start.places.get(node.name))
            except CacheError as error:
                errors.append(error)
                self._lose(node.name, Place(), error)
        if errors and len(errors) == len(nodes):
            raise errors[0]

    def _adopt(self, node: Node, known: Place | None = None) -> None:
        """Begin with a server, or go on where a walk has left it. Raises CacheError."""
        place = self._sources.place(node) if known is None else known
        if self._budget.watched:
            self._watches[node.name] = Watch(self._cache, node, self._limits)
        if place.cursor is None:
            self._anew.add(node.name)
        self._nodes[node.name] = node
        watch = self._watches.get(node.name)
        self._retire(node.name)
        round_trip = watch.round_trip if watch else 0.0
        self._governors[node.name] = Governor(self._budget, round_trip, rest_of(self._rests, node.name))
        self._position = self._position.at(node.name, place)

    def close(self) -> None:
        self._calls.close()

    # --- the loop ------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[Batch[T | None]]:
        batch: Batch[T | None] | None = None
        while not self._over():
            self._look()
            self._begin_calls()
            if self._calls.under_way and not self._calls.ended:
                self._calls.wait(self._pause())
            if self._calls.ended:
                batch = self._taken(self._calls.ended.popleft())
                if self._budget.ahead:
                    self._look()  # now that nothing is asked of this server: one at work all the time is judged too
                    self._begin_calls()
                yield batch
            elif not self._calls.under_way:
                pause = self._pause()
                if pause is None:
                    if batch and batch.position != self._position:  # what became of a server after its last batch
                        yield replace(batch, found=None, before=batch.position, position=self._position, anew=False)
                    return
                time.sleep(pause)

    def _over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline and self._begun_to_look

    @property
    def _begun_to_look(self) -> bool:
        """A walk whose time is over before it began still makes one call: else a search would never get on."""
        return self._cost().calls > 0 or bool(self._failed_at)

    def _begin_calls(self) -> None:
        """Ask every primary that may be asked now; one at a time where they are not asked abreast."""
        most = len(self._nodes) if self._budget.abreast else 1
        for name in self._next():
            if len(self._calls.names) >= most:
                return
            governor, place = self._governors[name], self._position.places[name]
            if governor.wait() > 0:
                continue
            node, count = self._nodes[name], governor.count
            governor.begun()
            self._calls.begin(node, self._visit(node, place.cursor or 0, count), count)

    def _next(self) -> list[str]:
        """Primaries to be asked, the one of which least was examined first, without those that are too far ahead."""
        asked = self._calls.names
        live = {name: place.share for name, place in self._position.places.items() if not place.ended}
        if not live:
            return []
        last = min(live.values())
        near = (name for name, share in live.items() if name not in asked and share <= last + LEAD)
        return sorted(near, key=lambda name: (live[name], name))

    def _pause(self) -> float | None:
        """Until something may be asked again; None where nothing will be."""
        waits = [self._governors[name].wait() for name in self._next()]
        if not self._budget.abreast and self._calls.under_way:
            waits = []
        if self._failed_at:
            waits.append(max(self._retry_at - time.monotonic(), 0.0))
        if not waits:
            return None
        pause = min(waits)
        if self._deadline is not None:
            pause = min(pause, max(self._deadline - time.monotonic(), 0.0))
        return pause

    def _taken(self, ended: Ended[T]) -> Batch[T | None]:
        call, how = ended.call, ended.how
        name = call.node.name
        before, place = self._position, self._position.places[name]
        found: T | None = None
        if isinstance(how, CacheError):
            if isinstance(how, TimedOut | Busy):
                self._governors[name].failed(ended.at - call.begun)
            self._lose(name, place, how)
        else:
            self._governors[name].measured(ended.at - call.begun, call.count, ended.at, how.held)
            self._failed_at.pop(name, None)
            self._retry_after = RETRY_SECONDS
            found = how.found
            self._position = before.at(name, place.after(how.cursor, how.examined))
        anew = name in self._anew and found is not None
        if anew:
            self._anew.discard(name)
        batch = Batch(self._nodes[name], found, before, self._position, anew, self._cost())
        if self._position.places[name].cursor == 0:
            self._judge(name, at_the_end=True)
        return batch

    # --- what may go wrong ---------------------------------------------------------------------------------

    def _lose(self, name: str, place: Place, error: CacheError) -> None:
        """Mark a primary as lost; it is tried again while the patience lasts, for what may pass."""
        self._position = self._position.at(name, replace(place, lost=error.sentence))
        now = time.monotonic()
        since = self._failed_at.setdefault(name, now)
        self._retry_at = now + self._retry_after
        if now - since >= self._budget.patience or not isinstance(error, _PASSING):
            self._failed_at.pop(name)

    def _look(self) -> None:
        """Judge the servers, and try those again that failed."""
        if self._failed_at and time.monotonic() >= self._retry_at:
            self._retry_after = min(2 * self._retry_after, LONGEST_RETRY)
            self._retry_at = time.monotonic() + self._retry_after
            self._try_again()
        for name in [name for name in self._watches if name not in self._calls.names]:
            if not self._position.places[name].ended:
                self._judge(name)

    def _judge(self, name: str, *, at_the_end: bool = False) -> None:
        """Whether the walk may go on there, and on the same server: another one is walked from its beginning.

        Behind a sentinel's name another server may have taken over without any error. Raises Strained.
        """
        watch = self._watches.get(name)
        if watch is None:
            return
        try:
            same = watch.same_server() if at_the_end else watch.look()
            if not same:
                self._adopt(self._nodes[name])
        except Strained:
            raise
        except CacheError as error:
            if at_the_end:
                self._lose(name, self._position.places[name], error)  # what it was cannot be said any more
            # else the next visit fails for the same reason, and says it

    def _try_again(self) -> None:
        try:
            servers = {node.name: node for node in self._sources.servers(fresh=True)}
        except CacheError as error:
            for name in list(self._failed_at):
                self._lose(name, self._position.places[name], error)
            return
        new = [node for name, node in servers.items() if name not in self._position.places]
        for name in self._failed_at.keys() - self._calls.names:
            if name in servers:
                self._resume(servers[name])
            elif new:
                self._forget(name)  # its successor is walked from its beginning
            else:
                self._lose(name, self._position.places[name], Unreachable(self._position.places[name].lost))
        for node in new:
            try:
                self._adopt(node)
            except CacheError as error:
                self._lose(node.name, Place(), error)

    def _resume(self, node: Node) -> None:
        """Go on where the walk was, if it is the same server; else from its beginning."""
        place = self._position.places[node.name]
        watch = self._watches.get(node.name)
        try:
            same = watch.same_server() if watch else place.cursor is not None
            if same:
                self._nodes[node.name] = node
                self._position = self._position.at(node.name, replace(place, lost=""))
            else:
                self._adopt(node)
        except CacheError as error:
            self._lose(node.name, place, error)
        else:
            # Tried again; its patience runs on until a visit succeeds.
            self._failed_at.setdefault(node.name, time.monotonic())

    def _forget(self, name: str) -> None:
        self._retire(name)
        self._failed_at.pop(name, None)
        self._watches.pop(name, None)
        self._nodes.pop(name, None)
        self._position = self._position.without(name)

    def _retire(self, name: str) -> None:
        gone = self._governors.pop(name, None)
        if gone is not None:
            self._spent = _sum(self._spent, gone)

    def _cost(self) -> Cost:
        total = self._spent
        for governor in self._governors.values():
            total = _sum(total, governor)
        return total


def _sum(cost: Cost, governor: Governor) -> Cost:
    return Cost(cost.calls + governor.calls, cost.busy + governor.busy, max(cost.longest, governor.longest))
