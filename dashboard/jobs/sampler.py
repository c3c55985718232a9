"""Sampling: INFO of every primary of every cache, every few seconds, into the store; what commands cost, more rarely.

Samples are taken at multiples of the period on the wall clock, so those of two workers coincide and
the store keeps one of them. Each cache has a thread of its own: one that hangs delays no other. Plain
INFO is asked for: choosing sections costs redis-py more than it saves the server, and several at
once are understood only since 7.0.

Counters that were set back (restart, CONFIG RESETSTAT) are carried along from the last sample before, see rates.carry.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.statistics.info import Reading, parse, reading, restored
from dashboard.cache.statistics.rates import carry, was_set_back
from dashboard.jobs import latency
from dashboard.jobs.command_sampling import CommandSampling
from dashboard.jobs.looking import Looking
from dashboard.store import samples
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.samples import Sample

# A primary that lets us wait is asked again only after so many times the wait, while its cluster has
# others: they keep five sixths of the time.
PATIENCE = 5.0
# Joining the threads at a stop; what still waits for a server then is a daemon thread and dies with us.
STOP_SECONDS = 1.0

# Named so that redis-py hands over the answer as bytes, unparsed; "default" is what INFO gives without it.
INFO = "INFO DEFAULT"

_log = logging.getLogger(__name__)


class Sampler:
    """Samples caches until stopped. `start` once, `stop` once."""

    def __init__(self, store: Store, caches: Iterable[Cache], period: float) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=Follower(store, cache, period).follow,
                args=(self._stop,),
                name=f"sampler {cache.name}",
                daemon=True,
            )
            for cache in caches
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> bool:
        """Ask all threads to end; whether they did within a second."""
        self._stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)


class Follower:
    """Samples one cache. What goes wrong is logged when it begins, changes or ends, not each time."""

    def __init__(self, store: Store, cache: Cache, period: float, command_period: float = latency.SECONDS) -> None:
        self._store = store
        self._cache = cache
        self._period = period
        self._last: dict[str, Reading] = {}
        self._commands = CommandSampling(store, cache, max(period, command_period))
        self._looking = Looking(cache)
        self._trouble: dict[str, str] = {}
        self._not_before: dict[str, float] = {}

    def follow(self, stop: threading.Event) -> None:
        """Take samples until `stop` is set: one at once, then at each multiple of the period."""
        while not stop.is_set():
            self.sample_guarded()
            self._looking.look_if_due()
            now = time.time()
            stop.wait(self._slot(now) + self._period - now)

    def sample_guarded(self) -> None:
        """One round, in which nothing that goes wrong ends the sampling."""
        try:
            self.sample()
        except (CacheError, StoreError) as error:
            self._note("", error.sentence)
        except Exception:  # noqa: BLE001 (a defect of ours: it is logged, and the next round may well succeed)
            if self._trouble.get("") != "defect":
                _log.exception("%s: sampling failed", self._cache.name)
            self._trouble[""] = "defect"
        else:
            self._note("", "")

    def sample(self) -> None:
        """One round: ask the primaries that answered last time, save, then try the others.

        One round trip a primary, and another where it is time to look at commands. Raises CacheError when the
        primaries cannot be told, StoreError.
        """
        slot = self._slot(time.time())
        nodes = self._cache.primaries()
        gone = self._trouble.keys() - {node.name for node in nodes} - {""}
        for name in gone:
            del self._trouble[name]
        for name in self._last.keys() - {node.name for node in nodes}:
            del self._last[name]
        well = [node for node in nodes if node.name not in self._trouble]
        ill = [node for node in nodes if node.name in self._trouble]
        self._save(slot, well)
        self._save(slot, [node for node in ill if not well or self._due(node)])

    def _save(self, slot: float, nodes: Sequence[Node]) -> None:
        taken = [sample for node in nodes if (sample := self._ask(slot, node)) is not None]
        if taken:
            samples.save(self._store, taken, self._period)
        answered = {sample.node: sample.values.get("run", 0.0) for sample in taken}
        self._commands.sample([(node, answered[node.name]) for node in nodes if node.name in answered])

    def _ask(self, slot: float, node: Node) -> Sample | None:
        at, begun = time.time(), time.monotonic()
        try:
            text = self._cache.execute(INFO, node=node)
        except CacheError as error:
            self._not_before[node.name] = time.monotonic() + PATIENCE * (time.monotonic() - begun)
            self._note(node.name, error.sentence)
            return None
        took = time.monotonic() - begun
        now = reading(parse(text), at, node.name)
        values = {**now.values, **self._carried(now), "answer_seconds": took}
        values.update(self._looking.figures.get(node.name, {}))
        self._last[node.name] = Reading(at, node.name, values)
        self._note(node.name, "")
        return Sample(slot, self._cache.name, node.name, values)

    def _carried(self, now: Reading) -> dict[str, float]:
        """By the sample before. Where counters were set back it is that of the store, so that two workers agree."""
        before = self._last.get(now.node)
        if before is None or was_set_back(before, now):
            kept = {one.node: one for one in samples.latest(self._store, self._cache.name)}.get(now.node)
            before = restored(kept.at, kept.node, kept.values) if kept else before
        return carry(before, now) if before else {}

    def _due(self, node: Node) -> bool:
        return time.monotonic() >= self._not_before.get(node.name, 0.0)

    def _slot(self, now: float) -> float:
        return now // self._period * self._period

    def _note(self, node: str, sentence: str) -> None:
        """Log a change of state. `node` is empty for the cache as a whole, `sentence` while all is well."""
        if self._trouble.get(node, "") == sentence:
            return
        what = f"{self._cache.name} {node}".rstrip()
        if sentence:
            self._trouble[node] = sentence
            _log.warning("%s: no sample: %s", what, sentence)
        else:
            del self._trouble[node]
            _log.info("%s: sampled again", what)
