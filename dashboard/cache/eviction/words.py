"""What is known of evicted keys, as sentences. Pure."""

from __future__ import annotations

from dashboard.cache.estimate import Estimate
from dashboard.cache.eviction.figures import NodeAge, Quantiles
from dashboard.cache.eviction.regret_count import Regret
from dashboard.cache.wording import NARROW, count, duration, number_of, percent

GOES_BY = {
    "lru": "those that were not used for the longest time",
    "lrm": "those that were not written for the longest time",
    "lfu": "those that are used least often",
    "ttl": "those that expire next",
}


def basis(age: NodeAge) -> str:
    """From what the figures of one primary are estimated; "" where there are none."""
    if not age.told:
        return ""
    drawn = number_of(age.drawn, "key")
    kind = age.policy.rpartition("-")[2]
    fit = f", of which {number_of(age.fit, 'has', 'have')} a TTL" if age.policy.startswith("volatile-") else ""
    if kind == "random":
        return f"Estimated from {drawn} drawn at random{fit}, as {age.policy} draws those that it evicts."
    said = "" if age.samples_told else " (the usual number: the server does not tell its own)"
    first = GOES_BY.get(kind, "the first in its order")
    return (
        f"Estimated from {drawn} drawn at random{fit}, as the server draws them: of each {age.samples}{said} "
        f"one is evicted, so these figures are of the {number_of(age.first, 'key')} that would go first, {first}."
    )


def interval(estimate: Estimate, *, seconds: bool = True) -> str:
    """'95 %: 3 min 2 s to 4 min', for a title."""
    low, high = (duration(end) if seconds else f"{end:.0f}" for end in (estimate.low, estimate.high))
    return f"95{NARROW}%: {low} to {high}"


def spread(found: Quantiles, *, seconds: bool = True) -> str:
    """'80 % from 12 s to 9 min'."""
    low, high = (duration(end.value) if seconds else f"{end.value:.0f}" for end in (found.p10, found.p90))
    return f"80{NARROW}% from {low} to {high}"


def regretted(found: Regret, *, going_on: bool) -> str:
    """'31 % of the evicted keys were asked for again within 60 s (29 % to 33 %).' going_on: more may come."""
    if not found.followed or not found.within:
        what = "No eviction was followed" if found.evictions else "No key was evicted"
        return f"{what} yet." if going_on else f"{what} while it was measured."
    low, high = percent(found.share.low), percent(found.share.high)
    return (
        f"{_capital(percent(found.share.value))} of the evicted keys were asked for again within "
        f"{duration(found.within)} ({low} to {high})."
    )


def followed(found: Regret) -> str:
    """Of how many that is told."""
    told = f"{number_of(found.followed, 'eviction')} followed"
    if found.one_in > 1:
        told += f": one in {found.one_in} of {count(found.evictions)}, drawn at random, as there are many"
    if found.cut:
        told += f"; {count(found.cut)} of them not to the end"
    return f"{told}."


def verdict(share: Estimate) -> str:
    """What a regret means, and what to do: the thresholds are rules of thumb and stand in docs/eviction.md."""
    if share.low > MUCH:
        return "Eviction hits keys that are in use: raise maxmemory, or try another policy."
    if share.high < LITTLE:
        return "Eviction takes what nobody misses: the policy suits this cache, and more memory would gain little."
    return "Some of what is evicted is still in use: a trial of another policy shows whether less would be."


LITTLE, MUCH = 0.05, 0.25


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
