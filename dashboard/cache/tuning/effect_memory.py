"""What a change of maxmemory would do, or of the memory of clients. Pure.

How fast a server evicts was measured with a million keys of 100 bytes to 10 kB, maxmemory halved, tenacity 10: 150 k to
330 k keys/s on Valkey 9.1 and Redis 7.0, idle or under load alike, since a server without commands evicts all the time
and one with commands up to half a millisecond before each (evict.c: performEvictions, evictionTimeLimitUs). Four
clients that read without pause were served 1.0 k to 1.1 k commands/s meanwhile, at a median of 3.5 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dashboard.cache.findings.memory import SOON_SECONDS
from dashboard.cache.statistics.growth import seconds_until
from dashboard.cache.tuning.evidence import Plan, Remark, Side, unexpiring
from dashboard.cache.tuning.policies import policy_of
from dashboard.cache.wording import count, percent, size, span

EVICTED_PER_SECOND = 250_000.0
"""Keys: the middle of what was measured. Large collections take longer, unless lazyfree-lazy-eviction is on."""
COMMANDS_MEANWHILE = 1000.0
"""Commands per second that are served while it evicts to a lower limit, with tenacity 10, as measured."""
LEAST_BYTES = 1024 * 1024
"""An empty server needs about as much (used_memory_startup), where it does not say how much."""
ROOM_SHARE = 0.8
"""Of a machine or container: the rest is for fragmentation, and for copies while a snapshot is written
(https://valkey.io/topics/memory-optimization/)."""


def no_limit(plan: Plan) -> Iterator[Remark]:
    some = [one for one in plan.nodes if one.planned.wanted.get("maxmemory") == "0"]
    if some:
        room = min((one.room for one in some if one.room), default=0)
        until = f"its {size(room)} are used up" if room else "the machine has no more"
        yield Remark(
            "warning",
            f"Without maxmemory nothing is evicted{plan.where(some)}: memory grows until {until}, and the kernel "
            "ends the server.",
            asks=True,
        )


def too_little(plan: Plan) -> Iterator[Remark]:
    """Less than the server itself needs: nothing can be kept at all."""
    some = [one for one in _limited(plan.nodes) if _senseless(one)]
    if some:
        least = max(_startup(one) for one in some)
        yield Remark(
            "critical",
            f"A maxmemory of {size(min(one.number('maxmemory') for one in some))} is less than an empty server needs "
            f"({size(least)}){plan.where(some)}: "
            + (
                "every write fails."
                if not _any_evicts(some)
                else "every key that may be evicted goes, and writes fail."
            ),
            asks=True,
        )


def below_use(plan: Plan) -> Iterator[Remark]:
    """How much would be evicted, at what rate, for how long; or that it cannot be, and writes fail."""
    lower = [one for one in _limited(plan.nodes) if _excess(one) > 0 and not _senseless(one)]
    fail = [one for one in lower if not policy_of(one.gets("maxmemory-policy")).evicts]
    if fail:
        excess = sum(_excess(one) for one in fail)
        yield Remark(
            "critical",
            f"{size(excess)} more than this are in use{plan.where(fail)}, and noeviction evicts nothing: "
            "writes fail at once.",
            asks=True,
        )
    evict = [one for one in lower if one not in fail]
    if evict:
        yield _evicted(evict, plan)
    blind = [
        one for one in _limited(plan.nodes) if not one.used and 0 < one.number("maxmemory") < (_had_limit(one) or 0)
    ]
    if blind:
        yield Remark(
            "warning",
            f"How much would be evicted cannot be told{plan.where(blind)}: there is no sample of what is used.",
            asks=True,
        )


def _evicted(some: Sequence[Side], plan: Plan) -> Remark:
    excess = sum(_excess(one) for one in some)
    without = unexpiring(plan.seen)
    bound = [one for one in some if policy_of(one.gets("maxmemory-policy")).only_with_ttl]
    there = plan.where(some)
    # Of the whole cache, not of each node: where all nodes are alike, which a hash of the key's name sees to.
    if bound and without is not None:
        short = sum(max(_excess(one) - _used_by_data(one) * (1 - without.share), 0.0) for one in bound)
        if short > 0:
            return Remark(
                "critical",
                f"{size(excess)} more than this are in use{there}, and what has a TTL is {size(short)} less than that: "
                "all of it would be evicted, and writes would fail.",
                asks=True,
            )
    # Primaries evict side by side: the one with most to evict is done last.
    longest = max(_keys_gone(one) for one in some)
    keys = sum(_keys_gone(one) for one in some if not one.planned.is_replica)
    if not keys:
        return Remark("warning", f"{size(excess)} would be evicted at once{there}.", asks=True)
    all_keys = sum(one.keys for one in some if not one.planned.is_replica)
    seconds = longest / EVICTED_PER_SECOND
    pace = f"at about {count(EVICTED_PER_SECOND)} keys/s"
    if len(some) > 1:
        pace += " on each"
    share = percent(min(keys / all_keys, 1.0))
    return Remark(
        "warning",
        f"{size(excess)} would be evicted at once{there}: about {count(keys)} keys ({share}), {pace} for "
        f"{_lasting(seconds)}, in which only about {count(COMMANDS_MEANWHILE)} commands/s are served.",
        asks=True,
    )


def _lasting(seconds: float) -> str:
    return "less than a second" if seconds < 1 else f"about {span(seconds)}"


def above_machine(plan: Plan) -> Iterator[Remark]:
    larger = [one for one in _limited(plan.nodes) if one.room]
    over = [one for one in larger if one.number("maxmemory") > one.room]
    if over:
        first = min(over, key=lambda one: one.room)
        yield Remark(
            "critical",
            f"{size(first.number('maxmemory'))} are more than the {_room(first)}{plan.where(over)}: "
            "the kernel would end the server before anything is evicted.",
            asks=True,
        )
    tight = [one for one in larger if one not in over and one.number("maxmemory") > ROOM_SHARE * one.room]
    if tight:
        first = max(tight, key=lambda one: one.number("maxmemory") / one.room)
        share = percent(first.number("maxmemory") / first.room)
        yield Remark(
            "warning",
            f"maxmemory would be {share} of the {_room(first)}{plan.where(tight)}: that leaves little "
            "for fragmentation, and for copies while a snapshot is written.",
        )


def more_room(plan: Plan) -> Iterator[Remark]:
    """What a higher limit gives, where memory is full or will be soon."""
    some = [
        one
        for one in _limited(plan.nodes)
        if one.span and _had_limit(one) and one.number("maxmemory") > _had_limit(one)
    ]
    if not some:
        return
    more = sum(one.number("maxmemory") - _had_limit(one) for one in some)
    per_key = [one for one in some if one.keys and _used_by_data(one)]
    keys = sum((one.number("maxmemory") - _had_limit(one)) * one.keys / _used_by_data(one) for one in per_key)
    times = [
        until for one in some if one.span and (until := seconds_until(one.span, one.number("maxmemory"))) is not None
    ]
    sentence = f"{size(more)} more{plan.where(some)}"
    if keys:
        sentence += f": room for about {count(keys)} keys more of the present size"
    if times:
        sentence += f", full in about {span(min(times))} at the growth of the last minutes"
    yield Remark("warning" if times and min(times) < SOON_SECONDS else "info", sentence + ".")


def clients(plan: Plan) -> Iterator[Remark]:
    """maxmemory-clients (https://valkey.io/topics/clients/): above it clients are disconnected, the largest first."""
    some = [one for one in plan.nodes if "maxmemory-clients" in one.planned.wanted]
    idle = [one for one in some if one.gets("maxmemory-clients").endswith("%") and not one.number("maxmemory")]
    if idle:
        yield Remark(
            "warning", f"A percentage of maxmemory limits nothing{plan.where(idle)}: no maxmemory is set there."
        )
    low = [one for one in some if one.span and 0 < _clients_limit(one) < one.span.latest.get("mem_clients_normal")]
    if low:
        used = max(one.span.latest.get("mem_clients_normal") for one in low if one.span)
        yield Remark(
            "critical",
            f"Clients use {size(used)} now, more than the {size(min(_clients_limit(one) for one in low))} that they "
            f"would have{plan.where(low)}: those with the largest buffers are disconnected at once.",
            asks=True,
        )


CHECKS = (no_limit, too_little, below_use, above_machine, more_room, clients)


def _limited(nodes: Sequence[Side]) -> list[Side]:
    """Nodes that would have another limit than now."""
    return [one for one in nodes if "maxmemory" in one.planned.wanted and one.number("maxmemory")]


def _had_limit(one: Side) -> int:
    return one.number("maxmemory", now=True)


def _excess(one: Side) -> float:
    return max(one.used - one.number("maxmemory"), 0.0) if one.used else 0.0


def _startup(one: Side) -> float:
    return (one.span.latest.get("used_memory_startup") if one.span else 0.0) or LEAST_BYTES


def _senseless(one: Side) -> bool:
    return one.number("maxmemory") < _startup(one)


def _any_evicts(some: Sequence[Side]) -> bool:
    return any(policy_of(one.gets("maxmemory-policy")).evicts for one in some)


def _used_by_data(one: Side) -> float:
    """Bytes that go when keys go: without what the server needs for itself and for clients."""
    if one.span is None:
        return one.used
    return one.span.latest.get("used_memory_dataset") or max(one.used - _startup(one), 0.0)


def _keys_gone(one: Side) -> float:
    data = _used_by_data(one)
    return min(_excess(one) / data, 1.0) * one.keys if data else 0.0


def _room(one: Side) -> str:
    return f"{size(one.room)} of its {'container' if one.in_container else 'machine'}"


def _clients_limit(one: Side) -> float:
    text = one.gets("maxmemory-clients")
    if text.endswith("%"):
        share = text[:-1]
        return one.number("maxmemory") * int(share) / 100 if share.isdecimal() else 0.0
    return one.number("maxmemory-clients")
