"""When a trial has hurt, and when it has not."""

from __future__ import annotations

import pytest

from dashboard.cache.tuning.trial_rules import BadGuards, Guards, Window, crossed, guards_of, window_of

BEFORE = Window(300, 90_000, 10_000, 0)


def lately(ratio: float, reads: float = 10_000, evictions: float = 0.0, p99: float | None = None) -> Window:
    return Window(60, ratio * reads, (1 - ratio) * reads, evictions, p99)


def test_nothing_is_crossed_where_nothing_is_watched() -> None:
    assert crossed(Guards(), BEFORE, lately(0.1, evictions=1e6, p99=500)) == ""


def test_a_hit_ratio_that_fell_by_more_than_allowed_ends_it() -> None:
    said = crossed(Guards(hit_ratio_points=2), BEFORE, lately(0.87))
    assert said == "The hit ratio fell from 90\u202f% to 87\u202f% over the last 60\u202fs: by more than 2 points."


def test_a_fall_within_the_limit_does_not() -> None:
    assert crossed(Guards(hit_ratio_points=2), BEFORE, lately(0.885)) == ""
    assert crossed(Guards(hit_ratio_points=2), BEFORE, lately(0.95)) == ""


def test_a_fall_that_chance_may_have_made_does_not() -> None:
    """Of 200 reads a ratio is off by 4 points in one of twenty windows."""
    assert crossed(Guards(hit_ratio_points=2), BEFORE, lately(0.86, reads=200)) == ""
    assert crossed(Guards(hit_ratio_points=2), BEFORE, lately(0.60, reads=200)) != ""


def test_too_few_reads_say_nothing() -> None:
    assert crossed(Guards(hit_ratio_points=2), BEFORE, lately(0.0, reads=99)) == ""
    assert crossed(Guards(hit_ratio_points=2), Window(300, 50, 0, 0), lately(0.0)) == ""
    assert crossed(Guards(hit_ratio_points=2), None, lately(0.0)) == ""


def test_evictions_above_the_limit_end_it() -> None:
    guards = Guards(evictions=5000)
    assert crossed(guards, None, lately(0.9, evictions=60 * 5001)).startswith("5\u202fk evictions/s over the last")
    assert crossed(guards, None, lately(0.9, evictions=60 * 5000)) == ""


def test_no_eviction_at_all_may_be_asked_for() -> None:
    assert crossed(Guards(evictions=0), None, lately(0.9, evictions=1)) != ""
    assert crossed(Guards(evictions=0), None, lately(0.9)) == ""


def test_p99_above_the_limit_ends_it_where_it_is_told() -> None:
    guards = Guards(p99_ms=10)
    assert crossed(guards, None, lately(0.9, p99=10.5)) == (
        "p99 10.5\u202fms over the last 60\u202fs: above 10\u202fms."
    )
    assert crossed(guards, None, lately(0.9, p99=10)) == ""
    assert crossed(guards, None, lately(0.9)) == ""


@pytest.mark.parametrize(
    "limits",
    [
        {"hit_ratio_points": 0},
        {"hit_ratio_points": 101},
        {"evictions": -1},
        {"p99_ms": 0},
        {"p99_ms": float("nan")},
        {"evictions": float("inf")},
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(BadGuards):
        Guards(**limits)


def test_guards_and_windows_survive_being_stored() -> None:
    guards = Guards(hit_ratio_points=2, p99_ms=3.5)
    assert guards_of(guards.to_plain()) == guards
    assert window_of(BEFORE.to_plain()) == BEFORE
    assert window_of({}) is None
    with pytest.raises(BadGuards):
        guards_of({"unheard_of": 1})


def test_they_are_said_as_a_condition() -> None:
    assert Guards().in_words == ""
    assert Guards(2, 5000, 10).in_words == (
        "the hit ratio falls by more than 2 points, or evictions exceed 5\u202fk/s, or p99 rises above 10\u202fms"
    )
