"""The charts of the statistics page: what memory, keys, traffic and the processor did over time. Pure.

Those of commands are in command_series.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboard.cache.statistics.info import Reading, mean
from dashboard.cache.statistics.rates import Rates
from dashboard.cache.statistics.series import Chart, Format, Line, Point, latest, limit_of, line
from dashboard.cache.wording import count, duration, percent, size

DRAWN = (
    "keyspace_hits",
    "keyspace_misses",
    "evicted_keys",
    "expired_keys",
    "expired_keys_active",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "used_cpu_sys",
    "used_cpu_user",
    "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread",
)
"""The counters whose rates these charts need."""

Values = list[float | None]


def charts(seen: Sequence[Point]) -> tuple[Chart, ...]:
    """Every chart but those of commands, in the order of the page. A line that no server tells is left out."""
    x = tuple(int(point.at) if point.at % 1 == 0 else point.at for point in seen)
    make = _Maker(x, seen)
    return (
        make.memory(),
        make.parts(),
        make.hit_ratio(),
        make.misses(),
        make.evictions(),
        make.expirations(),
        make.keys(),
        make.mean_ttl(),
        make.network(),
        make.clients(),
        make.processor(),
    )


class _Maker:
    def __init__(self, x: tuple[float, ...], seen: Sequence[Point]) -> None:
        self._x = x
        self._seen = seen
        newest = next((point for point in reversed(seen) if point.parts), None)
        told = [frozenset(one.values) for one, _ in newest.parts] if newest else [frozenset()]
        self._told = frozenset.intersection(*told)

    def memory(self) -> Chart:
        limit = limit_of(self._seen)
        used, resident = self._gauge("used_memory"), self._gauge("used_memory_rss")
        of = f" of {size(limit)}" if limit else ", no maxmemory is set"
        lines = (line("used", used), line("resident", resident))
        return self._chart("memory", "Memory", "", "bytes", latest("{}" + of, used, size), lines, limit)

    def parts(self) -> Chart:
        """What used memory consists of; see memory_parts.py for all of it."""
        data = self._gauge("used_memory_dataset")
        lines = [line("dataset", data)]
        if "mem_clients_normal" in self._told:
            buffers = ("mem_clients_normal", *_REPLICATION)
            rest = self._each(lambda point: max(_sum(point, "used_memory_overhead") - _sum(point, *buffers), 0.0))
            lines.append(line("tables and rest", rest))
            lines.append(line("clients", self._gauge("mem_clients_normal")))
            lines.append(line("replication", self._each(lambda point: _sum(point, *_REPLICATION))))
        elif "used_memory_overhead" in self._told:
            lines.append(line("overhead", self._gauge("used_memory_overhead")))
        lines.append(line("fragmentation", self._each(_around)))
        return self._chart("parts", "Memory by part", "", "bytes", latest("{} of data", data, size), lines)

    def hit_ratio(self) -> Chart:
        ratios: Values = [point.hit_ratio for point in self._seen]
        return self._chart(
            "hit_ratio", "Hit ratio", "", "percent", latest("{}", ratios, percent), [line("hit ratio", ratios)]
        )

    def misses(self) -> Chart:
        hits, misses = self._rate("keyspace_hits"), self._rate("keyspace_misses")
        lines = (line("hits", hits), line("misses", misses))
        return self._chart("misses", "Look-ups", "/s", "number", latest("{} misses/s", misses), lines)

    def evictions(self) -> Chart:
        evicted = self._rate("evicted_keys")
        return self._chart(
            "evictions", "Evictions", "keys/s", "number", latest("{}/s", evicted), [line("evicted", evicted)]
        )

    def expirations(self) -> Chart:
        expired = self._rate("expired_keys")
        active = self._rate("expired_keys_active")
        lines = [line("expired", expired)]
        if "expired_keys_active" in self._told:
            lazy: Values = [
                None if one is None or other is None else max(one - other, 0.0)
                for one, other in zip(expired, active, strict=True)
            ]
            lines = [line("found by the server", active), line("found by a read", lazy)]
        stale = self._each(lambda point: max(one.get("expired_stale_perc") for one, _ in point.parts))
        said = f"{latest('{}/s', expired)} Stale: {latest('{} of keys with TTL', stale, _per_cent)}"
        return self._chart("expirations", "Expirations", "keys/s", "number", said, lines)

    def keys(self) -> Chart:
        with_ttl = self._gauge("keys_with_ttl")
        without = self._each(lambda point: _sum(point, "keys") - _sum(point, "keys_with_ttl"))
        lines = (line("with TTL", with_ttl), line("without TTL", without))
        return self._chart("keys", "Keys", "", "number", latest("{} without TTL", without), lines)

    def mean_ttl(self) -> Chart:
        ttls = self._each(
            lambda point: mean([(one.get("keys_with_ttl"), one.get("avg_ttl_ms") / 1000) for one, _ in point.parts])
        )
        said = latest("{}, as the server estimates it", ttls, duration)
        return self._chart("mean_ttl", "Mean TTL", "", "seconds", said, [line("mean TTL", ttls)])

    def network(self) -> Chart:
        received, sent = self._rate("total_net_input_bytes"), self._rate("total_net_output_bytes")
        lines = (line("in", received), line("out", sent))
        return self._chart("network", "Network", "/s", "bytes", latest("{}/s out", sent, size), lines)

    def clients(self) -> Chart:
        connected, blocked = self._gauge("connected_clients"), self._gauge("blocked_clients")
        lines = (line("connected", connected), line("blocked", blocked))
        return self._chart("clients", "Clients", "", "number", latest("{} connected", connected), lines)

    def processor(self) -> Chart:
        """Per cent of one core; of several primaries, the busiest one's thread and the sum of all."""
        whole = self._each_rate(lambda part: _cpu(part, ("used_cpu_sys", "used_cpu_user")), sum)
        thread = self._each_rate(lambda part: _cpu(part, _THREAD), max)
        lines = [line("processes", whole)]
        if _THREAD[0] in self._told:
            lines.insert(0, line("busiest thread", thread))
        said = latest("{} of one core", thread if len(lines) > 1 else whole, _per_cent)
        return self._chart("processor", "Processor", "%", "number", said, lines)

    def _rate(self, name: str) -> Values:
        return [point.rate(name) for point in self._seen]

    def _gauge(self, name: str) -> Values:
        return [point.gauge(name) for point in self._seen]

    def _each(self, value: Callable[[Point], float]) -> Values:
        return [value(point) if point.parts else None for point in self._seen]

    def _each_rate(self, value: Callable[[Rates], float], together: Callable[[Sequence[float]], float]) -> Values:
        found: Values = []
        for point in self._seen:
            known = [value(part) for _, part in point.parts if part is not None]
            found.append(together(known) if known and len(known) == len(point.parts) else None)
        return found

    def _chart(
        self,
        name: str,
        title: str,
        unit: str,
        form: Format,
        caption: str,
        lines: Sequence[Line],
        limit: float | None = None,
    ) -> Chart:
        return Chart(name, title, unit, form, caption, self._x, tuple(lines), limit)


_REPLICATION = ("mem_clients_slaves", "mem_replication_backlog")
_THREAD = ("used_cpu_sys_main_thread", "used_cpu_user_main_thread")


def _cpu(part: Rates, names: Sequence[str]) -> float:
    return 100 * sum(part.per_second(name) for name in names)


def _sum(point: Point, *names: str) -> float:
    return sum(one.get(name) for one, _ in point.parts for name in names)


def _around(point: Point) -> float:
    return sum(max(one.get("used_memory_rss") - one.get("used_memory"), 0.0) for one, _ in point.parts)


def _per_cent(value: float) -> str:
    return percent(value / 100)


def answer(reading: Reading | None, lately: Rates | None) -> str:
    """What the page says first."""
    if reading is None:
        return "No sample yet: the worker takes one every few seconds."
    limit = reading.get("maxmemory")
    memory = f"{size(reading.get('used_memory'))} of {size(limit)}" if limit else size(reading.get("used_memory"))
    said = [f"Memory {memory}"]
    if lately is not None:
        if lately.hit_ratio is not None:
            said.append(f"hit ratio {percent(lately.hit_ratio)}")
        said.append(f"{count(lately.per_second('evicted_keys'))} evictions/s")
        said.append(f"{count(lately.per_second('total_commands_processed'))} commands/s")
    return ", ".join(said) + "."
