"""What happened between two readings of a primary, and the total over several primaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.cache.statistics.info import COUNTERS, STATS_COUNTERS, Reading, mean


@dataclass(frozen=True)
class Rates:
    """What happened between two readings of one primary (or, summed, of several).

    `change` holds the growth of each counter, never negative; `gained` that of a few gauges, in
    their own unit, negative too. `restarted`: another process answers than before.
    """

    since: float
    until: float
    change: Mapping[str, float]
    gained: Mapping[str, float]
    restarted: bool = False

    @property
    def seconds(self) -> float:
        return self.until - self.since

    def per_second(self, name: str) -> float:
        return self.change.get(name, 0.0) / self.seconds if self.seconds > 0 else 0.0

    @property
    def reads(self) -> float:
        """Key look-ups of read commands: hits and misses."""
        return self.change.get("keyspace_hits", 0.0) + self.change.get("keyspace_misses", 0.0)

    @property
    def hit_ratio(self) -> float | None:
        """Hits / (hits + misses), 0 to 1; None when nothing was read."""
        return self.change.get("keyspace_hits", 0.0) / self.reads if self.reads else None

    @property
    def main_thread_share(self) -> float | None:
        """Share of one core that the thread which runs commands used; None before Redis 6.2."""
        names = ("used_cpu_sys_main_thread", "used_cpu_user_main_thread")
        if names[0] not in self.change or self.seconds <= 0:
            return None
        return sum(self.change[name] for name in names if name in self.change) / self.seconds


_STATS = frozenset(STATS_COUNTERS)
_CARRIED = {name: f"+{name}" for name in COUNTERS}
_GAINED = ("used_memory", "keys")


def rates(a: Reading, b: Reading, names: Sequence[str] = COUNTERS) -> Rates:
    """What happened from `a` to `b`, two readings of one primary, `a` the earlier, to the counters `names`.

    A counter that was set back in between (restart, CONFIG RESETSTAT) has grown by what it shows
    now, and by what `b` carries along of before: less than the truth, but never negative and never more.
    """
    restarted = _restarted(a, b)
    before, after = a.values, b.values
    reset = _reset(a, b, restarted)
    carries = _CARRIED["total_commands_processed"] in after
    change = {}
    for name in names:
        if name not in after:
            continue
        growth = after[name] - before.get(name, after[name])
        carried = 0.0
        if carries and name in _CARRIED:
            key = _CARRIED[name]
            carried = after.get(key, 0.0) - before.get(key, 0.0)
        if carried > 0:
            growth += carried
        elif restarted or (reset and name in _STATS):
            growth = after[name]
        change[name] = max(growth, 0.0)
    gained = {name: b.values[name] - a.values[name] for name in _GAINED if name in a.values and name in b.values}
    return Rates(a.at, b.at, change, gained, restarted)


def carry(before: Reading, now: Reading) -> dict[str, float]:
    """The values that `now` has to carry along so that nothing is lost which `before`, the sample before it, counted.

    Of COUNTERS: how much each had grown before it was set back, under names that no server uses. Samples are thinned
    out, and a rate between two that lie far apart would else miss what was counted up to the restart.
    """
    restarted = _restarted(before, now)
    reset = _reset(before, now, restarted)
    found = {}
    for name, key in _CARRIED.items():
        lost = before.get(name) if restarted or (reset and name in _STATS) else 0.0
        if total := before.get(key) + lost:
            found[key] = total
    return found


def was_set_back(a: Reading, b: Reading) -> bool:
    """Whether counters of one primary began anew between two readings: a restart, or CONFIG RESETSTAT."""
    return _reset(a, b, _restarted(a, b))


def _reset(a: Reading, b: Reading, restarted: bool) -> bool:
    if restarted:
        return True
    before, after = a.values, b.values
    # Not any() of a generator: charts ask this for each pair of samples, and it would take twice as long.
    for name in STATS_COUNTERS:  # noqa: SIM110
        if name in after and after[name] < before.get(name, 0.0):
            return True
    return False


def sum_rates(parts: Sequence[Rates]) -> Rates | None:
    """What happened on several primaries together, over their common mean period; None for none.

    Each part is brought to that period first, so rates add up although the moments differ a little.
    """
    parts = [part for part in parts if part.seconds > 0]
    if not parts:
        return None
    until = max(part.until for part in parts)
    seconds = sum(part.seconds for part in parts) / len(parts)
    change: dict[str, float] = {}
    gained: dict[str, float] = {}
    for part in parts:
        for target, source in ((change, part.change), (gained, part.gained)):
            for name, value in source.items():
                target[name] = target.get(name, 0.0) + value * seconds / part.seconds
    return Rates(until - seconds, until, change, gained, any(part.restarted for part in parts))


def total(readings: Iterable[Reading]) -> Reading | None:
    """The sum over primaries, with an empty node name; of one, itself; None for none.

    Not summed: uptime (shortest), states (worst), the fragmentation ratio (from the sums), the mean
    TTL (weighted); maxmemory is 0 as soon as one primary has none; the policy is a fact only where all agree.
    """
    parts = list(readings)
    if len(parts) <= 1:
        return parts[0] if parts else None
    names = {name for part in parts for name in part.values}
    values = {name: sum(part.get(name) for part in parts) for name in names if name not in _NOT_SUMMED}
    for name, choose in _CHOSEN.items():
        if name in names:
            values[name] = choose([part.values[name] for part in parts if name in part.values])
    if not all(part.get("maxmemory") for part in parts):
        values["maxmemory"] = 0.0
    if values.get("used_memory"):
        values["mem_fragmentation_ratio"] = values.get("used_memory_rss", 0.0) / values["used_memory"]
    weights = [(part.get("keys_with_ttl"), part.get("avg_ttl_ms")) for part in parts]
    values["avg_ttl_ms"] = mean(weights)
    shared = set.intersection(*(set(part.facts.items()) for part in parts))
    return Reading(max(part.at for part in parts), "", values, dict(shared))


_CHOSEN = {
    "uptime_in_seconds": min,
    "loading": max,
    "loading_loaded_perc": min,
    "loading_eta_seconds": max,
    "primary": min,
    "primary_link": min,
    "rdb_ok": min,
    "aof_ok": min,
    "aof_enabled": min,
    "replica_lag": max,
    "sampled_at": max,
    "answer_seconds": max,
    "rdb_last_save_time": min,
    "master_last_io_seconds_ago": max,
    # The worst primary's: each is a share, a state, or of the largest client or fork.
    "expired_stale_perc": max,
    "client_recent_max_input_buffer": max,
    "client_recent_max_output_buffer": max,
    "latest_fork_usec": max,
    "current_eviction_exceeded_time": max,
    "active_defrag_running": max,
    "aof_rewrite_in_progress": max,
    "allocator_told": min,
    # Primaries may share a machine or have one each: the largest is never too high.
    "total_system_memory": max,
    "memory_limit": max,
    "settings_unsaved": max,
    "eviction_idle": min,
}
_NOT_SUMMED = frozenset(_CHOSEN) | {"run", "policy", "mem_fragmentation_ratio", "avg_ttl_ms"}


def _restarted(a: Reading, b: Reading) -> bool:
    if "run" in a.values and "run" in b.values:
        return a.values["run"] != b.values["run"]
    return b.get("uptime_in_seconds") < a.get("uptime_in_seconds")
