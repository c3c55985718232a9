"""Sizes in eight buckets an octave, so that percentiles of millions of sizes take a few hundred counters. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

_TABLED = 1 << 16


def bucket_of(size: int) -> int:
    """The bucket of a size in bytes; buckets are an eighth of an octave wide, which is 6 to 12 % of the size."""
    return TABLE[size] if 0 <= size < _TABLED else _bucket(size)


def _bucket(size: int) -> int:
    fraction, exponent = math.frexp(size)
    return exponent * 8 + int(fraction * 16) - 8


def middle_of(bucket: int) -> float:
    """The middle of a bucket's sizes: at most 6 % from any of them."""
    exponent, eighth = divmod(bucket, 8)
    low, high = math.ldexp((eighth + 8) / 16, exponent), math.ldexp((eighth + 9) / 16, exponent)
    return (low + high) / 2


def percentile(counts: Mapping[int, int], share: float) -> float:
    """The size which `share` of the counted ones do not exceed, to within 6 %; 0 of nothing."""
    wanted, seen = share * sum(counts.values()), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            return middle_of(bucket)
    return 0.0


TABLE = [0, *(_bucket(size) for size in range(1, _TABLED))]
"""bucket_of() of the smaller sizes."""
