"""From a sample to a figure that says how sure it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

Z_95 = 1.959964  # the normal quantile of a two-sided 95 % interval


class Estimate(NamedTuple):
    """A figure with its 95 % interval. It is exact where the interval has no width."""

    value: float
    low: float
    high: float

    @property
    def exact(self) -> bool:
        return self.low == self.high

    @property
    def margin(self) -> float:
        """Half the interval, in the unit of the value."""
        return (self.high - self.low) / 2


NOTHING = Estimate(0.0, 0.0, 0.0)


def exactly(value: float) -> Estimate:
    return Estimate(float(value), float(value), float(value))


def count_from_sample(hits: float, sample: int, population: int, effect: float = 1.0) -> Estimate:
    """How many of `population` have a property that `hits` of `sample` have.

    Wilson's score interval (E. B. Wilson, JASA 22, 1927), which stays sensible for few or no hits,
    narrowed by the finite population correction. SCAN walks a hash table in the order of its hash, so
    the keys that it has shown so far are as good as a random sample; where they come in lumps,
    `effect` says how many times larger the variance is than that of a random sample (Kish's design
    effect, Survey Sampling, 1965), and the interval is that of a sample so many times smaller.
    """
    if sample <= 0 or population <= 0:
        return Estimate(0.0, 0.0, float(max(population, 0)))
    if sample >= population:
        return exactly(hits)
    # SCAN may give a bucket more than it was asked for, and keys are added while it walks.
    hits = min(hits, sample)
    share = hits / sample
    size = max(sample / max(effect, 1.0), 1.0)
    correction = (population - sample) / (population - 1)
    z_squared = Z_95**2 * correction
    centre = (share + z_squared / (2 * size)) / (1 + z_squared / size)
    half = math.sqrt(z_squared * (share * (1 - share) / size + z_squared / (4 * size**2)))
    half /= 1 + z_squared / size
    low = max(centre - half, hits / population)
    high = min(centre + half, 1 - (sample - hits) / population)
    return Estimate(share * population, low * population, high * population)


def total_from_sample(total: float, squares: float, sample: int, population: int, effect: float = 1.0) -> Estimate:
    """The sum of a quantity over `population`, of which `sample` members have the sum `total` and the sum of
    squares `squares` (members without it count as zero).

    The expansion estimator with its normal interval (W. G. Cochran, Sampling Techniques, 1977, 2.5); never below
    what was seen. A member much larger than all of the sample cannot be foreseen by it.
    """
    if sample <= 0 or population <= 0:
        return NOTHING if population <= 0 else Estimate(0.0, 0.0, math.inf)
    if sample >= population:
        return exactly(total)
    scale = population / sample
    variance = max(squares - total * total / sample, 0.0) / max(sample - 1, 1)
    half = Z_95 * population * math.sqrt((1 - sample / population) * variance / sample * max(effect, 1.0))
    return Estimate(total * scale, max(total * scale - half, total), total * scale + half)


def sum_of(parts: Iterable[Estimate]) -> Estimate:
    """The sum of independent estimates, such as those of a cluster's primaries.

    The interval is recovered from theirs (MOVER: G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008).
    """
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    value = sum(part.value for part in parts)
    below = math.sqrt(sum((part.value - part.low) ** 2 for part in parts))
    above = math.sqrt(sum((part.high - part.value) ** 2 for part in parts))
    return Estimate(value, value - below, value + above)
