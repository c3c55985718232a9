"""Taking up an invalidation where an earlier process stood when it ended, killed perhaps in the middle of a call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dashboard.cache.errors import checked
from dashboard.cache.invalidation.standing import Standing, standing_of
from dashboard.cache.invalidation.task import Task
from dashboard.cache.reading.keeping import GONE, Kept, Safe
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.govern import Cost
from dashboard.cache.walking.turns import StepsTo

REMEMBERED = 3  # groups, for which is remembered what an earlier process did: theirs had other ends than ours have
CLOCKS_MS = 1000  # by which our clock and the server's may differ


@dataclass
class Earlier:
    """What earlier processes have done. dealt_with: keys that are found once more and are to be left alone.
    kept_in_vain: keys that are in the vault and were not acted upon. remembered: for how many groups more."""

    standing: Standing = field(default_factory=lambda: Standing(0.0))
    dealt_with: set[bytes] = field(default_factory=set)
    kept_in_vain: set[bytes] = field(default_factory=set)
    remembered: int = 0
    elapsed: float = 0.0
    cost: Cost = field(default_factory=Cost)
    messages: int = 0
    receivers: int = 0


def earlier(cache: Cache, task: Task, safe: Safe, fresh: Standing) -> StepsTo[Earlier]:
    """What the notes and frames of a safe say; `fresh` where nothing was begun. Raises BadStanding, CacheError."""
    text = safe.last_note()
    if text is None and not safe.count:
        return Earlier(fresh)
    last = fresh if text is None else standing_of(text)
    found = Earlier(
        replace(last, doubt=0),
        elapsed=last.elapsed,
        cost=Cost(last.calls, last.busy, last.longest),
        messages=last.tally["messages"],
        receivers=last.tally["receivers"],
    )
    if last.ended:
        return found
    if task.vault:
        yield from _Sorting(cache, task, safe, last, found).steps()
    else:
        found.standing.tally["unsure"] += last.doubt
    found.dealt_with |= last.aside
    found.remembered = REMEMBERED
    return found


class _Sorting:
    """Of the group that was being worked on: which keys were dealt with, and which are in doubt. The others are
    found and kept once more; what the vault has of them already is older, and no harm."""

    def __init__(self, cache: Cache, task: Task, safe: Safe, last: Standing, found: Earlier) -> None:
        self._cache = cache
        self._task = task
        self._safe = safe
        self._last = last
        self._found = found

    def steps(self) -> StepsTo[None]:
        last, found, standing = self._last, self._found, self._found.standing
        cuts = dict(last.cuts)
        for number, (acted, _) in last.cuts.items():
            if number < last.first:
                for _, records in self._safe.frames(number, number + 1):
                    found.kept_in_vain.update(record.key for record in records[acted:])
                yield
        for number, records in self._safe.frames(last.first, self._safe.count):
            fresh = number not in cuts
            sure, doubt = cuts.get(number) or self._acted_on(number, records)
            found.dealt_with.update(record.key for record in records[:sure])
            found.dealt_with -= last.owed
            doubtful = records[sure : sure + doubt]
            if doubt and sure >= len(records):  # those of which another server was asked, after all the others
                doubtful = [record for record in records if record.key in last.owed]
            self._resolve(doubtful, first_time=fresh)
            found.kept_in_vain.update(record.key for record in records[sure:])
            if sure < len(records):
                cuts[number] = sure, doubt
            yield
        found.kept_in_vain |= standing.owed
        standing.frame, standing.offset, standing.cuts = self._safe.count, 0, cuts

    def _acted_on(self, number: int, records: Sequence[Kept]) -> tuple[int, int]:
        """How many records of a frame were acted upon, and of how many more that is in doubt."""
        if number == self._last.frame:
            return self._last.offset, self._last.doubt
        return (len(records) if number < self._last.frame else 0), 0

    def _resolve(self, doubtful: Sequence[Kept], *, first_time: bool) -> None:
        """What became of the keys of a call whose answer nobody has seen: gone ones it may have removed, or somebody
        else; one whose TTL is shorter than it was it has lowered; all others are dealt with as if it had not been.
        They are counted the first time."""
        by_key = {record.key: record for record in doubtful}
        tally = self._found.standing.tally
        for node, keys in self._cache.group(list(by_key)).values():
            replies = self._cache.pipeline(node, [("PTTL", key) for key in keys])
            for key, reply in zip(keys, replies, strict=True):
                pttl = int(checked(reply, self._cache.name))
                if pttl == GONE:
                    tally["unsure"] += first_time
                elif self._task.lowers and pttl >= 0 and (by_key[key].pttl < 0 or pttl < _left(by_key[key])):
                    tally["found"] += first_time
                    tally["lowered"] += first_time
                    self._found.dealt_with.add(key)
                    self._found.standing.owed.discard(key)


def _left(record: Kept) -> float:
    """How long a key that was not touched would have to live now, ms, at least."""
    return record.pttl - (time.time() * 1000 - record.at) - CLOCKS_MS
