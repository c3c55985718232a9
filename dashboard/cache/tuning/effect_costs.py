"""What a change of the other settings would cost, or why it does nothing. Pure.

Times and shares: evict.c (evictionTimeLimitUs), expire.c (ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC) of Valkey 9.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.tuning.evidence import Plan, Remark, Side
from dashboard.cache.wording import count, number_of, percent, span

MANY_SAMPLES = 10
"""redis.conf: "10 approximates very closely true LRU but costs more CPU"."""
EVENTS = (("eA", "evicted_keys"), ("m", "keyspace_misses"), ("xA", "expired_keys"))
"""Flags, and what is counted of what each lets the server publish."""
LONG_SECONDS = 0.1
"""A round of eviction that holds commands up for longer is felt by everybody."""


def samples(plan: Plan) -> Iterator[Remark]:
    some = [
        one for one in plan.nodes if one.number("maxmemory-samples") > MANY_SAMPLES and _wants(one, "maxmemory-samples")
    ]
    if some:
        looked = max(one.number("maxmemory-samples") for one in some)
        rate = plan.seen.picture.recent.per_second("evicted_keys") if plan.seen.picture.recent else 0.0
        total = f", {count(rate * looked)} a second at the {count(rate)} evictions/s of now" if rate else ""
        yield Remark(
            "warning",
            f"{number_of(looked, 'key')} are looked at for each eviction{plan.where(some)}{total}; "
            f"{MANY_SAMPLES} come very near the true order already.",
        )


def tenacity(plan: Plan) -> Iterator[Remark]:
    name = "maxmemory-eviction-tenacity"
    some = [one for one in plan.nodes if _wants(one, name) and longest_round(one.number(name)) > LONG_SECONDS]
    if some:
        longest = max(longest_round(one.number(name)) for one in some)
        yield Remark(
            "warning",
            f"Commands may be held up {'without end' if longest == float('inf') else f'up to {span(longest)}'} while "
            f"keys are evicted{plan.where(some)}.",
            asks=True,
        )


def longest_round(tenacity: int) -> float:
    """Seconds that one round of eviction takes at most: 50 us a step up to 10, then 15 % more a step; 100: no end."""
    if tenacity >= 100:
        return float("inf")
    return 50e-6 * tenacity if tenacity <= 10 else 500e-6 * 1.15 ** (tenacity - 10)


def expire_effort(plan: Plan) -> Iterator[Remark]:
    name = "active-expire-effort"
    some = [one for one in plan.nodes if _wants(one, name) and one.number(name) > one.number(name, now=True) > 0]
    if some:
        effort = max(one.number(name) for one in some)
        stale = plan.seen.picture.whole.get("expired_stale_perc") / 100 if plan.seen.picture.whole else 0.0
        now = f"; {percent(stale)} of the keys with a TTL have expired and are still there now" if stale else ""
        yield Remark(
            "info",
            f"Looking for expired keys may take up to {25 + 2 * (effort - 1)} % of the main thread's time"
            f"{plan.where(some)}{now}.",
        )


def counting(plan: Plan) -> Iterator[Remark]:
    """lfu-* under a policy that counts nothing, or set to where the counter tells nothing any more."""
    names = ("lfu-log-factor", "lfu-decay-time")
    some = [one for one in plan.nodes if any(_wants(one, name) for name in names)]
    idle = [one for one in some if (policy := one.gets("maxmemory-policy")) and not policy.endswith("-lfu")]
    if idle:
        yield Remark("info", f"lfu-* settings do nothing under {idle[0].gets('maxmemory-policy')}{plan.where(idle)}.")
    forever = [one for one in some if one.planned.wanted.get("lfu-decay-time") == "0" and one not in idle]
    if forever:
        yield Remark(
            "warning", f"With lfu-decay-time 0 a key that was hot once stays so for ever{plan.where(forever)}."
        )


def events(plan: Plan) -> Iterator[Remark]:
    """Each event is published to whoever listens: what that comes to at the rates of now."""
    some = [one for one in plan.nodes if one.planned.wanted.get("notify-keyspace-events")]
    recent = plan.seen.picture.recent
    if not some:
        return
    flags = "".join(one.gets("notify-keyspace-events") for one in some)
    told = [
        (letters, counter)
        for letters, counter in (("eA", "evicted_keys"), ("m", "keyspace_misses"), ("xA", "expired_keys"))
    ]
    rate = sum(recent.per_second(counter) for letters, counter in told if set(letters) & set(flags)) if recent else 0.0
    amount = f", about {count(rate)} a second by the samples of now" if rate else ""
    yield Remark(
        "info", f"The server publishes an event whenever such a thing happens to a key{plan.where(some)}{amount}."
    )


def replicas_left_out(plan: Plan) -> Iterator[Remark]:
    """Replicas keep what they have: it counts once one of them has taken over."""
    names = [name for name in ("maxmemory", "maxmemory-policy") if any(_wants(one, name) for one in plan.nodes)]
    if not names or any(one.planned.is_replica for one in plan.nodes):
        return
    left = sum(one.span.latest.get("connected_slaves") for one in plan.nodes if one.span)
    if left:
        yield Remark(
            "info",
            f"{number_of(left, 'replica keeps', 'replicas keep')} what {'it has' if left == 1 else 'they have'}, "
            "and go by it once one has taken over; they can be changed along.",
        )


CHECKS = (samples, tenacity, expire_effort, counting, events, replicas_left_out)


def _wants(one: Side, name: str) -> bool:
    return name in one.planned.wanted
