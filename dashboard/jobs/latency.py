"""How long commands took lately, from samples."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from dashboard.cache.statistics.commands import Cost, Costs, added, costs_of, grown, sum_of, together_grown
from dashboard.store import command_samples
from dashboard.store.command_samples import CommandSample
from dashboard.store.engine import Store

SECONDS = 15.0
"""Between two samples of what commands cost: soon enough to act upon, and each row is a kilobyte."""

ENOUGH_CALLS = 100
"""Of fewer calls, the 99th percentile is the slowest of them, and says nothing."""


def p99_ms(store: Store, cache: str, seconds: float, until: float | None = None) -> float | None:
    """The 99th percentile of all primaries' commands together over the last `seconds`; None where it is not known.

    Of the commands of applications alone: those that Cachedeck looks round with, administration and what concerns
    connections are left out (command_families.of_applications). Within a factor of two (commands.quantile). It begins
    up to SECONDS before, with the last sample of then. Not known: no histograms (Redis before 7.0, LATENCY HISTOGRAM
    denied, latency-tracking off), or fewer than 100 calls. Raises StoreUnavailable.
    """
    until = time.time() if until is None else until
    taken = command_samples.load(store, cache, until - seconds - SECONDS, until)
    return _p99_ms(together_grown(a, b) for readings in by_node(taken).values() for a, b in pairwise(readings))


def p99s_ms(store: Store, cache: str, since: float, until: float, step: float) -> dict[int, float]:
    """As p99_ms, of each stretch of `step` seconds between two moments: number of the stretch -> milliseconds.

    What commands cost from one sample to the next counts to the stretch in which the next was taken. Those of which it
    is not known are left out. One query. Raises StoreUnavailable.
    """
    taken = command_samples.load(store, cache, since - SECONDS, until)
    parts: dict[int, list[Cost]] = defaultdict(list)
    for readings in by_node(taken).values():
        for a, b in pairwise(readings):
            if b.at >= since:
                parts[int((b.at - since) // step)].append(together_grown(a, b))
    found = {place: _p99_ms(there) for place, there in parts.items()}
    return {place: value for place, value in found.items() if value is not None}


def _p99_ms(costs: Iterable[Cost]) -> float | None:
    whole = sum_of(costs)
    if sum(whole.histogram.values()) < ENOUGH_CALLS:
        return None
    found = whole.percentile(0.99)
    return None if found is None else found / 1000


def lately(readings: Sequence[Costs]) -> dict[str, Cost]:
    """What commands cost on one node from the first of its readings to the last."""
    return added(grown(a, b) for a, b in pairwise(readings))


def by_node(taken: Sequence[CommandSample]) -> Mapping[str, list[Costs]]:
    """Samples as readings, in their order, by node."""
    found: dict[str, list[Costs]] = defaultdict(list)
    for sample in taken:
        found[sample.node].append(costs_of(sample.at, sample.node, sample.values))
    return found
