"""Before and after stand over the same stretch of time, on the same scale, and leave out next to nothing."""

from __future__ import annotations

import pytest

from dashboard.cache.analysis.report import Expiry
from dashboard.cache.analysis.slots import LATER, slot_of
from dashboard.cache.estimate import exactly
from dashboard.cache.retiming.tally import Load, Peak
from dashboard.views.retimings.bars import MOST, crowd, rate, sides

ORIGIN = 1_764_000_000.0


def _load(slots: dict[int, float]) -> Load:
    return Load(Expiry(ORIGIN, tuple(sorted(slots.items()))))


def test_a_cliff_and_its_spreading_share_time_and_scale() -> None:
    found = sides(_load({1000: 6000}), _load(dict.fromkeys(range(700, 1300), 10.0)))
    assert found
    assert found.start <= ORIGIN + 700
    assert found.end >= ORIGIN + 1300
    assert found.before.top == found.after.top >= 6000
    assert len(found.before.columns) == len(found.after.columns) <= MOST
    assert [round(one.height * found.before.top / 100) for one in found.before.columns if one.height] == [6000]
    assert {round(one.height * found.after.top / 100, -1) for one in found.after.columns if one.height} == {10}
    assert found.left_out == 0


def test_a_column_is_as_high_as_its_busiest_second() -> None:
    slots = dict.fromkeys(range(1000), 1.0) | {500: 50.0}
    found = sides(_load(slots), _load({}))
    assert found
    assert found.width > 1
    heights = [round(one.height * found.before.top / 100) for one in found.before.columns]
    assert max(heights) == 50
    assert heights.count(50) == 1


def test_a_minute_counts_as_its_mean_second() -> None:
    found = sides(_load({slot_of(7200 * 1000): 120.0}), _load({}))
    assert found
    assert max(one.height for one in found.before.columns) * found.before.top / 100 == 2.0


def test_stragglers_far_off_are_said_and_not_drawn() -> None:
    found = sides(_load({100: 5000.0, 3500: 1.0, LATER: 7.0}), _load({}))
    assert found
    assert found.end < ORIGIN + 200
    assert found.left_out == 8


def test_where_nothing_expires_nothing_is_drawn() -> None:
    assert sides(_load({}), _load({})) is None
    assert sides(_load({LATER: 5.0}), _load({})) is None


def test_a_rate_is_the_peak_over_its_width() -> None:
    assert rate(Load(peak=Peak(ORIGIN, 60, exactly(120)))) == exactly(2)
    assert rate(Load()) is None


@pytest.mark.parametrize(
    ("peak", "words"),
    [
        (Peak(ORIGIN, 1, exactly(6163)), "at most 6 163 keys in one second"),
        (Peak(ORIGIN, 1, exactly(1)), "at most 1 key in one second"),
        (Peak(ORIGIN, 60, exactly(150)), "at most 2.5 keys in the mean second of 1 min"),
        (Peak(ORIGIN, 3600, exactly(20)), "hardly any in one second"),
        (None, ""),
    ],
)
def test_the_busiest_moment_names_its_measure(peak: Peak | None, words: str) -> None:
    assert crowd(Load(peak=peak)).replace("\u202f", " ") == words


def test_columns_that_the_common_scale_hides_are_known() -> None:
    found = sides(_load({1000: 6000}), _load(dict.fromkeys(range(700, 1300), 10.0)))
    assert found
    assert (found.before_low, found.after_low) == (False, True)
    seen = sides(_load({1000: 6000}), _load({1000: 3000}))
    assert seen
    assert not seen.after_low


def test_a_column_says_no_rate_of_nothing() -> None:
    found = sides(_load({10: 500.0, slot_of(7200 * 1000): 1.0, slot_of(10_800 * 1000): 500.0}), _load({}))
    assert found
    words = {one.words.partition(": ")[2] for one in found.before.columns}
    assert {"hardly any", "nothing"} <= words
    assert not [word for word in words if "0.0" in word]
