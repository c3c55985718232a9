"""The governed walk: the only SCAN loop there is.

It visits every primary of a cache, never with KEYS, in batches whose size follows what they are
measured to cost, so that one call holds the server for about `Budget.hold_ms`, and it rests between
calls so that it takes at most `Budget.share` of the server's time.

SCAN's promise is SCAN's: a key that is there during the whole walk is seen at least once, perhaps
twice (while a hash table is resized); a key that comes or goes meanwhile may or may not be seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dashboard.cache.connect import Cache, Node
from dashboard.cache.errors import CacheError
from dashboard.cache.selection import Selection

FIRST_COUNT = 100  # a page of keys; the first call cannot know yet what a batch costs
MOST_COUNT = 20_000  # beyond it a call's cost is all in the keys, so nothing is gained
GROWTH = 2.0  # how far one batch may differ from the one before: a single slow call proves little


@dataclass(frozen=True)
class Budget:
    """What a walk may take. hold_ms: one call; share: of the server's time; seconds: in all, None for no end."""

    hold_ms: float = 1.0
    share: float = 0.5
    seconds: float | None = None
    first_count: int = FIRST_COUNT


@dataclass(frozen=True)
class Place:
    """Where a walk stands on one primary. `cursor` None: not begun; 0: through; `lost`: why it cannot go on."""

    cursor: int | None = None
    examined: int = 0
    keys: int = 0
    lost: str = ""

    @property
    def ended(self) -> bool:
        return self.cursor == 0 or bool(self.lost)


@dataclass(frozen=True)
class Position:
    """Where a walk stands on all primaries, by their names. Serialisable, so that a walk can go on later."""

    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return bool(self.places) and all(place.ended for place in self.places.values())

    @property
    def examined(self) -> int:
        return sum(place.examined for place in self.places.values())

    @property
    def total(self) -> int:
        """Keys on all primaries, as DBSIZE said when the walk came to each."""
        return sum(place.keys for place in self.places.values())

    @property
    def lost(self) -> dict[str, str]:
        return {name: place.lost for name, place in self.places.items() if place.lost}

    def retried(self) -> Position:
        """The same, with another chance for the primaries that were lost."""
        return Position({name: replace(place, lost="") for name, place in self.places.items()})


@dataclass(frozen=True)
class Batch:
    """Keys of one primary, and where the walk stands before (`before`) and after them (`position`)."""

    node: Node
    keys: tuple[bytes, ...]
    before: Position
    position: Position


def walk(cache: Cache, selection: Selection, budget: Budget, start: Position | None = None) -> Iterator[Batch]:
    """Batches of keys that meet the selection, from `start` (or the beginning) to the end or the budget's.

    Round trips: DBSIZE once for each primary, then one SCAN a batch, and one pipeline of PTTL where
    the selection has a TTL condition. A primary that fails ends there as lost, in the position of the
    batch (without keys) that says so, and the walk goes on with the others. Raises CacheError where
    the cache as a whole cannot be reached.
    """
    deadline = None if budget.seconds is None else time.monotonic() + budget.seconds
    nodes = {node.name: node for node in cache.primaries()}
    position = _prepared(cache, nodes, start or Position())
    governor = _Governor(budget)
    while not position.ended:
        name = next(name for name, place in position.places.items() if not place.ended)
        before = position
        try:
            keys, place = _step(cache, nodes[name], selection, position.places[name], governor)
        except CacheError as error:
            keys, place = (), replace(position.places[name], lost=error.sentence)
        position = Position({**position.places, name: place})
        yield Batch(nodes[name], keys, before, position)
        if deadline is not None and time.monotonic() >= deadline:
            return
        governor.rest(deadline)


def _prepared(cache: Cache, nodes: Mapping[str, Node], start: Position) -> Position:
    """A place for every primary of now.

    After a failover the new primary has another name: it is walked from its beginning, and the place
    of the old one is dropped. Raises the first CacheError where no primary at all can be asked.
    """
    places: dict[str, Place] = {}
    errors: list[CacheError] = []
    for name, node in nodes.items():
        known = start.places.get(name)
        if known is not None:
            places[name] = known
            continue
        try:
            places[name] = Place(keys=int(cache.execute("DBSIZE", node=node)))
        except CacheError as error:
            errors.append(error)
            places[name] = Place(lost=error.sentence)
    if errors and len(errors) == len(nodes):
        raise errors[0]
    return Position(places)


def _step(
    cache: Cache, node: Node, selection: Selection, place: Place, governor: _Governor
) -> tuple[tuple[bytes, ...], Place]:
    count = governor.count
    started = time.perf_counter()
    cursor, found = cache.execute(*_scan(selection, place.cursor or 0, count), node=node)
    governor.measured(time.perf_counter() - started, count)
    keys = tuple(found)
    if selection.ttl and keys:
        left = cache.pipeline(node, [("PTTL", key) for key in keys])
        keys = tuple(
            key for key, pttl in zip(keys, left, strict=True) if isinstance(pttl, int) and selection.takes_ttl(pttl)
        )
    # A call visits COUNT keys and at most a bucket more; at the end it has visited them all.
    examined = place.keys if cursor == 0 else min(place.examined + max(count, len(found)), place.keys)
    return keys, replace(place, cursor=int(cursor), examined=examined)


def _scan(selection: Selection, cursor: int, count: int) -> list[Any]:
    command: list[Any] = ["SCAN", cursor]
    if selection.pattern != b"*":
        command += ["MATCH", selection.pattern]
    command += ["COUNT", count]
    if selection.type:
        command += ["TYPE", selection.type]
    return command


class _Governor:
    """Chooses the size of the next batch and the rest before it from what the last ones took.

    A call's time as seen from here contains the network and our own parsing, so the server is held
    for less than measured: the error is on the gentle side.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._last = 0.0
        self._ended_at = 0.0
        self.count = budget.first_count

    def measured(self, seconds: float, count: int) -> None:
        self._last, self._ended_at = seconds, time.perf_counter()
        wanted = count * (self._budget.hold_ms / 1000) / max(seconds, 1e-6)
        self.count = int(min(max(wanted, count / GROWTH, 10), count * GROWTH, MOST_COUNT))

    def rest(self, deadline: float | None) -> None:
        """Wait until the last call's share is kept; what the caller did with the batch counts as rest."""
        rest = self._last * (1 - self._budget.share) / self._budget.share
        rest -= time.perf_counter() - self._ended_at
        if deadline is not None:
            rest = min(rest, deadline - time.monotonic())
        if rest > 0:
            time.sleep(rest)
