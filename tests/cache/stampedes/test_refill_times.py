"""Quantiles of refill times, and how little they take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.cache.stampedes.refill_times import MOST, SMALLEST, RefillTimes


def test_nothing_is_known_of_none() -> None:
    assert RefillTimes().quantile(0.5) is None


@given(st.lists(st.floats(min_value=SMALLEST, max_value=3600), min_size=1, max_size=300), st.floats(0.01, 1))
def test_quantiles_are_right_to_within_four_per_cent(times: list[float], share: float) -> None:
    found = RefillTimes()
    for one in times:
        found.add(one)
    ordered = sorted(times)
    place = next(index for index in range(len(ordered)) if index + 1 >= share * len(ordered))
    assert found.quantile(share) == pytest.approx(ordered[place], rel=0.045)


@given(st.lists(st.floats(min_value=0, max_value=1e9), max_size=300))
def test_it_takes_a_bounded_number_of_counters(times: list[float]) -> None:
    found = RefillTimes()
    for one in times:
        found.add(one)
    assert found.number == len(times)
    assert all(0 <= bucket <= MOST for bucket in found._buckets)
