"""A measurement of regret in words: what it would cost beforehand, and what it has cost, found and missed."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.cache.eviction.confirmed import ConfirmedAge
from dashboard.cache.eviction.regret import Trace
from dashboard.cache.notifications.cost import Cost, cost_of, in_words
from dashboard.cache.statistics.picture import Picture
from dashboard.cache.wording import count, duration, number_of, percent

__all__ = ["Cost", "confirmed", "curve", "expected", "in_words", "spent", "unheard"]

TOLERATED = 0.001
"""The servers' own count and the events are not read at the same moment: so small a share says nothing."""


def expected(seen: Picture) -> Cost | None:
    """By the evictions and misses of the last minutes; None where they are not known."""
    recent = seen.recent
    if recent is None:
        return None
    return cost_of(recent.per_second("evicted_keys") + recent.per_second("keyspace_misses"))


def spent(trace: Trace) -> Cost | None:
    """By the events that came; None before a second is over."""
    seconds = trace.progress.elapsed
    if seconds < 1:
        return None
    return cost_of(trace.events / seconds, trace.bytes / trace.events if trace.events else 0.0)


def unheard(trace: Trace) -> str:
    """What the servers counted and nobody heard of; "" where that is nothing."""
    if trace.unheard <= max(TOLERATED * trace.counted, 5):
        return ""
    told = (
        f"{percent(trace.unheard / trace.counted)} of the evictions that the servers counted ({count(trace.counted)})"
    )
    why = "in the gaps below, or in other databases" if trace.gaps else "lost, or in other databases"
    return f"{told} were not heard of: {why}."


def confirmed(age: ConfirmedAge) -> str:
    """How old the keys were that were drawn a moment before they were evicted."""
    told = f"Of {number_of(age.of, 'evicted key')} that had been drawn a moment before,"
    parts = []
    if age.idle is not None:
        parts.append(f"half had not been used for {duration(age.idle.p50.value)} or longer")
    if age.frequency is not None:
        parts.append(f"half had a use counter of {age.frequency.p50.value:.0f} or less")
    if age.ttl is not None:
        parts.append(f"half of those with a TTL had {duration(age.ttl.p50.value)} or more left")
    return f"{told} {', and '.join(parts)}."


def curve(shares: Sequence[float], seconds: Sequence[int] = (1, 5, 10, 30, 60)) -> tuple[tuple[int, float], ...]:
    """(seconds, share that was asked for again within them), of those for which it is known."""
    return tuple((one, shares[one - 1]) for one in seconds if len(shares) >= one)
