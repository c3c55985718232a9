"""Export: the keys of a selection as lines of JSON (exporting/lines.py), from one governed walk, in bounded memory.

A generator of snapshots, each with the lines that have come since the one before. SCAN's promise holds for it: a key
that is there all the time stands in it at least once, and perhaps twice, if a hash table is resized meanwhile. It is
no picture of one moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from dashboard.cache.exporting.lines import Counts, of_end
from dashboard.cache.exporting.reading import Lines, Reader
from dashboard.cache.selecting.selection import Selection, named
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.govern import Cost
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.position import Position
from dashboard.cache.walking.progress import Progress
from dashboard.cache.walking.walk import walk
from dashboard.cache.walking.watch import Limits

if TYPE_CHECKING:
    from collections.abc import Generator

    from dashboard.cache.walking.govern import Batch

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Options:
    """budget, limits: of the walk and of the reading together. dump: every key as DUMP instead of as a value."""

    budget: Budget = field(default_factory=Budget)
    limits: Limits = field(default_factory=Limits)
    dump: bool = False


@dataclass(frozen=True)
class Part:
    """How far an export is: `lines` are new, `counts` are of all so far."""

    progress: Progress
    lines: tuple[str, ...] = ()
    counts: Counts = field(default_factory=Counts)


def export(cache: Cache, selection: Selection, options: Options | None = None) -> Iterator[Part]:
    """Parts of an export, the first as soon as it has begun; the last says `progress.ended`, and what was lost.

    Raises CacheError where it cannot go on: what was given before stands.
    """
    options = options or Options()
    reader = Reader(cache, options.budget, dump=options.dump)
    # One server at a time: a call that was under way while we read another's keys would be taken for a slow one.
    budget = replace(options.budget, watched=True, patience=PATIENCE_SECONDS, abreast=False, ahead=False)
    began = time.monotonic()
    counts = Counts()
    walking = walk(cache, named(selection), budget, limits=options.limits, rests=reader.rests)

    def told(position: Position, cost: Cost, *, ended: bool) -> Progress:
        whole = reader.turns.cost(cost)
        return Progress(
            examined=position.examined,
            total=position.total,
            elapsed=time.monotonic() - began,
            busy=whole.busy,
            calls=whole.calls,
            longest_ms=whole.longest * 1000,
            lost=position.lost,
            ended=ended,
            primaries=max(len(position.places), 1),
        )

    position, cost = Position(), Cost()
    with closing(cast("Generator[Batch[tuple[bytes, ...]]]", walking)):
        for batch in walking:
            position, cost = batch.position, batch.cost
            found: Iterator[Lines] = reader.read(batch.node, tuple(dict.fromkeys(batch.found)))
            for lines, more in found:
                counts = counts.plus(**more.to_plain())
                yield Part(told(position, cost, ended=False), lines, counts)
            yield Part(told(position, cost, ended=False), (), counts)
    yield Part(told(position, cost, ended=True), (), counts)


def last_line(part: Part | None, why: str = "") -> str:
    """The end of an export that came this far. why: a sentence, where it did not come to its end."""
    if part is None:
        return of_end(Counts(), why=why or "Nothing was read.")
    lost = part.progress.lost
    return of_end(part.counts, why=why or why_not_whole(part), lost=lost)


def why_not_whole(part: Part) -> str:
    """A sentence where an export that has ended lacks keys of its selection; "" where it does not."""
    if not part.progress.lost:
        return "" if part.progress.ended else "It was ended before all keys were read."
    return "Not read to the end: " + "; ".join(f"{name}: {why}" for name, why in part.progress.lost.items())
