"""From a sample to a figure that says how sure it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

Z_95 = 1.959964  # the normal quantile of a two-sided 95 % interval
PRIOR = 4.0  # of how many hits it is taken for granted that their sizes differ as usual


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


def student(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's distribution (a series in 1/freedom; from 3 on right to within 3 %)."""
    z, n = Z_95, max(freedom, 1)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3


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


def share_from_sample(hits: float, sample: float) -> Estimate:
    """The share, 0 to 1, of a population without end that has a property which `hits` of `sample` have (Wilson)."""
    if sample <= 0:
        return Estimate(0.0, 0.0, 1.0)
    z_squared = Z_95**2
    share = min(hits / sample, 1.0)
    centre = (share + z_squared / (2 * sample)) / (1 + z_squared / sample)
    half = math.sqrt(z_squared * (share * (1 - share) / sample + z_squared / (4 * sample**2)))
    half /= 1 + z_squared / sample
    # At the ends rounding would leave the share a hair outside.
    return Estimate(share, max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0))


class Usual(NamedTuple):
    """What the members of a whole sample are like: their mean, and their variance as a multiple of its square."""

    mean: float
    spread: float


NOT_SEEN = Usual(0.0, 0.0)


def bytes_from_sample(
    hits: float, total: float, squares: float, sample: int, population: int, usual: Usual, effect: float = 1.0
) -> Estimate:
    """The sum of a positive quantity over those of `population` that have a property, which `hits` of `sample` have.

    `total` and `squares` are the quantity's sums over the hits. The value is the expansion estimator's (W. G. Cochran,
    Sampling Techniques, 1977, 2.5). Its interval is put together of that of the count (count_from_sample) and a
    log-normal one of the mean, as of independent factors (MOVER), because the normal interval of a sum covers too
    little where hits are few and sizes skewed. How much sizes differ, a few hits do not tell: for PRIOR of them that is
    taken to be as `usual`. Never below what was seen, and finite also where nothing was.
    """
    if sample <= 0 or population <= 0:
        return Estimate(0.0, 0.0, max(population, 0) * usual.mean)
    if sample >= population:
        return exactly(total)
    count = count_from_sample(hits, sample, population, effect)
    mean = total / hits if hits else usual.mean
    if not mean:
        return exactly(0)
    known = max(squares / mean**2 - hits, 0.0)
    spread = (known + PRIOR * usual.spread) / max(hits - 1 + PRIOR, PRIOR)
    relative = spread / max(hits, 1.0) * (1 - sample / population) * max(effect, 1.0)
    factor = math.exp(Z_95 * math.sqrt(math.log1p(relative)))
    value = count.value * mean
    if not hits:
        return Estimate(0.0, 0.0, count.high * mean * factor)
    above = math.hypot(count.high - count.value, count.high * (factor - 1))
    below = math.hypot(count.value - count.low, count.value * (1 - 1 / factor))
    return Estimate(value, max(value - mean * below, total), value + mean * above)


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
