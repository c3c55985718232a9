"""What commands cost over time, as charts and as a table."""

from __future__ import annotations

import pytest

from dashboard.cache.statistics.command_series import ALL, command_charts, command_points, microseconds, slowest, table
from dashboard.cache.statistics.commands import Cost, Costs


def written(at: float, node: str = "a:1", run: float = 1.0, **commands: Cost) -> tuple[float, dict]:  # type: ignore[type-arg]
    return at, Costs(at, node, commands, run).to_plain()


def cost(calls: float, usec: float = 0.0, bound: float = 16.0) -> Cost:
    return Cost(calls, usec or calls, 0, 0, (bound, calls))


def test_operations_are_drawn_by_family() -> None:
    seen = command_points({"a:1": [written(0, get=cost(0), set=cost(0)), written(10, get=cost(100), set=cost(50))]}, 10)
    operations, _ = command_charts(seen)
    assert {line.label: line.values for line in operations.lines} == {"string reads": (10.0,), "writes": (5.0,)}
    assert operations.x == (10.0,)
    assert "15/s" in operations.caption


def test_families_beyond_those_that_can_be_told_apart_are_drawn_as_one() -> None:
    names = ("get", "hget", "lrange", "smembers", "zrange", "xread", "set", "del", "evalsha")
    before, after = {name: cost(0) for name in names}, {name: cost(10) for name in names}
    operations, _ = command_charts(command_points({"a:1": [written(0, **before), written(10, **after)]}, 10))
    assert len(operations.lines) == 7
    assert operations.lines[-1].label == "the rest"
    assert sum(line.values[0] or 0 for line in operations.lines) == 9


def test_primaries_are_added_up_and_a_missing_one_leaves_the_moment_out() -> None:
    a = [written(at, "a:1", get=cost(at)) for at in (0, 10, 20, 30)]
    b = [written(at, "b:1", get=cost(at)) for at in (0, 10, 30)]
    seen = command_points({"a:1": a, "b:1": b}, 10)
    assert [point.at for point in seen] == [10, 30]
    operations, _ = command_charts(seen)
    assert operations.lines[0].values[0] == 2


def test_latency_is_drawn_of_all_and_of_the_commands_that_took_longest() -> None:
    before = written(0, get=cost(0), set=cost(0), info=cost(0))
    after = written(10, get=cost(900, 1e6, bound=4), set=cost(100, 9e6, bound=1024), info=cost(9, 9e9, bound=1e6))
    _, latency = command_charts(command_points({"a:1": [before, after]}, 10))
    assert [line.label for line in latency.lines] == [ALL, "set", "get"]
    whole, of_set, of_get = (line.values[0] for line in latency.lines)
    assert whole is not None
    assert of_set is not None
    assert of_get is not None
    assert 512 < whole <= 1024
    assert 512 < of_set <= 1024
    assert 2 <= of_get <= 4


def test_without_histograms_the_chart_says_so() -> None:
    _, latency = command_charts(command_points({"a:1": [written(0, get=Cost(0)), written(10, get=Cost(5))]}, 10))
    assert latency.caption == "No times of calls are told in this time."
    assert latency.lines[0].values == (None,)


def test_nothing_sampled_is_an_empty_chart() -> None:
    operations, latency = command_charts(command_points({}, 10))
    assert operations.x == latency.x == ()
    assert [line.label for line in latency.lines] == [ALL]


def test_a_restart_shows_no_negative_operations() -> None:
    samples = [written(0, get=cost(500)), written(10, run=2.0, get=cost(20)), written(20, run=2.0, get=cost(40))]
    operations, _ = command_charts(command_points({"a:1": samples}, 10))
    assert operations.lines[0].values == (2.0, 2.0)


def test_the_table_has_a_row_for_each_command_the_dearest_first() -> None:
    before = written(0, get=cost(0), set=cost(0))
    after = written(20, get=cost(100, 400), set=Cost(10, 600, 2, 3, (64, 10)))
    seconds, (first, second) = table({"a:1": [before, after]})
    assert seconds == 20
    assert (first.name, first.family, first.per_second, first.share, first.mean) == ("set", "writes", 0.5, 0.6, 60)
    assert (first.rejected, first.failed) == (2, 3)
    assert second.share == pytest.approx(0.4)
    assert all(8 <= value <= 16 for value in second.percentiles)
    assert not second.told


def test_where_only_percentiles_since_the_start_are_told_the_row_says_so() -> None:
    _, (row,) = table({"a:1": [written(0, get=Cost(1)), written(20, get=Cost(9, 9, 0, 0, (), (1, 2, 3)))]})
    assert (row.told, row.percentiles) == (True, (1, 2, 3))


def test_one_sample_is_no_time() -> None:
    assert table({"a:1": [written(0, get=cost(5))]}) == (0.0, ())
    assert table({}) == (0.0, ())


def test_only_commands_of_applications_are_drawn_by_name() -> None:
    assert slowest({"info": cost(9, 9e9), "get": cost(1), "hget": Cost(5, 50)}) == ["get"]


@pytest.mark.parametrize(("value", "text"), [(12, "12 µs"), (1400, "1.4 ms"), (999.9, "1 ms"), (2.3e6, "2.3 s")])
def test_times_are_told_in_a_fitting_unit(value: float, text: str) -> None:
    assert microseconds(value).replace("\u202f", " ") == text
