"""TTLs by class, with and without jitter."""

from __future__ import annotations

import random

import pytest

from dashboard.demo.ttl import JITTER, TTL_SECONDS, Lifetimes


def test_each_class_has_its_own_ttl() -> None:
    lifetimes = Lifetimes()
    assert lifetimes.of("profile") == 3600
    assert lifetimes.of("search") == 300
    assert lifetimes.of("price") == 30


@pytest.mark.parametrize("ttl_class", TTL_SECONDS)
def test_without_jitter_keys_of_a_class_live_equally_long(ttl_class: str) -> None:
    assert {Lifetimes().of(ttl_class) for _ in range(50)} == {TTL_SECONDS[ttl_class]}


@pytest.mark.parametrize("ttl_class", TTL_SECONDS)
def test_jitter_spreads_them_evenly_by_its_share(ttl_class: str) -> None:
    lifetimes = Lifetimes(JITTER, random.Random(5).uniform)
    drawn = [lifetimes.of(ttl_class) / TTL_SECONDS[ttl_class] for _ in range(4000)]
    assert all(0.9 <= share <= 1.1 for share in drawn)
    # A uniform draw of this width has its quarters at 0.95, 1.00 and 1.05.
    for bound, expected in ((0.95, 0.25), (1.0, 0.5), (1.05, 0.75)):
        assert sum(share < bound for share in drawn) / len(drawn) == pytest.approx(expected, abs=0.04)
