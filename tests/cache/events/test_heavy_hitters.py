"""The most frequent names are found and never counted too low, whatever comes between them."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from dashboard.cache.events.heavy_hitters import Heavy


def test_few_names_are_counted_exactly() -> None:
    heavy = Heavy[str](10)
    for name in "abracadabra":
        heavy.add(name)
    assert [(one.name, one.count, one.exact) for one in heavy.top(2)] == [("a", 5, True), ("b", 2, True)]
    assert heavy.total == 11


@pytest.mark.parametrize("seed", range(3))
def test_what_is_frequent_is_among_them_and_bounded_from_both_sides(seed: int) -> None:
    draw = random.Random(seed)
    names = [draw.randrange(20) if draw.random() < 0.5 else draw.randrange(100_000) for _ in range(20_000)]
    true, heavy = Counter(names), Heavy[int](200)
    for name in names:
        heavy.add(name)
    found = {one.name: one for one in heavy.top(200)}
    assert len(heavy) == 200
    assert {name for name, count in true.items() if count > len(names) / 200} <= found.keys()
    for name, one in found.items():
        assert one.count - one.error <= true[name] <= one.count


def test_it_says_who_lost_its_counter() -> None:
    heavy = Heavy[str](2)
    assert [heavy.add(name) for name in "aab"] == [None, None, None]
    assert heavy.add("c") == "b"
    assert [(one.name, one.count, one.error) for one in heavy.top(2)] == [("a", 2, 0), ("c", 2, 1)]
