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
from dashboard.cache.errors import CacheError, Denied, translate
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
    keys: int | None = 0  # None: DBSIZE is denied
    lost: str = ""

    @property
    def ended(self) -> bool:
        return self.cursor == 0 or bool(self.lost)

    @property
    def share(self) -> float:
        """How much of this primary was examined, 0 to 1; a mere order where its size is not told."""
        return self.examined / (self.keys or 1_000_000)


@dataclass(frozen=True)
class Position:
    """Where a walk stands on all primaries, by their names. Serialisable, so that a walk can go on later."""

    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return bool(self.places) and all(place.ended for place in self.places.values())

    @property
    def begun(self) -> bool:
        """Whether something was seen of every primary."""
        return all(place.ended or place.cursor is not None for place in self.places.values())

    @property
    def examined(self) -> int:
        return sum(place.examined for place in self.places.values())

    @property
    def total(self) -> int:
        """Keys on all primaries, as DBSIZE said when the walk began; where it is denied, those examined."""
        return sum(place.examined if place.keys is None else place.keys for place in self.places.values())

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
        # Where least of it was examined: so all primaries advance alike, and what was seen of a cluster at
        # any moment is as much of each of them, a fair sample of the whole.
        name = min((place.share, name) for name, place in position.places.items() if not place.ended)[1]
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
        except Denied:
            places[name] = Place(keys=None)  # how many there are is not told; SCAN may be allowed all the same
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
        keys = _with_ttl(cache, node, selection, keys)
    # A call visits COUNT keys and at most a bucket more; at the end it has visited them all.
    examined = place.examined + max(count, len(found))
    if place.keys is not None:
        examined = place.keys if cursor == 0 else min(examined, place.keys)
    elif cursor == 0:  # empty, or of a size that is not told: the last call visits fewer than COUNT
        examined = place.examined + len(found)
    return keys, replace(place, cursor=int(cursor), examined=examined)


def _with_ttl(cache: Cache, node: Node, selection: Selection, keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Those that meet the TTL condition. Raises CacheError if one cannot be asked: leaving it out would be a lie."""
    left = cache.pipeline(node, [("PTTL", key) for key in keys])
    for reply in left:
        if isinstance(reply, Exception):
            raise reply if isinstance(reply, CacheError) else translate(reply, cache.name)
    return tuple(key for key, pttl in zip(keys, left, strict=True) if selection.takes_ttl(int(pttl)))


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
