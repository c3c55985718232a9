"""The comparison of a trial with the time before it: what it claims, how often it is right, and what it leaves open."""

import json
import math
import random

import pytest

from dashboard.cache.tuning.before_after import Comparison, compare, of_plain
from dashboard.cache.tuning.trial_rules import Window


def windows(ratio: float, many: int = 60, *, seed: int = 1, lasting: float = 0.0, reads: int = 1000) -> list[Window]:
    """Intervals of 10 s whose hit ratio wavers about `ratio`; `lasting`: how much each resembles the one before."""
    chance, off, found = random.Random(seed), 0.0, []
    for _ in range(many):
        off = lasting * off + math.sqrt(1 - lasting**2) * chance.gauss(0, 0.02)
        hits = reads * min(max(ratio + off, 0.0), 1.0)
        found.append(Window(10.0, hits, reads - hits, 50.0 + chance.gauss(0, 5), 1.2, 2.0 * reads, 1e9))
    return found


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


def test_a_difference_is_said_with_its_interval() -> None:
    found = compare(windows(0.912, seed=1), windows(0.98, seed=2)).figure("hit_ratio")
    assert found.certain
    assert found.verdict == "better"
    assert found.difference is not None
    assert found.difference.low < 0.068 < found.difference.high
    assert plain(found.sentence).startswith("Hit ratio 91")
    assert " points (" in found.sentence


def test_a_fall_is_said_with_a_minus_and_called_worse() -> None:
    found = compare(windows(0.95), windows(0.85, seed=2)).figure("hit_ratio")
    assert found.verdict == "worse"
    assert found.change.startswith("\u2212")
    assert found.change.count("\u2212") == 3


def test_more_evictions_are_worse_and_less_are_better() -> None:
    few, many = ([Window(10, 1, 1, 10.0 * rate + at % 3) for at in range(30)] for rate in (5, 500))
    assert compare(few, many).figure("evictions").verdict == "worse"
    assert compare(many, few).figure("evictions").verdict == "better"


def test_more_operations_are_neither() -> None:
    few, many = ([Window(10, 1, 1, 0, operations=10.0 * rate + at % 3) for at in range(30)] for rate in (5, 500))
    assert compare(few, many).figure("operations").verdict == "differs"


def test_what_chance_explains_is_no_difference() -> None:
    found = compare(windows(0.9, seed=3), windows(0.9, seed=4))
    assert found.figure("hit_ratio").verdict == "same"
    assert found.figure("hit_ratio").change == "no difference that chance would not explain"
    assert found.sentence.endswith("no difference that chance would not explain.")


def test_nothing_before_and_after_is_no_difference() -> None:
    quiet = [Window(10, 90, 10, 0.0)] * 20
    assert compare(quiet, quiet).figure("evictions").change == "no difference"


@pytest.mark.parametrize(("before", "during"), [(3, 60), (60, 3), (0, 0), (4, 4)])
def test_a_short_time_has_no_interval(before: int, during: int) -> None:
    found = compare(windows(0.5, before), windows(0.9, during))
    assert all(one.difference is None and one.verdict == "unknown" for one in found.figures)
    assert "too short" in found.sentence


def test_what_was_not_told_is_left_open() -> None:
    before, during = [Window(10, 90, 10, 1)] * 30, [Window(10, 90, 10, 1, p99_ms=2.0)] * 30
    found = compare(before, during).figure("p99_ms")
    assert (found.before, found.during, found.difference) == (None, 2.0, None)
    assert plain(found.sentence) == "p99 not told → 2 ms: not told before and during the trial."


def test_a_time_without_reads_has_no_hit_ratio() -> None:
    found = compare([Window(10, 0, 0, 0)] * 30, windows(0.9)).figure("hit_ratio")
    assert found.before is None
    assert found.verdict == "unknown"


def test_intervals_that_have_no_length_and_figures_that_are_not_finite_count_for_nothing() -> None:
    odd = [Window(0, 5, 5, 5), Window(10, 1, 1, 1, p99_ms=math.inf)]
    found = compare([*windows(0.9), *odd], windows(0.9, seed=2))
    assert found.figure("p99_ms").before == pytest.approx(1.2)
    json.dumps(found.to_plain(), allow_nan=False)


def test_long_intervals_weigh_more_than_short_ones() -> None:
    mixed = [Window(90, 0, 900, 0), Window(10, 100, 0, 0)] * 10
    found = compare(mixed, mixed)
    assert found.figure("hit_ratio").before == pytest.approx(0.1)
    assert found.figure("misses").before == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("lasting", "many", "least"), [(0, 12, 0.93), (0.5, 60, 0.92), (0.9, 60, 0.85), (0.9, 180, 0.93)]
)
def test_the_interval_holds_the_truth_about_as_often_as_it_says(lasting: float, many: int, least: float) -> None:
    """Also where what happens in one interval lasts into the next. Of 400 rounds: 98 %, 96 %, 89 % and 97 %: only where
    the memory of what happens (here 100 s) is not much shorter than the trial (600 s), a little too much is promised.
    """
    rounds, right = 200, 0
    for seed in range(rounds):
        before = windows(0.6, many, seed=2 * seed, lasting=lasting)
        during = windows(0.63, many, seed=2 * seed + 1, lasting=lasting)
        difference = compare(before, during).figure("hit_ratio").difference
        assert difference is not None
        right += difference.low <= 0.03 <= difference.high
    assert right / rounds >= least


def test_it_is_written_down_and_read_again() -> None:
    found = compare(windows(0.9), windows(0.95, 3))
    assert of_plain(json.loads(json.dumps(found.to_plain()))) == found


def test_what_another_version_has_written_is_read_as_far_as_it_is_understood() -> None:
    written = json.loads(json.dumps(compare(windows(0.9), windows(0.95)).to_plain()))
    written["figures"].append({"name": "mood", "before": 1.0, "during": 2.0, "difference": None})
    found = of_plain(written)
    assert isinstance(found, Comparison)
    assert [one.name for one in found.figures] == ["hit_ratio", "misses", "evictions", "operations", "p99_ms", "memory"]


@pytest.mark.parametrize(
    "written",
    [None, {}, {"figures": 5}, {"figures": [{}]}, {"before_seconds": "x", "during_seconds": 1, "figures": []}],
)
def test_what_is_none_is_read_as_none(written: dict[str, object] | None) -> None:
    assert of_plain(written) is None
