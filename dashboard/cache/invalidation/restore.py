"""Undo: give back what the vault has of an invalidation, with the TTLs that are left, and overwrite nothing.

It can be done again at any time: what is there as the vault has it is counted as such.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from dashboard.cache.invalidation.report import NAMED, Named, Undone
from dashboard.cache.invalidation.restoring import Given, Restoring
from dashboard.cache.invalidation.standing import Standing
from dashboard.cache.reading.keeping import Kept
from dashboard.cache.selecting.glob import matcher
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.govern import Cost
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.progress import Progress
from dashboard.cache.walking.turns import Search, Steps, Turns, Unanswered

CALL_BYTES = 1024 * 1024  # of what is sent to a server in one call
MOST_AT_ONCE = 2_000
NEWER = "It exists again or was changed since, and is left as it is."

Frames = Callable[[int, int], Iterator[tuple[int, Sequence[Kept]]]]
"""(start, end): the frames of the vault from one number to another, which is not among them."""


@dataclass(frozen=True)
class Options:
    """budget: how gentle. every: seconds between two snapshots. lowered: TTLs were lowered and not keys removed."""

    budget: Budget = field(default_factory=Budget)
    every: float = 0.2
    lowered: bool = False


def restore(
    cache: Cache,
    frames: Frames,
    count: int,
    standing: Standing,
    pattern: bytes = b"*",
    options: Options | None = None,
) -> Iterator[Undone]:
    """Give back the keys of `count` frames that match the pattern.

    What was kept and not acted upon, because the invalidation was ended, is there still, and is counted as the same.
    Every snapshot counts what was done until then, the last one before an error or a close too. Raises ReadOnlyCache,
    CacheError (OutOfMemory with what could be restored before it), and what `frames` raises.
    """
    cache.require_writable()
    yield from _Restore(cache, frames, count, standing, pattern, options or Options()).snapshots()


class _Restore:
    """One undo while it is on."""

    def __init__(
        self, cache: Cache, frames: Frames, count: int, standing: Standing, pattern: bytes, options: Options
    ) -> None:
        self._cache = cache
        self._frames = frames
        self._count = count
        self._standing = standing
        self._matches = None if set(pattern) == {0x2A} else matcher(pattern)
        self._options = options
        self._restoring = Restoring(cache, lowered=options.lowered)
        self._turns = Turns(cache, options.budget)
        self._seen: set[bytes] = set()  # keys that a later frame has, which was dealt with first
        self._began = self._due = time.monotonic()
        self._done = Undone(Progress(total=standing.counts.kept))
        self._why: Counter[str] = Counter()

    def snapshots(self) -> Iterator[Undone]:
        try:
            for steps in self._steps():
                for _ in steps:
                    if time.monotonic() >= self._due:
                        yield self._drawn()
                        self._due = time.monotonic() + self._options.every
        except Exception:
            yield self._drawn()
            raise
        yield self._drawn(ended=True)

    def _steps(self) -> Iterator[Steps]:
        """What was kept once more comes first, the last of it first: it is newer than what earlier frames have."""
        again = sorted(set(self._standing.again), reverse=True)
        for number in again:
            for _, records in self._frames(number, number + 1):
                fresh = self._unseen(records)
                self._seen.update(record.key for record in records)
                yield self._give(fresh)
        for number, records in self._frames(0, self._count):
            if number in again:
                continue
            yield self._give(self._unseen(records))

    def _unseen(self, records: Sequence[Kept]) -> Sequence[Kept]:
        fresh = [record for record in records if record.key not in self._seen] if self._seen else records
        self._pass(len(records) - len(fresh))
        return fresh

    def _give(self, records: Sequence[Kept]) -> Steps:
        wanted = records
        if self._matches is not None:
            wanted = [record for record in records if self._matches.fullmatch(record.key)]
            other = len(records) - len(wanted)
            self._done = replace(self._done, other=self._done.other + other)
            self._pass(other)
        by_key = {record.key: record for record in wanted}
        for node, keys in self._cache.group(list(by_key)).values():
            yield from self._give_to(node, [by_key[key] for key in keys])

    def _give_to(self, node: Node, records: Sequence[Kept], search: Search | None = None) -> Steps:
        governor = self._turns.governor(node, "restore")
        rest, elsewhere = records, list[bytes]()
        while rest:
            yield from self._turns.rest(governor)
            part = _portion(rest, min(governor.count, MOST_AT_ONCE))
            try:
                ask = partial(self._ask, part, follow=search is not None and search.follow)
                given, lost = yield from self._turns.ask(node, part[0].key, governor, ask)
            except Unanswered as failure:
                if failure.lost:
                    self._done = replace(self._done, unsure=self._done.unsure + len(part))
                raise failure.error from failure
            self._add(given, lost=lost)
            rest = rest[given.handled :]
            elsewhere += given.elsewhere
            if given.error is not None:
                raise given.error
            yield
        by_key = {record.key: record for record in records}
        for there, keys, further in (yield from self._turns.look_for(elsewhere, search)):
            yield from self._give_to(there, [by_key[key] for key in keys], further)

    def _ask(self, records: Sequence[Kept], node: Node, *, follow: bool) -> Given:
        return self._restoring.give(node, records, follow=follow)

    def _add(self, given: Given, *, lost: bool) -> None:
        """After a lost answer, keys that are as they were may be what that call has given back."""
        done = self._done
        named = [Named(printable(key)[:200], NEWER) for key in given.newer]
        named += [Named(printable(key)[:200], why) for key, why in given.refused]
        self._why.update(why for _, why in given.refused)
        self._done = replace(
            done,
            restored=done.restored + given.restored,
            retimed=done.retimed + given.retimed,
            newer=done.newer + len(given.newer),
            expired=done.expired + given.expired,
            same=done.same + (0 if lost else given.same),
            unsure=done.unsure + (given.same if lost else 0),
            refused=dict(self._why),
            named=(*done.named, *named)[:NAMED],
        )
        self._pass(given.handled - len(given.elsewhere))

    def _pass(self, records: int) -> None:
        progress = self._done.progress
        self._done = replace(self._done, progress=replace(progress, examined=progress.examined + records))

    def _drawn(self, *, ended: bool = False) -> Undone:
        cost = self._turns.cost(Cost())
        progress = self._done.progress
        return replace(
            self._done,
            progress=replace(
                progress,
                total=max(progress.total, progress.examined),
                elapsed=time.monotonic() - self._began,
                busy=cost.busy,
                calls=cost.calls,
                longest_ms=cost.longest * 1000,
                ended=ended,
                primaries=max(len(self._turns.rests), 1),
            ),
        )


def _portion(records: Sequence[Kept], most: int) -> Sequence[Kept]:
    """The first of them: so many at most, and about CALL_BYTES."""
    size = 0
    for place, record in enumerate(records[:most]):
        size += len(record.dump)
        if size >= CALL_BYTES:
            return records[: place + 1]
    return records[:most]
