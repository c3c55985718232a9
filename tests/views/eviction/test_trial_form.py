"""The form of a trial: what is offered, and what is made of what is typed."""

from __future__ import annotations

import pytest

from dashboard.cache.tuning.trial_rules import Guards, Window
from dashboard.views.bad_field import BadField
from dashboard.views.eviction.trial_form import asked_for, offered, rounded_up


def test_about_twice_of_what_is_there_now_is_offered() -> None:
    form = offered(Window(300, 900, 100, 300 * 1200, p99_ms=0.8))
    assert (form.seconds, form.hit_ratio_points) == ("30m", "2")
    assert (form.evictions, form.p99_ms) == ("5000", "2")
    assert (form.now_hit_ratio, form.now_evictions, form.now_p99) == (
        "90\u202f%",
        "1.2\u202fk/s",
        "0.8\u202fms",
    )


def test_where_nothing_is_known_the_limits_are_those_of_a_quiet_cache_and_p99_is_none() -> None:
    form = offered(None)
    assert (form.evictions, form.p99_ms) == ("100", "")
    assert (form.now_hit_ratio, form.now_evictions, form.now_p99) == ("", "", "")


def test_where_nothing_is_evicted_a_hundred_a_second_are() -> None:
    assert offered(Window(300, 900, 100, 0, p99_ms=0.01)).evictions == "100"
    assert offered(Window(300, 900, 100, 0, p99_ms=0.01)).p99_ms == "1"


def test_what_was_sent_stays_also_where_it_is_empty() -> None:
    form = offered(Window(300, 900, 100, 9000), {"for": "90", "evictions": "", "hit_ratio_points": "x"})
    assert (form.seconds, form.evictions, form.hit_ratio_points) == ("1m 30s", "", "x")


@pytest.mark.parametrize(
    ("value", "rounded"), [(1, 1), (1.1, 2), (2, 2), (3, 5), (6, 10), (0.3, 0.5), (2400, 5000), (0.07, 0.1), (1e6, 1e6)]
)
def test_a_limit_is_a_number_that_one_remembers(value: float, rounded: float) -> None:
    assert rounded_up(value) == pytest.approx(rounded)


def test_numbers_are_read_as_people_type_them() -> None:
    form = {"for": "1h 30m", "hit_ratio_points": " 2.5 ", "evictions": "5\u202f000", "p99_ms": ""}
    assert asked_for(form) == (5400.0, Guards(2.5, 5000.0, None))


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"for": ""}, "for"),
        ({"for": "9"}, "for"),
        ({"for": "700000"}, "for"),
        ({"for": "30m", "evictions": "many"}, "evictions"),
        ({"for": "30m", "evictions": "-1"}, "evictions"),
        ({"for": "30m", "evictions": "1e400"}, "evictions"),
        ({"for": "30m", "hit_ratio_points": "0"}, "hit_ratio_points"),
        ({"for": "30m", "hit_ratio_points": "nan"}, "hit_ratio_points"),
        ({"for": "30m", "p99_ms": "0"}, "p99_ms"),
    ],
)
def test_it_names_the_field_that_cannot_be_meant(form: dict[str, str], name: str) -> None:
    with pytest.raises(BadField) as refused:
        asked_for(form)
    assert refused.value.name == name
