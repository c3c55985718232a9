"""Taking turns at a server: calls of known keys, each no longer than it may be, with rests between and with patience.

In steps: what takes time is a generator which yields whenever somebody may look, or end it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dashboard.cache.errors import (
    Busy,
    CacheError,
    ClusterDown,
    Loading,
    ReadOnlyReplica,
    TimedOut,
    Unreachable,
)
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.govern import Cost
from dashboard.cache.walking.governor import Budget, Governor, Rests, rest_of

PATIENCE_SECONDS = 30.0  # a failover takes a cluster or a sentinel some seconds
RETRY_SECONDS = 1.0
STEP_SECONDS = 0.1  # the longest sleep: so soon is a cancellation heeded
PINGS = 3
_PASSING = (Unreachable, TimedOut, Busy, Loading, ClusterDown, ReadOnlyReplica)
_NO_ANSWER = (Unreachable, TimedOut)


class Answer(Protocol):
    """What a call gives: about how many keys it was, and for how many seconds it held the server, where told."""

    @property
    def handled(self) -> int: ...
    @property
    def held(self) -> float | None: ...


T = TypeVar("T")
A = TypeVar("A", bound=Answer)
Steps = Generator[None, None, None]
StepsTo = Generator[None, None, T]
"""Yields whenever somebody may look or end it, and gives what it was for."""


@dataclass(frozen=True)
class Search:
    """For keys that were not served where we have asked: since when (monotonic), and how often it was before."""

    since: float
    times: int = 1

    @property
    def follow(self) -> bool:
        """Whether to ask in the way that is sent on to a slot which is on its way."""
        return self.times > 1


class Turns:
    """Of one piece of work at the servers of a cache. rests: shared with the walk that finds the keys for it. lost:
    whether an answer to what is being asked was lost, so that nobody knows what that call has done."""

    def __init__(self, cache: Cache, budget: Budget) -> None:
        self._cache = cache
        self._budget = budget
        self._governors: dict[tuple[str, str], Governor] = {}
        self._successors: dict[str, Node] = {}
        self.rests: Rests = {}
        self.lost = False

    def governor(self, node: Node, what: str) -> Governor:
        """One for each sort of call, as their keys cost differently; all of a server share its rest."""
        place = (node.name, what)
        if place not in self._governors:
            round_trip = min(self._ping(node) for _ in range(PINGS))
            self._governors[place] = Governor(self._budget, round_trip, rest_of(self.rests, node.name))
        return self._governors[place]

    def _ping(self, node: Node) -> float:
        began = time.perf_counter()
        try:
            self._cache.execute("PING", node=node)
        except CacheError:
            return 0.0  # the next call says what is wrong
        return time.perf_counter() - began

    def rest(self, governor: Governor) -> Steps:
        """Until the next call keeps the share."""
        while (wait := governor.wait()) > 0:
            time.sleep(min(wait, STEP_SECONDS))
            if wait > STEP_SECONDS:
                yield

    def ask(self, node: Node, key: bytes, governor: Governor, question: Callable[[Node], A]) -> StepsTo[tuple[A, bool]]:
        """Ask, and ask again for a while where what goes wrong may pass; of whoever serves the key by then.

        The answer, and whether one before it was lost. Raises Unanswered.
        """
        since, asked = time.monotonic(), node.name
        self.lost = False
        node = self._successors.get(asked, node)
        while True:
            governor.begun()
            began = time.perf_counter()
            try:
                answer = question(node)
            except CacheError as error:
                governor.failed(time.perf_counter() - began)
                self.lost = self.lost or isinstance(error, _NO_ANSWER)
                if not isinstance(error, _PASSING) or time.monotonic() - since > PATIENCE_SECONDS:
                    raise Unanswered(error, lost=self.lost) from error
            else:
                ended = time.perf_counter()
                governor.measured(ended - began, max(answer.handled, 1), ended, answer.held)
                # Whoever has taken over is asked at once for the other keys of a server that does not answer any more.
                self._successors[asked] = node
                return answer, self.lost
            yield from sleep(RETRY_SECONDS)
            node = self._server_of(key) or node

    def look_for(self, keys: Sequence[bytes], search: Search | None) -> StepsTo[list[tuple[Node, list[bytes], Search]]]:
        """Who serves keys by now that the server which was asked does not; `search` where they were looked for before.

        Raises CacheError when they could not be found for PATIENCE_SECONDS.
        """
        if not keys:
            return []
        search = Search(time.monotonic()) if search is None else Search(search.since, search.times + 1)
        while True:
            yield from sleep(RETRY_SECONDS)
            over = time.monotonic() - search.since > PATIENCE_SECONDS
            self._successors.clear()
            try:
                self._cache.primaries(fresh=True)
                groups = self._cache.group(keys).values()
            except CacheError:
                if over:
                    raise
                continue
            if over:
                raise self._not_found(len(keys))
            return [(node, its, search) for node, its in groups]

    def _not_found(self, keys: int) -> CacheError:
        name = self._cache.name
        if self._cache.target.kind == "cluster":
            return ClusterDown(f"{name} sends us from one server to another for {keys:,} keys.")
        return ReadOnlyReplica(f"{name} refuses writes: it is a read-only replica.")

    def once(self, governor: Governor, question: Callable[[], A]) -> A:
        """Ask once, without patience. Raises CacheError."""
        governor.begun()
        began = time.perf_counter()
        try:
            answer = question()
        except CacheError:
            governor.failed(time.perf_counter() - began)
            raise
        ended = time.perf_counter()
        governor.measured(ended - began, max(answer.handled, 1), ended, answer.held)
        return answer

    def _server_of(self, key: bytes) -> Node | None:
        """Who serves a key now; None where that cannot be told just now."""
        try:
            self._cache.primaries(fresh=True)
            return self._cache.node_of(key)
        except CacheError:
            return None

    def cost(self, *others: Cost) -> Cost:
        """Of all calls so far, and of what others have cost."""
        costs = [*others, *(Cost(one.calls, one.busy, one.longest) for one in self._governors.values())]
        return Cost(sum(one.calls for one in costs), sum(one.busy for one in costs), max(one.longest for one in costs))


class Unanswered(Exception):
    """A call has failed for good. lost: an answer of it was, so it may have done something."""

    def __init__(self, error: CacheError, *, lost: bool) -> None:
        super().__init__(error.sentence)
        self.error = error
        self.lost = lost


def sleep(seconds: float) -> Steps:
    """In steps, so that it can be ended."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))
        yield
