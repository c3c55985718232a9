"""What the worker looks at once a minute, beside INFO: whether replicas have the primaries' settings, what memory the
container has, what a restart would lose; and every five minutes, while memory is nearly full, how old the keys are that
are evicted.

It goes into the primaries' samples as further figures, so that findings know of it without a question to the server. A
look runs in a thread of its own: a replica that hangs holds up no sample.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from dashboard.cache.errors import CacheError
from dashboard.cache.eviction.age import BESIDE_SECONDS, eviction_age
from dashboard.cache.servers.connect import Cache
from dashboard.cache.statistics.fullness import NEARLY_FULL
from dashboard.cache.tuning import config_file, container, node_settings
from dashboard.cache.tuning.node_settings import NodeSettings

LOOK_SECONDS = 60.0
"""A few commands on each node: soon enough to see somebody else's CONFIG SET."""
AGE_SECONDS = BESIDE_SECONDS
"""Drawing keys costs up to some thousand cheap commands, which the server counts among its hits."""

Figures = Mapping[str, Mapping[str, float]]

_log = logging.getLogger(__name__)


class Looking:
    """Looks at one cache. `figures`: what was seen last, by primary; empty until then, and after a look that failed."""

    def __init__(self, cache: Cache) -> None:
        self.figures: Figures = {}
        self._cache = cache
        self._looked = self._aged = float("-inf")
        self._ages: Figures = {}
        self._thread: threading.Thread | None = None

    def look_if_due(self) -> None:
        """Begin a look where it is time for one and none is under way."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS or (self._thread and self._thread.is_alive()):
            return
        self._looked = now
        self._thread = threading.Thread(target=self.look, name=f"looking {self._cache.name}", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Look now, in this thread. Nothing that goes wrong comes out of it."""
        self._looked = time.monotonic()
        try:
            nodes = node_settings.read(self._cache)
            figures = settings_of(self._cache, nodes)
            if time.monotonic() - self._aged >= AGE_SECONDS:
                self._ages = ages_of(self._cache) if any(_is_full(one) for one in nodes) else {}
                self._aged = time.monotonic() if self._ages else self._aged
        except CacheError as error:
            _log.debug("%s: no look: %s", self._cache.name, error.sentence)
            figures = {}
        except Exception:  # noqa: BLE001 (a defect of ours: it is logged, and sampling goes on without these figures)
            _log.exception("%s: looking failed", self._cache.name)
            figures = {}
        self.figures = {node: {**found, **self._ages.get(node, {})} for node, found in figures.items()}


def _is_full(one: NodeSettings) -> bool:
    limit = one.values.get("maxmemory", "")
    return limit.isdecimal() and 0 < NEARLY_FULL * int(limit) <= one.used


def settings_of(cache: Cache, nodes: Sequence[NodeSettings]) -> Figures:
    """By primary: memory_limit (bytes), replicas_other_policy and replicas_other_maxmemory (replicas that differ),
    settings_unsaved (settings that the configuration file would give otherwise). What is not known is left out."""
    limits = container.limits(cache.target, nodes)
    found: dict[str, dict[str, float]] = {}
    for primary in nodes:
        if primary.is_replica or not primary.values:  # without values it has not answered
            continue
        replicas = [one for one in nodes if one.is_replica and one.primary == primary.node]
        figures = {
            "replicas_other_policy": _other(primary, replicas, "maxmemory-policy"),
            "replicas_other_maxmemory": _other(primary, replicas, "maxmemory"),
            "settings_unsaved": len(config_file.differences(cache.target, primary)),
            "memory_limit": limits.get(primary.node, 0),
        }
        found[primary.node] = {name: float(value) for name, value in figures.items() if value}
    return found


def _other(primary: NodeSettings, replicas: Sequence[NodeSettings], name: str) -> int:
    mine = primary.values.get(name)
    return sum(mine is not None and one.values.get(name, mine) != mine for one in replicas)


def ages_of(cache: Cache) -> Figures:
    """By primary: eviction_idle, seconds for which half of the keys that are evicted now were not used. Raises
    CacheError."""
    return {
        one.node: {"eviction_idle": one.idle.p50.value}
        for one in eviction_age(cache, beside=True).nodes
        if one.idle is not None
    }
