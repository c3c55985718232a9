"""An estimate says how sure it is, is exact only when it has seen all, and never leaves what is possible."""

from __future__ import annotations

import random

import pytest

from dashboard.cache.estimate import count_from_sample


def test_a_whole_population_gives_an_exact_count() -> None:
    found = count_from_sample(308, 1000, 1000)
    assert (found.value, found.low, found.high, found.margin) == (308, 308, 308, 0)
    assert found.exact


def test_nothing_examined_means_anything_is_possible() -> None:
    found = count_from_sample(0, 0, 500)
    assert (found.low, found.high) == (0, 500)
    assert not found.exact


def test_an_empty_keyspace_is_exact() -> None:
    found = count_from_sample(0, 0, 0)
    assert found.exact
    assert found.value == found.low == found.high == 0


@pytest.mark.parametrize("sample", [1, 2, 10, 999, 9_999])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_interval_stays_within_what_the_sample_allows(sample: int, share: float) -> None:
    hits, population = round(sample * share), 10_000
    found = count_from_sample(hits, sample, population)
    assert hits <= found.low + 1e-6
    assert found.low <= found.value + 1e-6
    assert found.value <= found.high + 1e-6
    assert found.high <= population - (sample - hits) + 1e-6


def test_no_hit_in_a_sample_does_not_mean_none() -> None:
    found = count_from_sample(0, 1000, 1_000_000)
    assert found.low == 0
    # Wilson's upper bound for no hit is z^2 / (n + z^2).
    assert found.high == pytest.approx(1_000_000 * 3.8415 / (1000 + 3.8415), rel=0.01)


def test_a_larger_sample_is_surer() -> None:
    margins = [count_from_sample(size // 4, size, 1_000_000).margin for size in (100, 1000, 10_000, 999_999)]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] < 2


def test_a_scan_that_gave_more_keys_than_it_counted_is_no_crash() -> None:
    """SCAN may give a bucket more than COUNT, and keys may be added meanwhile."""
    found = count_from_sample(103, 100, 10_000)
    assert 0 <= found.low <= found.value <= found.high <= 10_000


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    dice, population, truth = random.Random(7), 5_000, 1_200
    held = 0
    for _ in range(1000):
        hits = sum(member < truth for member in dice.sample(range(population), 400))
        found = count_from_sample(hits, 400, population)
        held += found.low <= truth <= found.high
    assert 920 <= held <= 980
