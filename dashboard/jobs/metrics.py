"""What /metrics answers: figures of the store's newest samples, and how Cachedeck itself is. No server is asked.

Of a primary that is not sampled any more, nothing is told but that it is down: Prometheus would take old figures for
new ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.exposition import choose_encoder

from dashboard.cache.statistics.commands import costs_of
from dashboard.cache.statistics.exposed import FAMILIES, OF_SAMPLES, Family
from dashboard.cache.statistics.info import restored
from dashboard.cache.statistics.picture import FORGET_SECONDS, STALE_PERIODS
from dashboard.jobs import latency
from dashboard.settings import Settings
from dashboard.store import audit, command_samples, jobs, samples, trials, workers
from dashboard.store.command_samples import CommandSample
from dashboard.store.engine import Store
from dashboard.store.samples import Sample
from dashboard.store.vault import vault_of

OVERDUE_SECONDS = 30.0
"""A worker takes a trial back within seconds of its end."""


def exposition(store: Store, settings: Settings, version: str, only: str, accept: str) -> tuple[bytes, str]:
    """(text, content type) for what a client accepts: OpenMetrics or Prometheus' own format.

    version: of Cachedeck. only: the one cache that may be told of, "" for all. Raises StoreUnavailable.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(store, settings, version, only, time.time()))
    try:
        encode, content_type = choose_encoder(accept)
    except TypeError:  # prometheus_client 0.26 compares a version that is no number with one that is
        encode, content_type = choose_encoder("")
    return encode(registry), content_type


class _Collector:
    """One scrape."""

    def __init__(self, store: Store, settings: Settings, version: str, only: str, now: float) -> None:
        self._store = store
        self._settings = settings
        self._version = version
        self._only = only
        self._now = now
        self._caches = [one.name for one in settings.caches if only in ("", one.name)]
        self._families: dict[str, Metric] = {}

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        """Raises StoreUnavailable."""
        self._itself()
        for cache in self._caches:
            self._cache(cache)
        self._trials()
        if not self._only:
            self._all()
        # In the order of the tables, whatever was found first.
        yield from (self._families[name] for name in FAMILIES if name in self._families)

    def _add(self, name: str, labels: Sequence[str], value: float) -> None:
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = _metric(FAMILIES[name])
        family.add_metric(labels, value)  # type: ignore[attr-defined]

    def _itself(self) -> None:
        self._add("cachedeck_info", [self._version], 1)
        self._add("cachedeck_workers", [], workers.alive(self._store, self._now))
        self._add("cachedeck_sample_period_seconds", [], self._settings.sample_seconds)

    def _cache(self, cache: str) -> None:
        taken = samples.latest(self._store, cache)
        newest = max((one.at for one in taken), default=None)
        if newest is None:
            self._add("redis_up", [cache, ""], 0)
        else:
            self._add("cachedeck_sample_age_seconds", [cache], max(self._now - newest, 0.0))
        fresh = self._now - STALE_PERIODS * self._settings.sample_seconds
        fresh_nodes = {one.node for one in taken if one.at >= fresh}
        for one in taken:
            if one.node in fresh_nodes:
                self._node(one)
            elif newest is not None and one.at >= newest - FORGET_SECONDS:
                self._add("redis_up", [cache, one.node], 0)
        for looked in command_samples.latest(self._store, cache):
            if looked.at >= self._now - STALE_PERIODS * latency.SECONDS and looked.node in fresh_nodes:
                self._commands(looked)
        for state, many in jobs.by_state(self._store, cache).items():
            self._add("cachedeck_jobs", [cache, state], many)

    def _node(self, sample: Sample) -> None:
        where = [sample.cache, sample.node]
        self._add("redis_up", where, 1)
        seen = restored(sample.at, sample.node, sample.values)
        self._add("redis_start_time_seconds", where, round(seen.at - seen.get("uptime_in_seconds")))
        role, policy = seen.facts.get("role", ""), seen.facts.get("maxmemory_policy", "")
        self._add("redis_instance_info", [*where, role, policy], 1)
        for family in OF_SAMPLES:
            value = sample.values.get(family.field)
            if value is not None:
                self._add(family.name, where, value * family.scale)

    def _commands(self, sample: CommandSample) -> None:
        for name, cost in costs_of(sample.at, sample.node, sample.values).commands.items():
            where = [sample.cache, sample.node, name]
            self._add("redis_commands_total", where, cost.calls)
            self._add("redis_commands_duration_seconds_total", where, cost.usec / 1e6)
            if cost.rejected:
                self._add("redis_commands_rejected_calls_total", where, cost.rejected)
            if cost.failed:
                self._add("redis_commands_failed_calls_total", where, cost.failed)

    def _trials(self) -> None:
        found = trials.open_on(self._store, self._caches)
        for cache in self._caches:
            of_cache = [one for one in found if one.cache == cache]
            for purpose in ("trial", "events"):
                many = sum(one.purpose == purpose for one in of_cache)
                self._add("cachedeck_trials_open", [cache, purpose], many)
            overdue = sum(self._now - one.ends_at > OVERDUE_SECONDS for one in of_cache)
            self._add("cachedeck_trials_overdue", [cache], overdue)
            self._add("cachedeck_trials_stuck", [cache], sum(one.state == "stuck" for one in of_cache))

    def _all(self) -> None:
        vault = vault_of(self._settings)
        self._add("cachedeck_vault_bytes", [], vault.used_lately())
        self._add("cachedeck_vault_limit_bytes", [], vault.most_bytes)
        self._add("cachedeck_audit_entries_total", [], audit.length(self._store))


def _metric(family: Family) -> Metric:
    kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "unknown": UnknownMetricFamily}
    made: Metric = kinds[family.kind](family.name, family.says, labels=family.labels)
    return made
