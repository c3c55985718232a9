"""How memory presses on a cache now, for the Eviction screen: from the worker's samples only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.cache.statistics.growth import seconds_until
from dashboard.cache.statistics.picture import Picture, Span, window
from dashboard.cache.statistics.rates import Rates
from dashboard.cache.wording import count, size


@dataclass(frozen=True)
class NodePressure:
    """One primary, or all together. limit: bytes, None for no limit; fill: share of it in use; full_in: seconds at the
    growth of the last minutes, None where it does not grow (or is full). Rates are per second, None where unknown."""

    name: str
    policy: str
    used: float
    limit: float | None
    fill: float | None
    evictions: float | None
    expirations: float | None
    misses: float | None
    hit_ratio: float | None
    full_in: float | None
    keys: float
    keys_with_ttl: float


@dataclass(frozen=True)
class Pressure:
    """What the screen's head shows. nodes: one for each primary that answers; empty where there is one only."""

    answer: str
    whole: NodePressure | None
    nodes: tuple[NodePressure, ...]
    lately: str
    seen: Picture


def pressure(seen: Picture) -> Pressure:
    nodes = tuple(_of_span(one) for one in seen.fresh)
    whole = _whole(seen, nodes)
    lately = window(seen.recent) if seen.recent else ""
    return Pressure(_answer(whole), whole, nodes if len(nodes) > 1 else (), lately, seen)


def _of_span(one: Span) -> NodePressure:
    limit = one.latest.get("maxmemory") or None
    return NodePressure(
        one.name,
        one.policy,
        one.latest.counted_memory,
        limit,
        one.latest.fill,
        *_rates(one.recent),
        seconds_until(one, limit or 0.0),
        one.latest.get("keys"),
        one.latest.get("keys_with_ttl"),
    )


def _whole(seen: Picture, nodes: Sequence[NodePressure]) -> NodePressure | None:
    if seen.whole is None or not nodes:
        return None
    limits = [one.limit for one in nodes]
    limit = sum(one for one in limits if one) if all(limits) else None
    used = sum(one.used for one in nodes)
    policies = {one.policy for one in nodes}
    times = [one.full_in for one in nodes if one.full_in is not None]
    return NodePressure(
        "",
        next(iter(policies)) if len(policies) == 1 else "different policies",
        used,
        limit,
        used / limit if limit else None,
        *_rates(seen.recent),
        min(times, default=None),
        seen.whole.get("keys"),
        seen.whole.get("keys_with_ttl"),
    )


def _rates(lately: Rates | None) -> tuple[float | None, float | None, float | None, float | None]:
    if lately is None:
        return None, None, None, None
    names = ("evicted_keys", "expired_keys", "keyspace_misses")
    evictions, expirations, misses = (lately.per_second(name) for name in names)
    return evictions, expirations, misses, lately.hit_ratio


def _answer(whole: NodePressure | None) -> str:
    """`allkeys-lru · 64 MB of 64 MB · evicting 1.2 k/s`"""
    if whole is None:
        return "No samples yet."
    limit = f"{size(whole.used)} of {size(whole.limit)}" if whole.limit else f"{size(whole.used)}, no limit"
    parts = [whole.policy or "policy not told", limit]
    if whole.evictions is not None:
        parts.append(f"evicting {count(whole.evictions)}/s" if whole.evictions else "nothing is evicted")
    return " · ".join(parts)
