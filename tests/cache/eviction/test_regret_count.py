"""Counting which evicted keys are asked for again: the share, its interval, bounded memory, and what is lost."""

from __future__ import annotations

import math
import tracemalloc
from random import Random

import pytest

from dashboard.cache.eviction.regret_count import RegretCount


def counted_by_hand(count: RegretCount, asked_after: list[float | None], gap: float = 0.01) -> float:
    """Evictions `gap` seconds apart, each asked for after so long, or never; the time of the last event."""
    events = []
    for number, after in enumerate(asked_after):
        key, at = b"user:%d" % number, number * gap
        events.append((at, 0, key))
        if after is not None:
            events.append((at + after, 1, key))
    for at, kind, key in sorted(events):
        count.until(at)
        (count.missed if kind else count.evicted)(key, at)
    return max(at for at, _, _ in events)


def planted(share: float, evictions: int, seed: int = 7) -> list[float | None]:
    """So many are asked for within the minute, and a fifth of the others after it."""
    chance = Random(seed)
    return [
        chance.uniform(0.1, 59.0)
        if chance.random() < share
        else chance.uniform(61, 90)
        if chance.random() < 0.2
        else None
        for _ in range(evictions)
    ]


def test_keys_that_are_asked_for_within_the_minute_count_and_later_ones_do_not() -> None:
    count = RegretCount()
    last = counted_by_hand(count, [1.0, 59.9, 60.1, None])
    told = count.counted(last + 60)
    assert (told.evictions, told.followed, told.asked, told.cut) == (4, 4, 2, 0)
    assert (told.share.value, told.within) == (0.5, 60.0)


def test_a_key_that_is_asked_for_twice_counts_once() -> None:
    count = RegretCount()
    count.evicted(b"a", 0.0)
    count.missed(b"a", 1.0)
    count.missed(b"a", 2.0)
    assert (count.counted(61.0).asked, count.counted(61.0).share.value) == (1, 1.0)


def test_keys_that_were_not_evicted_do_not_count() -> None:
    count = RegretCount()
    count.evicted(b"a", 0.0)
    count.missed(b"b", 1.0)
    count.until(61.0)
    assert count.counted(61.0).share.value == 0.0


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.9, 1.0])
def test_a_planted_share_is_found_with_its_interval(share: float) -> None:
    count, asked = RegretCount(), planted(share, 4000)
    last = counted_by_hand(count, asked)
    told, truth = count.counted(last + 61), sum(one is not None and one < 60 for one in asked) / 4000
    assert told.share.value == pytest.approx(truth, abs=1e-9)
    assert told.share.low <= share <= told.share.high
    assert told.share.high - told.share.low < 0.035
    assert told.within == 60.0


def test_where_there_are_too_many_a_random_part_is_followed_and_says_the_same() -> None:
    count, asked = RegretCount(most=200, chance=Random(3).random), planted(0.3, 20_000)
    last = counted_by_hand(count, asked)
    told = count.counted(last + 61)
    assert told.one_in >= 16
    assert told.evictions == 20_000
    assert told.followed < 4000
    assert told.share.value == pytest.approx(0.3, rel=0.1)
    assert told.share.low <= 0.3 <= told.share.high


def test_the_interval_of_a_part_holds_what_it_promises() -> None:
    """Of a hundred measurements about five may miss the truth."""
    missed = 0
    for seed in range(100):
        count = RegretCount(most=100, chance=Random(seed).random)
        last = counted_by_hand(count, planted(0.3, 3000, seed), gap=0.05)
        told = count.counted(last + 61)
        missed += not told.share.low <= 0.3 <= told.share.high
    assert missed <= 12


def test_what_is_lost_makes_the_interval_wider_and_the_share_no_other() -> None:
    asked = planted(0.3, 6000)
    whole, broken = RegretCount(), RegretCount()
    events = []
    for number, after in enumerate(asked):
        key, at = b"user:%d" % number, number * 0.02
        events.append((at, 0, key))
        if after is not None:
            events.append((at + after, 1, key))
    for at, kind, key in sorted(events):
        (whole.missed if kind else whole.evicted)(key, at)
        if 50 <= at < 51:  # nothing is heard for a second
            broken.lost(at)
            continue
        (broken.missed if kind else broken.evicted)(key, at)
    sure, less = whole.counted(200), broken.counted(200)
    assert less.cut > 1000
    assert less.share.value == pytest.approx(sure.share.value, rel=0.07)
    assert less.share.high - less.share.low > sure.share.high - sure.share.low


def test_only_the_primary_that_was_lost_is_cut() -> None:
    count = RegretCount()
    count.evicted(b"a", 0.0, "one")
    count.evicted(b"b", 0.0, "two")
    count.lost(1.0, "one")
    count.missed(b"a", 2.0)
    count.missed(b"b", 2.0)
    told = count.counted(70.0)
    assert (told.asked, told.cut) == (1, 1)


def test_while_nobody_was_followed_for_a_minute_it_says_for_how_long() -> None:
    count = RegretCount()
    for number in range(100):
        count.evicted(b"%d" % number, 0.0)
    for number in range(30):
        count.missed(b"%d" % number, 5.0)
    told = count.counted(10.5)
    assert told.within <= 12
    assert told.share.value == pytest.approx(0.3, abs=0.02)


def test_before_anything_is_evicted_nothing_is_known() -> None:
    told = RegretCount().counted(10.0)
    assert (told.evictions, told.within) == (0, 0.0)
    assert (told.share.low, told.share.high) == (0.0, 1.0)
    assert not math.isnan(told.share.value)


def test_its_memory_is_bounded_however_many_and_however_long_the_names() -> None:
    tracemalloc.start()
    count = RegretCount(most=5000)
    for number in range(40_000):
        count.evicted(b"%d" % number + b"x" * 10_000, number * 1e-4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count.waiting <= 5000
    assert peak < 5000 * 1000


def test_a_key_that_is_evicted_again_is_followed_again() -> None:
    count = RegretCount()
    count.evicted(b"a", 0.0)
    count.missed(b"a", 1.0)
    count.evicted(b"a", 2.0)
    told = count.counted(70.0)
    assert (told.evictions, told.asked) == (2, 1)
