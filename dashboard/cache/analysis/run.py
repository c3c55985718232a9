"""Analysing a keyspace: a generator of snapshots, an estimate from the first moment on and exact at the end.

It walks all servers by govern.py and adds up what analysis.lua says of each batch, or analysis/plain.py where a
script is not allowed.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dashboard.cache.analysis.plain import LENGTHS, batch_by_pipelines
from dashboard.cache.analysis.question import missing_here, question_for, used_memory
from dashboard.cache.analysis.report import Snapshot
from dashboard.cache.analysis.reporting import Reporter
from dashboard.cache.analysis.script import batch_by_script
from dashboard.cache.analysis.strata import Stratum, alike, memory_of, whole
from dashboard.cache.analysis.sums import Sums
from dashboard.cache.analysis.tally import Tally
from dashboard.cache.errors import Denied, ServerError, Strained
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.servers.calls import Step
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import Command
from dashboard.cache.values.script import scripting
from dashboard.cache.walking.filtering import seconds_of
from dashboard.cache.walking.govern import Batch, govern
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.listing import Listing
from dashboard.cache.walking.position import Position
from dashboard.cache.walking.progress import Progress
from dashboard.cache.walking.watch import Limits
from dashboard.cache.wording import size

PATIENCE_SECONDS = 30.0  # a failover takes a cluster or a sentinel some seconds
FIRST_COUNT = 60  # the first call names nearly all of its keys, as none of them is known to be small
UNSEEN = 0.5  # of the used memory: also where values are small, keys take more than that
SNAPSHOT_SHARE = 0.1  # of the time at most, for making snapshots


@dataclass(frozen=True)
class Options:
    """How an analysis is done. every: seconds between two snapshots; the first comes after a quarter of it."""

    budget: Budget = field(default_factory=Budget)
    separator: bytes = b":"
    rules: tuple[Rule, ...] = ()
    replicas: bool = False
    every: float = 0.5
    limits: Limits = field(default_factory=Limits)


def analyze(cache: Cache, selection: Selection, options: Options | None = None) -> Iterator[Snapshot]:
    """Snapshots while the selection's keys are walked; the last one is final.

    Round trips: those of govern.py, with one call a batch by script and three without. Raises CacheError where no
    server can be asked, Denied where the selection asks for what this user may not know, and, after a last snapshot,
    Strained where the walk ended by itself.
    """
    yield from _Analysis(cache, selection, options or Options()).snapshots()


class _Analysis:
    """One analysis while it is on."""

    def __init__(self, cache: Cache, selection: Selection, options: Options) -> None:
        self._cache = cache
        self._options = options
        capabilities = cache.capabilities()
        self._question = question_for(cache, selection, options.separator, options.rules, capabilities)
        self._listing = Listing(cache, selection.keys) if selection.keys is not None else None
        self._command = "" if self._listing else scripting(capabilities)
        self._clustered = cache.target.kind == "cluster" or capabilities.mode == "cluster"
        self._whole = selection.glob == b"*" and not selection.type and self._listing is None
        self._refusal = ""
        self._started = time.time()
        self._began = time.monotonic()
        self._tallies: dict[str, Tally] = {}
        self._origins: dict[str, int] = {}
        self._begun: set[str] = set()  # servers whose first batch is under way or not added yet
        self._used = used_memory(cache)
        missing = missing_here(capabilities)
        self._reporter = Reporter(self._question, self._started, missing, self._method)

    def snapshots(self) -> Iterator[Snapshot]:
        budget = replace(
            self._options.budget, ahead=True, watched=True, patience=PATIENCE_SECONDS, first_count=FIRST_COUNT
        )
        walking = govern(
            self._cache,
            self._visit,
            budget,
            limits=self._options.limits,
            replicas=self._options.replicas,
            listing=self._listing,
        )
        due = self._began + self._options.every / 4
        last: Batch[Sums | None] | None = None
        strain: Strained | None = None
        try:
            for batch in walking:
                last = batch
                self._add(batch)
                if time.monotonic() >= due and not batch.position.ended:
                    began = time.monotonic()
                    snapshot = self._snapshot(batch)
                    took = time.monotonic() - began  # of a keyspace with very many namespaces it takes some time
                    yield snapshot
                    due = time.monotonic() + max(self._options.every, took / SNAPSHOT_SHARE)
        except Strained as error:
            strain = error
        finally:
            walking.close()  # type: ignore[attr-defined]
        yield self._snapshot(last, final=True)
        if strain is not None:
            raise strain

    # --- visits --------------------------------------------------------------------------------------------

    def _visit(self, node: Node, cursor: int, count: int) -> Step[Sums]:
        if not cursor:
            # From the beginning: perhaps of another server than before, with a clock and with large keys of its own.
            self._begun.add(node.name)
            self._origins[node.name] = yield from self._origin()
        origin = self._origins[node.name]
        biggest = 0 if node.name in self._begun else self._tallies[node.name].threshold
        where = (self._cache, self._question, cursor, count)
        if self._command and not self._refusal:
            try:
                return (yield from batch_by_script(*where, command=self._command, origin_ms=origin, biggest=biggest))
            except (Denied, ServerError) as error:
                self._refusal = error.sentence  # plain commands need less, and say of which key they are refused
        listed = self._listing.slice(node, cursor, count) if self._listing else None
        return (yield from batch_by_pipelines(*where, origin_ms=origin, biggest=biggest, listed=listed))

    def _origin(self) -> Generator[Sequence[Command], list[Any], int]:
        """When this analysis began, by the clock of that server: ms. By ours where it does not tell."""
        (reply,) = yield [("TIME",)]
        now = time.time()
        told = now if isinstance(reply, Exception) else seconds_of(reply)
        return round((told - (now - self._started)) * 1000)

    def _method(self) -> str:
        return "script" if self._command and not self._refusal else "pipelines"

    # --- adding up -----------------------------------------------------------------------------------------

    def _add(self, batch: Batch[Sums | None]) -> None:
        name = batch.node.name
        if batch.anew or name not in self._tallies:
            self._tallies[name] = self._new_tally()
        if batch.anew:
            self._begun.discard(name)
        if batch.found is not None:
            self._tallies[name].add(batch.found)

    def _new_tally(self) -> Tally:
        return Tally(self._options.separator, lumpy=self._clustered)

    def _strata(self, position: Position) -> list[Stratum]:
        found = []
        for name, place in position.places.items():
            tally = self._tallies.get(name) or self._new_tally()
            ended = place.cursor == 0
            examined = max(place.examined, tally.visited) if ended and self._whole else place.examined
            found.append(Stratum(tally, examined, place.keys if place.keys is not None else 0, ended))
        return alike(found)

    def _snapshot(self, batch: Batch[Sums | None] | None, *, final: bool = False) -> Snapshot:
        position = batch.position if batch else Position()
        cost = batch.cost if batch else None
        progress = Progress(
            examined=position.examined,
            total=position.total,
            elapsed=time.monotonic() - self._began,
            busy=cost.busy if cost else 0.0,
            calls=cost.calls if cost else 0,
            longest_ms=cost.longest * 1000 if cost else 0.0,
            lost=position.lost,
            ended=position.ended,
            primaries=max(len(position.places), 1),
        )
        if final:
            for tally in self._tallies.values():
                tally.end()
        strata = self._strata(position)
        return Snapshot(progress, self._reporter.report(strata, self._notes(strata, progress), final=final))

    def _notes(self, strata: list[Stratum], progress: Progress) -> list[str]:
        """What one should know about the figures besides."""
        notes = []
        if self._refusal:
            notes.append(f"The script was refused ({self._refusal}), so keys are asked about by pipelines.")
        if self._options.replicas:
            notes.append(self._where_asked())
        notes += self._unseen(strata, progress)
        refused = sum(one.tally.refused for one in strata)
        if refused:
            notes.append(f"{refused:,} keys are left out: Cachedeck's user has no permission for them.")
        if any(one.tally.asked for one in strata) and not any(one.tally.active for one in strata):
            notes.append(f"OBJECT {self._question.activity} is refused, so how keys are used is left out.")
        gone = sum(one.tally.gone for one in strata)
        if gone:
            notes.append(f"{gone:,} keys expired while they were looked at and are left out.")
        uncounted = sum(one.tally.uncounted for one in strata)
        if uncounted:
            notes.append(
                f"Members of {uncounted:,} collections are not counted: Cachedeck's user may not use one of "
                f"{', '.join(LENGTHS.values())}."
            )
        seen = sum(one.tally.visited for one in strata)
        if progress.complete and self._whole and seen != progress.total:
            notes.append(
                f"The keyspace changed meanwhile: {progress.total:,} keys when this began, {seen:,} were seen on the "
                "way. SCAN shows what was there all the time at least once; what came or went may be in or not."
            )
        return notes

    def _unseen(self, strata: list[Stratum], progress: Progress) -> list[str]:
        """A sample knows nothing of a few very large keys that it has not met; the server's used memory may."""
        if progress.complete or not self._question.memory or not self._question.selection.everything or not self._used:
            return []
        seen = memory_of(whole(strata))
        if seen.high > UNSEEN * self._used:
            return []
        used = f"The server uses {size(self._used)}, far more than the estimate"
        return [f"{used}: very large keys may not have been met yet (tables and buffers take a part of it)."]

    def _where_asked(self) -> str:
        """Which servers answered for their primaries."""
        primaries = {node.name for node in self._cache.primaries()}
        asked = sorted(name for name in self._tallies if name not in primaries)
        own = sorted(name for name in self._tallies if name in primaries)
        if not asked:
            return "No replica is in step with its primary, so primaries were asked."
        sentence = f"Counted on replicas ({', '.join(asked)}), which may be a moment behind."
        return f"{sentence} Without a replica, and so asked themselves: {', '.join(own)}." if own else sentence
