"""Cliffs are found where keys were made to expire together, at any share of the walk, and nowhere else."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable

import pytest

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.cliffs import Found, _against_chance, cliffs, smoothed_peak
from dashboard.cache.analysis.report import Cliff
from dashboard.cache.estimate import exactly

SAMPLES = (0.05, 0.2, 1.0)
MINUTE, HOUR, DAY = slots.MINUTE, slots.HOUR, slots.DAY


def counted(seconds: Iterable[float]) -> Counter[int]:
    """How many keys that expire so many seconds ahead are in each slot."""
    return Counter(slots.slot_of(left * 1000) for left in seconds)


def even(dice: random.Random, keys: int, low: float, high: float) -> list[float]:
    return [dice.uniform(low, high) for _ in range(keys)]


def together(dice: random.Random, keys: int, at: float, spread: float = 1.0) -> list[float]:
    return even(dice, keys, at, at + spread)


def sampled(dice: random.Random, seconds: list[float], share: float) -> list[float]:
    return dice.sample(seconds, round(len(seconds) * share))


def covers(found: Found, at: float) -> bool:
    return slots.start_of(found.slot) <= at < slots.start_of(found.slot + found.slots)


@pytest.mark.parametrize("share", SAMPLES)
@pytest.mark.parametrize("at", [6.0, 60.0, 1264.0, 3597.0, 3600.0, 7200.0, 50_000.0, 86_340.0, 200_000.0, 2_591_000.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_planted_cliff_is_found_in_every_region_and_at_every_share(seed: int, at: float, share: float) -> None:
    dice = random.Random(seed)
    keys = even(dice, 30_000, 0, max(2 * at, 900)) + together(dice, 3_000, at)
    found = cliffs(counted(sampled(dice, keys, share)))
    assert len(found) == 1
    assert covers(found[0], at)
    assert found[0].count == pytest.approx(3_000 * share, rel=0.2)


@pytest.mark.parametrize("at", [1000.0, 1000.5])
def test_a_cliff_says_when_it_begins_how_long_it_lasts_and_what_is_usual(at: float) -> None:
    dice = random.Random(3)
    [found] = cliffs(counted(even(dice, 36_000, 0, 3_600) + together(dice, 12_400, at, 1.0)))
    assert (found.slot, found.slots, found.seconds) == ((1000, 1, 1) if at == 1000 else (1000, 2, 2))
    assert found.usual_per_second == pytest.approx(10, rel=0.2)


@pytest.mark.parametrize(("at", "seconds"), [(5_000.0, MINUTE), (100_000.0, HOUR)])
def test_far_ahead_a_cliff_lasts_as_long_as_a_slot(at: float, seconds: int) -> None:
    [found] = cliffs(counted(together(random.Random(1), 500, at)))
    assert found.seconds == seconds


def test_the_keys_of_a_bulk_load_that_took_half_a_minute_are_a_cliff() -> None:
    dice = random.Random(5)
    [found] = cliffs(counted(even(dice, 20_000, 0, 3_600) + together(dice, 300_000, 1_800, 22)))
    assert covers(found, 1_810)
    assert 22 <= found.seconds <= 30


@pytest.mark.parametrize("share", SAMPLES)
def test_two_cliffs_do_not_hide_each_other(share: float) -> None:
    dice = random.Random(8)
    keys = even(dice, 20_000, 0, 3_000) + together(dice, 3_000, 700) + together(dice, 3_000, 712)
    found = cliffs(counted(sampled(dice, keys, share)))
    assert [covers(one, at) for one, at in zip(found, (700, 712), strict=True)] == [True, True]


@pytest.mark.parametrize("shape", ["slots", "pairs"])
def test_counts_may_be_a_sequence_or_pairs(shape: str) -> None:
    dice = random.Random(2)
    counts = counted(even(dice, 3_000, 0, 900) + together(dice, 600, 300))
    given = [counts[slot] for slot in range(slots.COUNT)] if shape == "slots" else dict(counts)
    assert [found.slot for found in cliffs(given)] == [300]


class TestNoFalseAlarm:
    @pytest.mark.parametrize("seeds", [range(start, start + 40) for start in range(0, 400, 40)], ids=lambda r: r.start)
    def test_none_in_jittered_keys(self, seeds: range) -> None:
        """Each seed is another TTL, number of keys, jitter and sample; the namespaces of 400 analyses."""
        false: list[int] = []
        for seed in seeds:
            dice = random.Random(seed)
            ttl = dice.choice([120, 600, 1_800, 3_600, 7_200, 40_000, DAY, 10 * DAY])
            jitter = max(ttl * dice.uniform(0.15, 0.5), 20)
            if ttl > HOUR:  # slots are wide there: what lies within a few of them cannot be told from an instant
                jitter = max(jitter, 5 * (MINUTE if ttl < DAY else HOUR))
            keys = even(dice, dice.choice([30, 300, 3_000, 12_000]), max(ttl - jitter, 0), ttl + jitter)
            if cliffs(counted(sampled(dice, keys, dice.choice(SAMPLES)))):
                false.append(seed)
        assert false == []

    @pytest.mark.parametrize("ttl", [3, 30, 900, 3_000, 20_000, 3 * DAY])
    @pytest.mark.parametrize("share", SAMPLES)
    @pytest.mark.parametrize("seed", range(10))
    def test_none_where_steady_traffic_writes_with_one_ttl(self, seed: int, share: float, ttl: int) -> None:
        """A ramp: as many keys in each second up to the TTL, and none beyond."""
        dice = random.Random(seed)
        assert cliffs(counted(sampled(dice, even(dice, 30_000, 0, ttl), share))) == []

    @pytest.mark.parametrize("seed", range(20))
    def test_none_where_a_walk_of_some_seconds_missed_what_expired_meanwhile(self, seed: int) -> None:
        dice = random.Random(seed)
        seen = [left for left in even(dice, 20_000, 0, 60) if left > dice.uniform(0, 8)]
        assert cliffs(counted(seen)) == []

    @pytest.mark.parametrize("seed", range(20))
    def test_none_in_what_decays(self, seed: int) -> None:
        dice = random.Random(seed)
        assert cliffs(counted([dice.expovariate(1 / 300) for _ in range(20_000)])) == []

    @pytest.mark.parametrize("jitter", [5 * MINUTE, 10 * MINUTE])
    @pytest.mark.parametrize("at", [1_200, 7_200])
    @pytest.mark.parametrize("seed", range(10))
    def test_none_where_a_cliff_was_smoothed(self, seed: int, at: int, jitter: int) -> None:
        dice = random.Random(seed)
        assert cliffs(counted(even(dice, 6_000, 0, 2 * at) + together(dice, 3_000, at - jitter, 2 * jitter))) == []

    @pytest.mark.parametrize("seeds", [range(start, start + 25) for start in range(0, 100, 25)], ids=lambda r: r.start)
    def test_none_that_chance_explains_however_few_keys_are_asked_for(self, seeds: range) -> None:
        """Some keys within 5 s where none is near: among thousands of windows there are always some."""
        for seed in seeds:
            dice = random.Random(seed)
            lefts = even(dice, 400, 0, 3_600)
            assert cliffs(counted(lefts), least=3, share=0) == []

    def test_none_in_many_small_clumps(self) -> None:
        """A visitor's page writes some keys at once: lumps, but none that matters."""
        dice = random.Random(4)
        starts = even(dice, 3_000, 0, 3_500)
        assert cliffs(counted(start for start in starts for _ in range(20))) == []

    def test_none_in_what_comes_every_ten_seconds(self) -> None:
        assert cliffs(dict.fromkeys(range(5, 3600, 10), 1000)) == []


@pytest.mark.parametrize("counts", [{}, [], {0: 0}, [0] * slots.COUNT, {7: 1}, {7: 24}, [1, 1, 1]])
def test_nothing_and_next_to_nothing_have_no_cliff(counts: dict[int, int] | list[int]) -> None:
    assert cliffs(counts) == []


def test_keys_that_expire_right_now_are_none() -> None:
    assert cliffs({0: 5_000, 1: 3_000, 4: 2_000}) == []


def test_what_expires_later_than_can_be_told_is_none() -> None:
    assert cliffs({slots.LATER: 50_000}) == []


def test_all_keys_at_one_instant_are_a_cliff() -> None:
    assert [(found.slot, found.count) for found in cliffs({900: 40})] == [(900, 40)]


def test_a_small_part_of_a_large_namespace_is_none() -> None:
    dice = random.Random(6)
    keys = even(dice, 60_000, 0, 3_600)
    assert cliffs(counted(keys + together(dice, 200, 1_000))) == []
    assert [found.slot for found in cliffs(counted(keys + together(dice, 600, 1_000)))] == [1_000]


@pytest.mark.parametrize(("count", "width", "beside", "bins"), [(3, 1, 2, 60), (12, 2, 60, 60), (40, 5, 100, 17)])
def test_the_bound_for_chance_is_never_below_the_probability(count: int, width: int, beside: int, bins: int) -> None:
    """Against the binomial's tail itself, summed up."""
    number, share = count + beside, width / (width + bins)
    tail = sum(math.comb(number, k) * share**k * (1 - share) ** (number - k) for k in range(count, number + 1))
    bound = math.exp(-_against_chance(count, width, beside, bins))
    assert tail <= bound <= 30 * tail


def test_jitter_spreads_a_cliff_over_twice_its_width() -> None:
    cliff = Cliff("api:search:*", "api:search:*", 1_767_322_800.0, 2, exactly(12_400), 20.0)
    assert smoothed_peak(cliff, 300) == pytest.approx(12_400 / 600 + 20)
    assert smoothed_peak(cliff, 0) == pytest.approx(12_400 / 2 + 20)
