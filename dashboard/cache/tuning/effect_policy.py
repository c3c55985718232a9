"""What a change of maxmemory-policy would do. Pure.

https://valkey.io/topics/lru-cache/. LRU and LFU keep what they know of a key in the same 24 bits of it: seconds of its
last use, or minutes of it in 16 bits and a counter in 8 (server.h, evict.c). What one has written the other misreads
until the key is used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dashboard.cache.findings.memory import SOON_SECONDS
from dashboard.cache.statistics.fullness import NEARLY_FULL
from dashboard.cache.statistics.growth import seconds_until
from dashboard.cache.tuning.evidence import Plan, Remark, Side, unexpiring
from dashboard.cache.tuning.policies import BY_NAME, policy_of
from dashboard.cache.wording import count, percent, span

NAME = "maxmemory-policy"


def evicts_no_more(plan: Plan) -> Iterator[Remark]:
    some = [one for one in _changed(plan.nodes) if not policy_of(one.gets(NAME)).evicts]
    limited = [one for one in some if one.number("maxmemory")]
    if not limited:
        return
    evicted = sum(one.span.recent.per_second("evicted_keys") for one in limited if one.span and one.span.recent)
    fullest = max(limited, key=_fill)
    there = plan.where(limited)
    if evicted > 0:
        yield Remark(
            "critical",
            f"{count(evicted)} keys/s are evicted now{there}: with noeviction writes would fail within seconds.",
            asks=True,
        )
        return
    if _fill(fullest) >= 1:
        yield Remark("critical", f"Memory is full{there}: with noeviction writes would fail at once.", asks=True)
        return
    times = [
        until for one in limited if one.span and (until := seconds_until(one.span, one.number("maxmemory"))) is not None
    ]
    if times:
        yield Remark(
            "critical" if min(times) < SOON_SECONDS else "warning",
            f"Writes would fail in about {span(min(times))}{there}, at the growth of the last minutes.",
            asks=min(times) < SOON_SECONDS,
        )
        return
    told = f"; {percent(_fill(fullest))} of it is used now" if fullest.used else ""
    near = _fill(fullest) >= NEARLY_FULL
    yield Remark("critical" if near else "warning", f"Writes would fail when memory is full{there}{told}.", asks=near)


def nothing_to_evict(plan: Plan) -> Iterator[Remark]:
    some = [one for one in _changed(plan.nodes) if policy_of(one.gets(NAME)).only_with_ttl]
    without = unexpiring(plan.seen)
    if not some or without is None or not without.share:
        return
    there = plan.where(some)
    if without.share == 1:
        yield Remark(
            "critical",
            f"No key has a TTL: {some[0].gets(NAME)} could evict nothing{there}, and writes fail when memory is full.",
            asks=True,
        )
        return
    limit = sum(one.number("maxmemory") for one in some)
    fills = bool(limit) and without.of == "memory" and without.amount >= NEARLY_FULL * limit
    then = ": that fills maxmemory, and writes would fail" if fills else ""
    yield Remark(
        "critical" if fills else "warning",
        f"{without.begins} no TTL and would never be evicted{there}{then}.",
        asks=fills,
    )


def no_more_spared(plan: Plan) -> Iterator[Remark]:
    """Keys without TTL that the present policy never touches, and the new one may evict."""
    some = [
        one
        for one in _changed(plan.nodes)
        if _evicts_all(one.gets(NAME)) and one.had(NAME) in BY_NAME and not _evicts_all(one.had(NAME))
    ]
    without = unexpiring(plan.seen)
    if not some or without is None or not without.share:
        return
    limited = any(one.number("maxmemory") for one in some)
    begin = "No key has" if without.share == 1 else f"{without.begins} no"
    when = "any may be evicted" if without.share == 1 else "may be evicted from now on"
    yield Remark(
        "warning",
        f"{begin} {'a ' if without.share == 1 else ''}TTL and {when}, which {some[0].had(NAME)} never does"
        f"{plan.where(some)}.",
        asks=limited,
    )


def begins_anew(plan: Plan) -> Iterator[Remark]:
    some = [one for one in _changed(plan.nodes) if _counts(one.had(NAME)) != _counts(one.gets(NAME))]
    to_lfu = [one for one in some if _counts(one.gets(NAME)) and one.had(NAME)]
    if to_lfu:
        yield Remark(
            "info",
            f"Counting begins anew{plan.where(to_lfu)}: until keys have been used again it is chance which of the "
            "present ones go, so give it some minutes before it is judged.",
        )
    from_lfu = [one for one in some if _counts(one.had(NAME))]
    if from_lfu:
        yield Remark(
            "info",
            f"What LFU has counted is lost{plan.where(from_lfu)}: until a key is used again its idle time is chance.",
        )


def without_limit(plan: Plan) -> Iterator[Remark]:
    some = [one for one in _changed(plan.nodes) if one.gets("maxmemory") == "0" and policy_of(one.gets(NAME)).evicts]
    if some:
        yield Remark(
            "warning", f"No maxmemory is set{plan.where(some)}: the policy changes nothing before there is one."
        )


def differing(plan: Plan) -> Iterator[Remark]:
    """Nodes that have different values now."""
    names = sorted({name for one in plan.nodes for name in one.planned.wanted})
    for name in names:
        had = sorted({one.had(name) for one in plan.nodes if name in one.planned.wanted})
        if len(had) > 1:
            yield Remark("info", f"The nodes have different values of {name} now: {', '.join(had)}.")


CHECKS = (evicts_no_more, nothing_to_evict, no_more_spared, begins_anew, without_limit, differing)


def _changed(nodes: Sequence[Side]) -> list[Side]:
    return [one for one in nodes if NAME in one.planned.wanted]


def _evicts_all(policy: str) -> bool:
    return policy.startswith("allkeys-")


def _counts(policy: str) -> bool:
    return policy.endswith("-lfu")


def _fill(one: Side) -> float:
    limit = one.number("maxmemory")
    return one.used / limit if limit else 0.0
