"""Retiming: give the keys of a selection other TTLs, after a dry run that says what this would do.

Both are generators of snapshots over one governed walk. SCAN shows a key twice now and then, while a hash table
shrinks (3 of 100,000 keys when nine tenths of a million were deleted meanwhile): jitter is then applied to it
twice, and it counts twice. Into a range, and to the earlier side, nothing goes wrong by that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from dashboard.cache.errors import CacheError, Denied, ServerError, TimedOut, Unreachable
from dashboard.cache.retiming.change import Change, Jitter
from dashboard.cache.retiming.plain import batch_by_commands
from dashboard.cache.retiming.script import batch_by_script
from dashboard.cache.retiming.tally import Done, Plan, Tally, done_of, plan_of
from dashboard.cache.retiming.task import Batch, Task
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.calls import Visited
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.values.script import scripting
from dashboard.cache.walking.filtering import seconds_of
from dashboard.cache.walking.govern import Batch as Walked
from dashboard.cache.walking.govern import at_once, govern
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.position import Position
from dashboard.cache.walking.progress import Progress
from dashboard.cache.walking.scan import examined_by
from dashboard.cache.walking.watch import Limits

BY_SCRIPT = "a script on the server, atomic for each batch"
BY_COMMANDS = "plain commands, because scripts are not allowed; not atomic"

S = TypeVar("S", Plan, Done)


@dataclass(frozen=True)
class Options:
    """How gentle (`budget`, of which primaries abreast and a second chance are not taken where keys are changed),
    when to end by itself (`limits`), and how often a snapshot is yielded, seconds."""

    budget: Budget = field(default_factory=Budget)
    limits: Limits = field(default_factory=Limits)
    every: float = 0.5


def plan(cache: Cache, selection: Selection, change: Change, options: Options | None = None) -> Iterator[Plan]:
    """What `retime` would do, and changes nothing. Estimates while it goes on, exact at its end.

    Raises CacheError: where a command that it needs is denied, where no primary can be asked or none be walked to
    the end (after the last snapshot), and Strained.
    """
    options = options or Options()
    _require(cache, selection, "SCAN", "PTTL")
    walk = _Walk(cache, selection, change, scripting(cache.capabilities()), acts=False)
    budget = replace(options.budget, patience=0.0)
    yield from walk.snapshots(budget, options, lambda progress: plan_of(walk.tally, progress, walk.method))


def retime(cache: Cache, selection: Selection, change: Change, options: Options | None = None) -> Iterator[Done]:
    """Change the TTLs. Every snapshot counts what was done until then, the last one before an error or a close too.

    Raises ReadOnlyCache, and CacheError as `plan` does; also where a single primary could not be walked to its
    end: nothing is tried twice, because jitter would then be applied twice.
    """
    options = options or Options()
    cache.require_writable()
    _require(cache, selection, "SCAN", "PTTL", "PEXPIRE")
    command = "EVAL" if cache.capabilities().can("EVAL") else ""
    walk = _Walk(cache, selection, change, command, acts=True)
    # One call at a time: when the generator is closed, none is under way that would change keys uncounted.
    budget = replace(options.budget, patience=0.0, abreast=False, ahead=False)
    yield from walk.snapshots(
        budget, options, lambda progress: done_of(walk.tally, progress, walk.method, atomic=walk.atomic)
    )


def _require(cache: Cache, selection: Selection, *commands: str) -> None:
    """Raises Denied for the first command that the user may not run here."""
    capabilities = cache.capabilities()
    for command in (*commands, *(("MEMORY USAGE",) if selection.size else ())):
        if not capabilities.can(command):
            raise Denied(f"Cachedeck's user on {cache.name} may not run {command}.", command)


class _Walk:
    """One walk, to plan or to act."""

    def __init__(self, cache: Cache, selection: Selection, change: Change, command: str, *, acts: bool) -> None:
        self._cache = cache
        self._command = command
        now = _clock(cache)
        self._task = Task(selection, change, acts, _origin(selection, change, now))
        self._lock = threading.Lock()
        self._errors: dict[str, CacheError] = {}
        self.tally = Tally(now, self._task.origin)
        self.atomic = bool(command)

    @property
    def method(self) -> str:
        return BY_SCRIPT if self.atomic else BY_COMMANDS

    def snapshots(self, budget: Budget, options: Options, drawn: Callable[[Progress], S]) -> Iterator[S]:
        begun, due, told = time.monotonic(), 0.0, False
        progress = Progress()
        try:
            for batch in govern(self._cache, at_once(self._visit), budget, limits=options.limits):
                progress = _progress(batch, time.monotonic() - begun)
                told = time.monotonic() >= due
                if told:
                    yield self._drawn(drawn, progress)
                    due = time.monotonic() + options.every
        except CacheError:
            yield self._drawn(drawn, progress)
            raise
        if not told:
            yield self._drawn(drawn, progress)
        if progress.lost and (self._task.acts or len(progress.lost) == progress.primaries):
            name, why = next(iter(progress.lost.items()))
            raise self._errors.get(name) or CacheError(why)

    def _drawn(self, drawn: Callable[[Progress], S], progress: Progress) -> S:
        with self._lock:
            return drawn(progress)

    def _visit(self, node: Node, cursor: int, count: int) -> Visited[None]:
        try:
            batch = self._batch(node, cursor, count)
        except CacheError as error:
            with self._lock:
                self._errors[node.name] = error
                if self._task.acts and self.atomic and isinstance(error, TimedOut | Unreachable):
                    self.tally.unsure += count
            raise
        with self._lock:
            self.tally.add(batch.acted)
            self.tally.unsure += batch.unsure
            if batch.error is not None:
                self._errors[node.name] = batch.error
        if batch.error is not None:
            raise batch.error
        examined = examined_by(self._task.selection, batch.cursor, count, batch.scanned)
        return Visited(batch.cursor, examined, None, batch.held)

    def _batch(self, node: Node, cursor: int, count: int) -> Batch:
        if self.atomic:
            try:
                return batch_by_script(self._cache, node, self._task, self._command, cursor, count)
            except (ServerError, Denied):
                # The server takes no such script (or none any more): what it says, it says before it has done anything.
                self.atomic = False
        return batch_by_commands(self._cache, node, self._task, cursor, count)


def _clock(cache: Cache) -> float:
    """The server's clock, seconds since 1970; ours where it may not be asked. One round trip."""
    try:
        return seconds_of(cache.execute("TIME", node=cache.primaries()[0]))
    except Denied:
        return time.time()


def _origin(selection: Selection, change: Change, now: float) -> float:
    """From when the slots count: now, or shortly before the instants that are asked for, so that these fall into
    slots of a second each although they may be days away."""
    if not selection.at_instant or not isinstance(change, Jitter):
        return now
    low, high = (edge / 1000 for edge in selection.ttl_range_ms)
    reach = change.amount if change.unit == "s" else max(high - now, 0.0) * change.amount / 100
    return max(now, float(int(low - reach) - 60))


def _progress(batch: Walked[None], elapsed: float) -> Progress:
    position: Position = batch.position
    return Progress(
        examined=position.examined,
        total=position.total,
        elapsed=elapsed,
        busy=batch.cost.busy,
        calls=batch.cost.calls,
        longest_ms=batch.cost.longest * 1000,
        lost=position.lost,
        ended=position.ended,
        primaries=len(position.places),
    )
