"""What the sampler asks about commands: INFO commandstats and LATENCY HISTOGRAM of each primary, into the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.statistics.commands import Cost, Costs, carry, costs_of, parse, was_set_back
from dashboard.store import command_samples
from dashboard.store.command_samples import CommandSample
from dashboard.store.engine import Store

# Each refusal is a line in the server's ACL LOG, and rights change rarely.
ASK_AGAIN_SECONDS = 600.0

# Named so that redis-py hands over the answers as they are.
COMMANDSTATS, HISTOGRAM, LATENCYSTATS = "INFO COMMANDSTATS", "LATENCY HISTOGRAM", "INFO LATENCYSTATS"


class CommandSampling:
    """Samples the commands of one cache, once in each period (seconds)."""

    def __init__(self, store: Store, cache: Cache, period: float) -> None:
        self._store = store
        self._cache = cache
        self._period = period
        self._slots: dict[str, float] = {}
        self._last: dict[str, Costs] = {}
        self._refused: dict[str, float] = {}

    def sample(self, nodes: Sequence[tuple[Node, float]]) -> None:
        """Ask those primaries whose time has come, given with their `run` (info.py). One round trip each.

        One that fails says nothing here: it has just answered to INFO, and will say what it has when it is asked next.
        Raises StoreError.
        """
        now = time.time()
        slot = now // self._period
        taken = []
        for node, run in nodes:
            if self._slots.get(node.name) != slot and (costs := self._ask(node, run)) is not None:
                self._slots[node.name] = slot
                taken.append(CommandSample(costs.at, self._cache.name, node.name, costs.to_plain()))
        if taken:
            command_samples.save(self._store, taken, self._period)

    def _ask(self, node: Node, run: float) -> Costs | None:
        histograms = time.monotonic() >= self._refused.get(node.name, 0.0)
        at = time.time()
        try:
            asked = [(COMMANDSTATS,), (HISTOGRAM if histograms else LATENCYSTATS,)]
            stats, latencies = self._cache.pipeline(node, asked)
        except CacheError:
            return None
        if not isinstance(stats, bytes):
            return None
        if histograms and isinstance(latencies, Exception):
            self._refused[node.name] = time.monotonic() + ASK_AGAIN_SECONDS
        told = latencies if isinstance(latencies, bytes) else b""
        now = Costs(at, node.name, parse(stats, latencies, told), run)
        now = replace(now, carried=self._carried(now))
        self._last[node.name] = now
        return now

    def _carried(self, now: Costs) -> dict[str, Cost]:
        """By the sample before. Where counters were set back it is that of the store, so that two workers agree."""
        before = self._last.get(now.node)
        if before is None or was_set_back(before, now):
            kept = {one.node: one for one in command_samples.latest(self._store, self._cache.name)}.get(now.node)
            before = costs_of(kept.at, kept.node, kept.values) if kept else before
        return dict(carry(before, now)) if before else {}
