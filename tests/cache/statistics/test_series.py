"""Readings as lines of charts: sums, gaps, restarts."""

from __future__ import annotations

from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.series import Chart, charts, points


def readings(node: str, *moments: float, rate: float = 100.0, **values: float) -> list[tuple[float, Reading]]:
    base = {"maxmemory": 64.0, "used_memory": 32.0, "connected_clients": 3.0}
    return [
        (at, Reading(at, node, base | {"total_commands_processed": at * rate, "keyspace_hits": at} | values))
        for at in moments
    ]


def drawn(step: float = 2.0, **by_node: list[tuple[float, Reading]]) -> dict[str, Chart]:
    return {chart.id: chart for chart in charts(points(by_node, step))}


def test_a_rate_needs_two_readings() -> None:
    found = drawn(a=readings("a", 1000.0, 1002.0, 1004.0))
    assert found["ops"].x == (1000, 1002, 1004)
    assert found["ops"].lines[0].values == (None, 100.0, 100.0)
    assert found["hit_ratio"].lines[0].values == (None, 1.0, 1.0)
    assert found["memory"].lines[0].values == (32.0, 32.0, 32.0)
    assert found["memory"].limit == 64.0


def test_primaries_are_summed() -> None:
    found = drawn(a=readings("a", 1000.0, 1002.0), b=readings("b", 1000.0, 1002.0, rate=50))
    assert found["ops"].lines[0].values == (None, 150.0)
    assert found["memory"].limit == 128.0
    assert found["clients"].lines[0].values == (6.0, 6.0)


def test_a_primary_that_misses_a_sample_makes_no_dip_and_no_spike() -> None:
    found = drawn(a=readings("a", 1000.0, 1002.0, 1004.0, 1006.0), b=readings("b", 1000.0, 1002.0, 1006.0))
    assert found["ops"].lines[0].values == (None, 200.0, None, 200.0)
    assert found["memory"].lines[0].values == (64.0, 64.0, None, 64.0)


def test_a_primary_that_stays_away_is_left_out() -> None:
    found = drawn(a=readings("a", *range(1000, 1014, 2)), b=readings("b", 1000.0))
    assert found["memory"].lines[0].values == (64.0, None, None, None, 32.0, 32.0, 32.0)


def test_a_gap_is_a_gap_and_not_a_line() -> None:
    found = drawn(a=readings("a", 1000.0, 1002.0, 1102.0, 1104.0))
    assert found["ops"].x == (1000, 1002, 1004, 1102, 1104)
    assert found["ops"].lines[0].values == (None, 100.0, None, None, 100.0)
    assert found["memory"].lines[0].values == (32.0, 32.0, None, 32.0, 32.0)


def test_a_restart_never_draws_a_negative_rate() -> None:
    before, after = readings("a", 1000.0, 1002.0), readings("a", 1004.0, rate=0.1)
    (_, values, last) = drawn(a=before + after)["ops"].lines[0].values
    assert values == 100.0
    assert last is not None
    assert 0 <= last < 100


def test_there_is_no_limit_where_one_primary_has_none() -> None:
    found = drawn(a=readings("a", 1000.0), b=readings("b", 1000.0, maxmemory=0.0))
    assert found["memory"].limit is None
    assert "no maxmemory is set" in found["memory"].caption


def test_captions_say_what_the_lines_show() -> None:
    found = drawn(a=readings("a", 1000.0, 1002.0, 1004.0))
    assert found["ops"].caption == "Latest 100/s; from 100 to 100."
    assert found["evictions"].caption.startswith("Evicted: ")
    assert drawn()["ops"].caption == "Nothing known in this time."


def test_coarse_samples_stand_at_the_time_they_were_taken() -> None:
    found = drawn(step=60.0, a=readings("a", 1018.0, 1078.0, 1090.0))
    assert found["ops"].x == (1018, 1078, 1090)
