"""A forecast counts from now: what has passed is gone, what is still to come is all there, in each of its series."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.forecast import Forecast, forecast
from dashboard.cache.analysis.report import Expiry, Report

ORIGIN = 1_767_322_800.25
HOUR, DAY = slots.HOUR, slots.DAY


def report(lefts: Iterable[float], sample: int = 1, population: int = 1, size: float = 100.0) -> Report:
    """Of keys that expire so many seconds after the origin, all examined unless it is said otherwise."""
    counts = Counter(slots.slot_of(left * 1000) for left in lefts)
    scale = population / sample
    keys = tuple((slot, counts[slot] * scale) for slot in sorted(counts))
    memory = tuple((slot, count * size) for slot, count in keys)
    return Report(ORIGIN, sample, population, expiry=Expiry(ORIGIN, keys, memory))


def values(ahead: Forecast, unit: str) -> list[float]:
    series = next(one for one in ahead.series if one.unit == unit)
    return [one.keys.value for one in series.bins]


def test_it_has_a_minute_of_seconds_an_hour_of_minutes_and_a_day_of_hours() -> None:
    ahead = forecast(report([]), ORIGIN)
    shapes = [(one.unit, one.seconds, len(one.bins)) for one in ahead.series]
    assert shapes == [("second", 1, 60), ("minute", 60, 60), ("hour", 3600, 24)]
    assert [one.total.value for one in ahead.series] == [0, 0, 0]


def test_fresh_slots_of_seconds_fall_into_bins_whole() -> None:
    ahead = forecast(report([0.5, 5.2, 5.9, 59.9, 60.0, 3_599.0, 3_600.0]), ORIGIN)
    assert values(ahead, "second") == [1, 0, 0, 0, 0, 2, *[0] * 53, 1]
    assert values(ahead, "minute") == [4, 1, *[0] * 57, 1]
    assert values(ahead, "hour") == [6, 1, *[0] * 22]


def test_bins_begin_where_the_second_of_now_began() -> None:
    ahead = forecast(report([100.5]), ORIGIN + 100.9)
    assert ahead.now == ORIGIN + 100
    assert [one.at for one in ahead.minute.bins[:2]] == [ORIGIN + 100, ORIGIN + 101]
    assert values(ahead, "second")[0] == 1


def test_what_has_passed_is_gone() -> None:
    ahead = forecast(report([10.0, 99.0, 100.0, 130.0]), ORIGIN + 100)
    assert values(ahead, "second")[0] == 1
    assert values(ahead, "second")[30] == 1
    assert [one.total.value for one in ahead.series] == [2, 2, 2]


def test_a_slot_across_two_bins_is_shared_out_by_how_much_of_it_lies_in_each() -> None:
    keys = report([7_200.0] * 60)  # the minute from 7200 s on
    late = forecast(keys, ORIGIN + 7_185)
    assert values(late, "minute")[:3] == [45, 15, 0]
    assert values(forecast(keys, ORIGIN + 7_215), "minute")[:2] == [45, 0]


def test_a_slot_of_an_hour_is_shared_out_over_its_minutes() -> None:
    ahead = forecast(report([2 * DAY + 10.0] * 3_600), ORIGIN + 2 * DAY)
    assert values(ahead, "minute") == pytest.approx([60.0] * 60)
    assert values(ahead, "second") == pytest.approx([1.0] * 60)


def test_it_says_where_time_cannot_be_told_finely_enough() -> None:
    keys = report([30.0])
    assert [one.blurred for one in forecast(keys, ORIGIN).series] == [False, False, False]
    assert [one.grain for one in forecast(keys, ORIGIN).series] == [1, 1, 60]
    aged = forecast(keys, ORIGIN + HOUR - 30)
    assert [one.blurred for one in aged.series] == [True, False, False]
    assert forecast(keys, ORIGIN + DAY).minute.grain == HOUR


def test_bytes_are_shared_out_like_keys() -> None:
    ahead = forecast(report([5.0, 5.5, 61.0], size=300.0), ORIGIN)
    assert [one.memory for one in ahead.hour.bins[:3]] == [600, 300, 0]


def test_bytes_are_unknown_where_the_server_does_not_tell_them() -> None:
    bare = Report(ORIGIN, 1, 1, expiry=Expiry(ORIGIN, ((5, 2.0),)))
    assert {one.memory for one in forecast(bare, ORIGIN).minute.bins} == {None}


def test_every_bin_and_every_total_has_its_interval_and_a_larger_sample_a_smaller_one() -> None:
    dice = random.Random(1)
    lefts = [dice.uniform(0, 60) for _ in range(6_000)]
    margins = []
    for share in (0.05, 0.5, 1.0):
        seen = lefts[: round(6_000 * share)]
        ahead = forecast(report(seen, len(seen), 6_000), ORIGIN)
        assert all(one.keys.low <= one.keys.value <= one.keys.high for one in ahead.minute.bins)
        assert ahead.minute.total.value == pytest.approx(6_000)
        margins.append(ahead.minute.bins[7].keys.margin)
    assert margins[0] > margins[1] > margins[2] == 0


def test_a_clock_that_is_behind_the_analysis_shows_all_of_it() -> None:
    assert values(forecast(report([0.0]), ORIGIN - 50), "second")[0] == 1


def test_an_analysis_of_last_month_has_nothing_left() -> None:
    ahead = forecast(report([1.0, 50_000.0, 10 * DAY]), ORIGIN + 40 * DAY)
    assert [one.total.value for one in ahead.series] == [0, 0, 0]
    assert ahead.hour.blurred


@pytest.mark.parametrize("seed", range(60))
def test_no_key_is_lost_or_counted_twice(seed: int) -> None:
    """The day holds what expires in it, but for the parts of slots that lie across its two ends."""
    dice = random.Random(seed)
    lefts = [dice.uniform(0, dice.choice((60, HOUR, DAY, 3 * DAY))) for _ in range(60)]
    age = dice.choice((0, 17, 3_599, 5_000, DAY, dice.randrange(2 * DAY)))
    ahead = forecast(report(lefts), ORIGIN + age)
    total = ahead.day.total.value
    surely = sum(age + HOUR <= left < age + 23 * HOUR for left in lefts)
    perhaps = sum(age - HOUR <= left < age + 25 * HOUR for left in lefts)
    assert surely - 1e-6 <= total <= perhaps + 1e-6
    assert total == pytest.approx(sum(values(ahead, "hour")))
    assert sum(values(ahead, "minute")) == pytest.approx(values(ahead, "hour")[0])
    assert sum(values(ahead, "second")) == pytest.approx(values(ahead, "minute")[0])
