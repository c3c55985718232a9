"""How full one primary is: of its maxmemory, and of the machine or container that it runs in. Pure."""

from __future__ import annotations

from dashboard.cache.statistics.picture import Span
from dashboard.cache.wording import percent, size

FULL = 0.95
"""Eviction keeps memory a little below the limit, so "full" begins before 100 %."""
NEARLY_FULL = 0.9
"""Without eviction the way from here to failing writes is short on any busy cache."""


def fill(one: Span) -> float:
    """Share of maxmemory in use; 0 without a limit."""
    return one.latest.fill or 0.0


def of_limit(one: Span) -> str:
    """'61 MB of 64 MB, 95 %'."""
    limit = one.latest.get("maxmemory")
    if not limit:
        return f"{size(one.latest.get('used_memory'))}, no limit"
    return f"{size(one.latest.counted_memory)} of {size(limit)}, {percent(fill(one))}"


def room(one: Span) -> float:
    """Bytes of the container (or what an operator has said), else of the machine; 0 where neither is known."""
    return one.latest.get("memory_limit") or one.latest.get("total_system_memory")


def room_of(one: Span) -> str:
    """Whose bytes these are: 'container' or 'machine'."""
    return "container" if one.latest.get("memory_limit") else "machine"


def resident_share(one: Span) -> float:
    """Share of its room that the process holds; 0 where that is not known."""
    return one.latest.get("used_memory_rss") / room(one) if room(one) else 0.0
