"""Invalidating: remove the keys of a task, or let them expire, so that each is in the vault before it is touched.

A generator of snapshots over one governed walk. Keys are gathered into groups; a group is kept, is on the disk, and
only then acted upon (invalidation/work.py). Before and after each call that changes keys it is noted where this
stands, so that the counts are exact at every end and another process can go on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import cast

from dashboard.cache.errors import CacheError
from dashboard.cache.invalidation.mode import Paced
from dashboard.cache.invalidation.report import Done
from dashboard.cache.invalidation.task import Task
from dashboard.cache.invalidation.work import Work
from dashboard.cache.reading.keeping import Safe
from dashboard.cache.selecting.selection import named
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.govern import Batch, Cost
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.position import Position
from dashboard.cache.walking.progress import Progress
from dashboard.cache.walking.walk import walk
from dashboard.cache.walking.watch import Limits

UNKEPT = 1_000  # keys of a group without the vault: a call's worth
GROUP = 10_000  # keys of a group: so many are kept, and on the disk, before the first of them is touched
PACED_SECONDS = 2.0  # of a pace: so much of it is kept at a time
PATIENCE_SECONDS = 30.0  # a failover takes a cluster or a sentinel some seconds
PACE_SECONDS = 5.0  # over which the pace is told


@dataclass(frozen=True)
class Options:
    """How it is done. largest: bytes of the largest key that is kept (0: of any). most: stop before more keys than this
    (None: no limit). every: seconds between two snapshots. number: by which people know it."""

    budget: Budget = field(default_factory=Budget)
    limits: Limits = field(default_factory=Limits)
    largest: int = 0
    most: int | None = None
    every: float = 0.2
    number: int = 0


def invalidate(cache: Cache, task: Task, safe: Safe, options: Options | None = None) -> Iterator[Done]:
    """Do what the task says, from the beginning or from where `safe`'s last note says that it stands.

    Every snapshot counts what was done until then, the last one before an error or a close too. Raises CacheError:
    where a command that it needs is denied, where a primary could not be walked to its end, TooMany, Strained; and
    what `safe.keep` raises. In each case it can be called again with the same `safe`, and goes on.
    """
    cache.require_writable()
    yield from _Invalidation(cache, task, safe, options or Options()).snapshots()


class _Invalidation:
    """One invalidation while it is on."""

    def __init__(self, cache: Cache, task: Task, safe: Safe, options: Options) -> None:
        self._cache = cache
        self._task = task
        self._options = options
        self._began = time.monotonic()
        self._due = self._began
        self._walked = Cost()
        self._seen: Position | None = None
        self._pace: deque[tuple[float, int]] = deque()
        self._work = Work(cache, task, safe, options)

    def snapshots(self) -> Iterator[Done]:
        work = self._work
        work.begin()
        try:
            yield from self._ticking(work.take_up())
            if not work.standing.ended:
                yield from self._walk()
        except Exception:
            yield self._done()  # what was done until then, whatever ended it
            raise
        finally:
            work.close()
        yield self._done()
        lost = self._progress().lost
        if lost:
            name, why = next(iter(lost.items()))
            raise CacheError(f"{name} could not be walked to its end: {why}", "Resume it when that is mended.")

    def _walk(self) -> Iterator[Done]:
        work, options = self._work, self._options
        # Neither abreast nor ahead: while we work on what one primary gave, answers of others would wait to be read
        # and be taken for slow ones.
        budget = replace(options.budget, watched=True, patience=PATIENCE_SECONDS, abreast=False, seconds=None)
        start = work.standing.position.retried()
        walking = walk(self._cache, named(self._task.selection), budget, start, limits=options.limits, rests=work.rests)
        group: dict[str, tuple[Node, list[bytes]]] = {}
        size, enough = 0, self._enough()
        with closing(cast("Generator[Batch[tuple[bytes, ...]]]", walking)):
            for batch in walking:
                self._see(batch)
                if batch.found:
                    group.setdefault(batch.node.name, (batch.node, []))[1].extend(batch.found)
                    size += len(batch.found)
                if size >= enough or (size and batch.position.ended):
                    yield from self._ticking(work.do(group.values(), batch.position))
                    group, size = {}, 0
                elif not size:
                    work.stand_at(batch.position)
                yield from self._tick()
        if size:
            yield from self._ticking(work.do(group.values(), self._seen or Position()))
        seen = self._seen or start  # where all was walked before, nothing is seen of it any more
        if seen.ended and not seen.lost:
            work.end()

    def _enough(self) -> int:
        """Keys of a group."""
        if not self._task.vault:
            return UNKEPT
        mode = self._task.mode
        return GROUP if not isinstance(mode, Paced) else int(min(GROUP, max(1.0, mode.rate * PACED_SECONDS)))

    def _see(self, batch: Batch[tuple[bytes, ...]]) -> None:
        self._seen = batch.position
        self._walked = batch.cost

    # --- snapshots -----------------------------------------------------------------------------------------

    def _ticking(self, steps: Iterator[None]) -> Iterator[Done]:
        """Work in small steps: between two of them it may be told how far it is, and be ended."""
        for _ in steps:
            yield from self._tick()

    def _tick(self) -> Iterator[Done]:
        if time.monotonic() >= self._due:
            yield self._done()
            self._due = time.monotonic() + self._options.every

    def _done(self) -> Done:
        standing = self._work.standing
        counts = standing.counts.plus(unsure=standing.doubt)
        window = getattr(self._task.mode, "seconds", 0.0) if self._task.lowers else 0.0
        return Done(
            progress=self._progress(),
            started_at=standing.started_at,
            counts=counts,
            named=tuple(standing.named),
            pace=self._keys_per_second(counts.done),
            method=self._work.method,
            expiry=tuple(standing.expiry),
            expiry_seconds=window,
            notes=tuple(self._work.notes),
        )

    def _keys_per_second(self, done: int) -> float:
        """Over the last seconds."""
        now = time.monotonic()
        self._pace.append((now, done))
        while len(self._pace) > 2 and now - self._pace[0][0] > PACE_SECONDS:
            self._pace.popleft()
        begun, before = self._pace[0]
        return (done - before) / (now - begun) if now > begun else 0.0

    def _progress(self) -> Progress:
        standing, position = self._work.standing, self._seen
        if position is None:
            position = standing.position
        cost = self._work.cost(self._walked)
        return Progress(
            examined=position.examined,
            total=position.total,
            elapsed=self._work.elapsed,
            busy=cost.busy,
            calls=cost.calls,
            longest_ms=cost.longest * 1000,
            lost=position.lost,
            ended=standing.ended or (position.ended and bool(position.lost)),
            primaries=max(len(position.places), 1),
        )
