"""What the demo's answer becomes: figures where there are some, None where there are none, and never too much."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.lab.comparison import Interval
from dashboard.lab.reading import LONGEST_TEXT
from dashboard.lab.state import MOST_POINTS, SERIES, State, is_bench, parse
from tests.lab.bench import PATTERNS, PREVENTIONS, RISK, Bench

NOW = 1_800_000_000.0
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy


def told(**over: Any) -> State:
    """As the answer of a bench, by way of JSON."""
    bench = Bench()
    bench.finish()
    return parse(json.loads(json.dumps(bench.body() | over)), time.time())


def test_all_that_a_bench_tells_is_taken() -> None:
    state = told()
    assert is_bench(Bench().body())
    assert (state.shop, state.knobs.pattern, state.knobs.jitter) == ("up", "cache-aside", True)
    assert (state.patterns, state.preventions) == (tuple(PATTERNS), tuple(PREVENTIONS))
    assert state.scenario.name == "steady"
    assert len(state.scenarios) == 6
    assert state.memory
    assert (state.memory.policy, state.memory.risk) == ("allkeys-lru", RISK)
    assert (state.now.hit_ratio, state.now.lost) == (0.931, None)
    assert len(state.series.at) == len(state.series.values["p99_ms"]) == 300
    assert state.comparison
    assert [row.pattern for row in state.comparison.rows] == PATTERNS
    assert state.comparison.rows[0].hit_ratio == Interval(0.9, 0.89, 0.91)


@pytest.mark.parametrize("body", [None, [], "text", 7, {}, {"knobs": 1, "now": []}, {"series": {"at": "x"}}])
def test_what_is_no_bench_becomes_a_state_without_figures(body: object) -> None:
    state = parse(body, NOW)
    assert not is_bench(body)
    assert state.shop == "away"
    assert state.comparison is None
    assert set(asdict(state.now).values()) == {None}
    assert state.series.at == ()


@patient
@given(st.dictionaries(st.sampled_from(sorted(Bench().body())), JUNK))
def test_no_answer_raises_and_each_stays_within_bounds(over: dict[str, Any]) -> None:
    state = parse(Bench().body() | over, NOW)
    assert all(len(values) == len(state.series.at) for values in state.series.values.values())
    assert sorted(state.series.at) == list(state.series.at)
    assert json.dumps(asdict(state), allow_nan=False)


@patient
@given(st.fixed_dictionaries({"at": JUNK | st.lists(JUNK, max_size=9), "p50_ms": st.lists(JUNK, max_size=9)}))
def test_no_series_raises(series: dict[str, Any]) -> None:
    found = parse({"series": series}, NOW).series
    assert set(found.values) == set(SERIES)
    assert all(len(values) == len(found.at) for values in found.values.values())


@patient
@given(st.fixed_dictionaries({"state": st.just("running"), "rows": st.lists(st.fixed_dictionaries(
    {"pattern": st.just("x"), "p99_ms": JUNK | st.fixed_dictionaries({"value": JUNK, "low": JUNK, "high": JUNK})}
))}))  # fmt: skip
def test_an_interval_lies_around_its_value(comparison: dict[str, Any]) -> None:
    found = parse({"comparison": comparison}, NOW).comparison
    assert found
    for row in found.rows:
        if row.p99_ms:
            assert 0 <= row.p99_ms.low <= row.p99_ms.value <= row.p99_ms.high


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, "7", True, None, 10**400, [1]])
def test_a_figure_that_is_none_is_unknown(value: object) -> None:
    assert told_now(p99_ms=value).p99_ms is None
    assert told_now(queue=value).queue is None
    assert told_now(hit_ratio=value).hit_ratio is None
    assert told_now(hit_ratio=1.5).hit_ratio is None


def told_now(**over: object) -> Any:
    return parse({"now": over}, NOW).now


def test_texts_are_cut_and_what_cannot_be_seen_is_left_out() -> None:
    state = parse({"scenario": {"name": "x" * 900, "sentence": "a\x00\u202eb\n" + "c" * 9000}}, NOW)
    assert len(state.scenario.name) == 40
    assert len(state.scenario.sentence) <= LONGEST_TEXT
    assert state.scenario.sentence.startswith("a  b c")


def test_only_so_many_points_rows_and_choices_are_kept() -> None:
    at = [NOW - 5000 + one for one in range(5000)]
    body = {
        "series": {"at": at, "queries": [1.0] * 5000},
        "choices": {"pattern": [f"p{one}" for one in range(99)]},
        "scenarios": [{"name": f"s{one}"} for one in range(99)],
        "comparison": {"state": "running", "rows": [{"pattern": f"p{one}"} for one in range(99)]},
    }
    state = parse(body, NOW)
    assert state.series.at == tuple(at[-MOST_POINTS:])
    assert len(state.series.values["queries"]) == MOST_POINTS
    assert len(state.patterns) == len(state.scenarios) == 12
    assert state.comparison
    assert len(state.comparison.rows) == 16


def test_a_time_that_is_no_later_than_the_one_before_is_left_out_with_its_values() -> None:
    series = parse({"series": {"at": [5.0, 7.0, 6.0, None, 9.0], "queries": [1, 2, 3, 4, 5]}}, NOW).series
    assert series.at == (5.0, 7.0, 9.0)
    assert series.values["queries"] == (1.0, 2.0, 5.0)


def test_times_of_a_demo_whose_clock_is_wrong_are_told_by_ours() -> None:
    ahead = 3600.0
    body = {
        "at": NOW + ahead,
        "series": {"at": [NOW + ahead - 2, NOW + ahead]},
        "scenario": {"name": "outage", "since": NOW + ahead - 10, "ends": NOW + ahead + 20},
        "comparison": {"state": "finished", "begun": NOW + ahead - 90, "ended": NOW + ahead - 30},
    }
    state = parse(body, NOW)
    assert state.series.at == (NOW - 2, NOW)
    assert (state.scenario.since, state.scenario.ends) == (NOW - 10, NOW + 20)
    assert state.comparison
    assert state.comparison.ended == NOW - 30


def test_a_moment_that_no_calendar_knows_is_unknown() -> None:
    assert parse({"scenario": {"since": 1e14, "ends": -5}}, NOW).scenario.ends is None
    assert parse({"scenario": {"since": 1e14}}, NOW).scenario.since is None


@pytest.mark.parametrize(("other", "meets"), [((2, 1, 3), True), ((5, 4.9, 6), True), ((7, 5.1, 8), False)])
def test_intervals_that_touch_may_be_the_same(other: tuple[float, float, float], meets: bool) -> None:
    assert Interval(4, 3, 5).meets(Interval(*other)) is meets
    assert Interval(*other).meets(Interval(4, 3, 5)) is meets
