"""What happened on all primaries of a cache in stretches of time, from samples: what trials are judged by."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.rates import Rates, rates
from dashboard.cache.tuning.trial_rules import Window
from dashboard.jobs import latency
from dashboard.jobs.latency import p99_ms, p99s_ms
from dashboard.jobs.seeing import by_node
from dashboard.store import samples
from dashboard.store.engine import Store

LEAST_SECONDS = latency.SECONDS
"""A window of a comparison is as long as from one sample of latencies to the next, or as two of a slower sampler."""
COVERED = 0.5
"""A window of which samples cover less than this part says nothing."""


def window(store: Store, cache: str, seconds: float, until: float | None = None) -> Window | None:
    """What happened on all primaries in the `seconds` up to `until` (now), from samples; None where there are none.

    p99 is that of the same stretch where the server tells latencies. Raises StoreUnavailable.
    """
    until = time.time() if until is None else until
    taken = samples.load(store, cache, until - seconds, until)
    nodes = by_node(taken).values()
    found = _together([(rates(some[0], some[-1]), some[-1]) for some in nodes if some[-1].at > some[0].at])
    if found is None or found.seconds < COVERED * seconds:
        return None
    return replace(found, p99_ms=p99_ms(store, cache, seconds, until))


def windows(store: Store, cache: str, since: float, until: float, period: float) -> list[Window]:
    """The windows of LEAST_SECONDS or more between two moments, in their order. Raises StoreUnavailable.

    period: of the sampler, seconds. Where samples of every period are not kept any more, a window is a minute.
    """
    taken = samples.load(store, cache, since, until)
    nodes = by_node(taken)
    gaps = sorted(b.at - a.at for found in nodes.values() for a, b in pairwise(found))
    step = max(LEAST_SECONDS, 2 * period, gaps[len(gaps) // 2] if gaps else 0.0)
    parts: dict[int, list[_Part]] = defaultdict(list)
    for readings in nodes.values():
        for place, part in _stretches(readings, since, step):
            parts[place].append(part)
    slowest = p99s_ms(store, cache, since, until, step)
    return [
        replace(one, p99_ms=slowest.get(place))
        for place, there in sorted(parts.items())
        if len(there) == len(nodes) and (one := _together(there))
    ]


_Part = tuple[Rates, Reading]
"""What happened on one primary, and what it showed at the end."""


def _stretches(readings: Sequence[Reading], since: float, step: float) -> list[tuple[int, _Part]]:
    """(which window, what happened in it), from the last reading of each window to that of the next."""
    last: dict[int, Reading] = {int((one.at - since) // step): one for one in readings}
    return [(b, (rates(last[a], last[b]), last[b])) for a, b in pairwise(sorted(last)) if b == a + 1]


def _together(parts: Sequence[_Part]) -> Window | None:
    if not parts:
        return None
    seconds = sum(part.seconds for part, _ in parts) / len(parts)
    if seconds <= 0:
        return None

    def amount(name: str) -> float:
        return sum(part.per_second(name) for part, _ in parts) * seconds

    return Window(
        seconds,
        amount("keyspace_hits"),
        amount("keyspace_misses"),
        amount("evicted_keys"),
        operations=amount("total_commands_processed"),
        memory=sum(reading.counted_memory for _, reading in parts),
    )
