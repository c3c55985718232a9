"""How old the keys are that a server evicts now, from keys that were drawn at random from it. Pure.

A server draws maxmemory-samples keys for each key that it evicts, keeps the 16 best of all that it has drawn in a pool,
and evicts the best of these (evict.c, evictionPoolPopulate). So of all that it draws the first 1/maxmemory-samples in
the policy's order go, each as likely as the other; the pool's size of 16 makes less than two hundredths of the order's
range of difference to that (a test runs the algorithm and holds this to it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dashboard.cache.estimate import NOTHING, Z_95, Estimate, share_from_sample

LEAST = 20
"""Of fewer keys no quantiles are told: the interval of the tenth would be as wide as the figures."""
USUAL_SAMPLES = 5
"""maxmemory-samples where the server does not tell it."""
_SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Drawn:
    """One key as it was found. idle: seconds, None under LFU or where it is not told; frequency: LFU's counter, 0 to
    255, None under other policies; ttl: seconds left, None for a key without TTL."""

    idle: float | None = None
    frequency: int | None = None
    ttl: float | None = None


@dataclass(frozen=True)
class Quantiles:
    """p10, p50, p90: a tenth, half, and nine tenths are at or below it, each with its 95 % interval. of: how many keys
    they were told from."""

    p10: Estimate
    p50: Estimate
    p90: Estimate
    of: int


@dataclass(frozen=True)
class NodeAge:
    """What one primary evicts now, or would evict next.

    policy: maxmemory-policy; samples: maxmemory-samples, `samples_told` whether the server said so. drawn: keys drawn;
    fit: of these, keys that the policy may evict; first: of these, keys that stand where the evicted ones come from.
    idle: seconds; frequency: LFU's counter; ttl: seconds left of those that have a TTL, with_ttl: their share; each
    None where it is not told. calls: round trips; seconds: how long they took together, an upper bound of the time for
    which the server was held. problem: why there are no figures, or not all of them; "" where there are.
    """

    node: str
    policy: str = ""
    samples: int = USUAL_SAMPLES
    samples_told: bool = True
    keys: int = 0
    drawn: int = 0
    fit: int = 0
    first: int = 0
    idle: Quantiles | None = None
    frequency: Quantiles | None = None
    ttl: Quantiles | None = None
    with_ttl: Estimate = NOTHING
    calls: int = 0
    seconds: float = 0.0
    problem: str = ""

    @property
    def told(self) -> bool:
        return self.idle is not None or self.frequency is not None or self.ttl is not None


@dataclass(frozen=True)
class EvictionAge:
    """Of every primary, looked at at epoch second `at`."""

    at: float
    nodes: tuple[NodeAge, ...] = ()

    @property
    def youngest(self) -> NodeAge | None:
        """The primary whose evicted keys had been idle for the shortest time; None where no idle time is told."""
        told = [one for one in self.nodes if one.idle is not None]
        return min(told, key=lambda one: one.idle.p50.value if one.idle else math.inf, default=None)


def evicted_first(policy: str, drawn: Sequence[Drawn], samples: int) -> tuple[list[Drawn], list[Drawn]]:
    """(keys that the policy may evict, the next to go first; those of them that are as likely as evicted ones).

    Where the order is not told (an idle time that is denied) both are empty.
    """
    fit = [one for one in drawn if one.ttl is not None] if policy.startswith("volatile-") else list(drawn)
    if policy == "noeviction":
        return [], []
    if policy.endswith("-random"):
        return fit, fit
    order = [(_place(policy, one), one) for one in fit]
    sure = sorted(((place, one) for place, one in order if place is not None), key=lambda pair: pair[0])
    ranked = [one for _, one in sure]
    return ranked, ranked[: math.ceil(len(ranked) / max(samples, 1))]


def age_of(looked: NodeAge, drawn: Sequence[Drawn]) -> NodeAge:
    """With the figures that drawn keys tell; `looked` has the policy and its samples. None of fewer than LEAST keys."""
    fit, first = evicted_first(looked.policy, drawn, looked.samples)
    counted = replace(looked, drawn=len(drawn), fit=len(fit), first=len(first))
    if len(first) < LEAST:
        return counted
    told = {name: _told(name, looked.policy, fit, first) for name in ("idle", "frequency", "ttl")}
    with_ttl = share_from_sample(sum(one.ttl is not None for one in first), len(first))
    return replace(counted, idle=told["idle"], frequency=told["frequency"], ttl=told["ttl"], with_ttl=with_ttl)


def quantiles(found: Sequence[Drawn], name: str) -> Quantiles | None:
    """Of "idle", "frequency" or "ttl" of keys that are each as likely as the other; None of fewer than LEAST."""
    return _quantiles([_of(one, name) for one in found], name, 1.0)


def _told(name: str, policy: str, fit: Sequence[Drawn], first: Sequence[Drawn]) -> Quantiles | None:
    if name == _ordered_by(policy):
        return _quantiles([_of(one, name) for one in fit], name, len(first) / len(fit))
    return quantiles(first, name)


def _ordered_by(policy: str) -> str:
    """Which of a key's figures the policy goes by; "" for none."""
    ends = {"lru": "idle", "lrm": "idle", "lfu": "frequency", "ttl": "ttl"}
    return ends.get(policy.rpartition("-")[2], "")


def _place(policy: str, one: Drawn) -> float | None:
    """The lower, the sooner it goes."""
    name = _ordered_by(policy)
    value = _of(one, name) if name else None
    return None if value is None else -value if name == "idle" else value


def _of(one: Drawn, name: str) -> float | None:
    value = {"idle": one.idle, "frequency": one.frequency, "ttl": one.ttl}[name]
    return None if value is None else float(value)


def _quantiles(values: Sequence[float | None], name: str, part: float) -> Quantiles | None:
    """Of the first `part` of values (of all of them where it is 1), in the order in which they go.

    The intervals are those of order statistics (W. G. Cochran, Sampling Techniques, 1977, 11.10; Woodruff 1952): for
    the figure that the order goes by, of its place among all keys that were drawn, as the border of `part` is
    estimated too; for the others, of their place among the keys within it.
    """
    known = sorted(value for value in values if value is not None)
    if name == "idle":
        known.reverse()
    count = len(known)
    if count * part < LEAST:
        return None
    # Idle times fall from the first to go to the last, the others rise: p10 is to be the low end of the values.
    shares = [1 - share if name == "idle" else share for share in _SHARES]
    low, middle, high = (_at(known, share * part, count) for share in shares)
    return Quantiles(low, middle, high, round(count * part))


def _at(ranked: Sequence[float], share: float, count: int) -> Estimate:
    half = Z_95 * math.sqrt(share * (1 - share) / count)
    ends = sorted(_value(ranked, place) for place in (share - half, share + half))
    return Estimate(_value(ranked, share), ends[0], ends[1])


def _value(ranked: Sequence[float], share: float) -> float:
    return ranked[min(max(int(share * len(ranked)), 0), len(ranked) - 1)]
