"""From a sample to a figure that says how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959964  # the normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class Estimate:
    """A count with its 95 % interval. `exact` when the sample was the whole population."""

    value: float
    low: float
    high: float
    sample: int
    population: int

    @property
    def exact(self) -> bool:
        return self.sample >= self.population

    @property
    def margin(self) -> float:
        """Half the interval, in the unit of the value."""
        return (self.high - self.low) / 2


def count_from_sample(hits: int, sample: int, population: int) -> Estimate:
    """How many of `population` have a property that `hits` of `sample` have.

    Wilson's score interval (E. B. Wilson, JASA 22, 1927), which stays sensible for few or no hits,
    narrowed by the finite population correction. SCAN walks a hash table in the order of its hash, so
    the keys that it has shown so far are as good as a random sample, and the walk goes through all
    primaries of a cluster alike.
    """
    if sample <= 0 or population <= 0:
        return Estimate(0.0, 0.0, float(max(population, 0)), 0, max(population, 0))
    if sample >= population:
        return Estimate(float(hits), float(hits), float(hits), sample, sample)
    # SCAN may give a bucket more than it was asked for, and keys are added while it walks.
    hits = min(hits, sample)
    share = hits / sample
    correction = (population - sample) / (population - 1)
    z_squared = Z_95**2 * correction
    centre = (share + z_squared / (2 * sample)) / (1 + z_squared / sample)
    half = math.sqrt(z_squared * (share * (1 - share) / sample + z_squared / (4 * sample**2)))
    half /= 1 + z_squared / sample
    low = max(centre - half, hits / population)
    high = min(centre + half, 1 - (sample - hits) / population)
    return Estimate(share * population, low * population, high * population, sample, population)
