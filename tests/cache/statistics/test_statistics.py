"""The charts of the statistics page, from readings of several primaries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.cache.statistics.charts import DRAWN, answer, charts
from dashboard.cache.statistics.command_series import command_charts
from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.series import Chart, Point, points

COMMON = {"used_memory": 1000.0, "used_memory_rss": 1500.0, "used_memory_dataset": 600.0, "used_memory_overhead": 400.0}


def seen(*nodes: dict[str, tuple[float, float]], **gauges: float) -> list[Point]:
    """Two moments 10 s apart; each node: counter -> its value at either."""
    by_node = {}
    for number, counters in enumerate(nodes or ({},)):
        readings = []
        for place, at in enumerate((0.0, 10.0)):
            values = {name: pair[place] for name, pair in counters.items()}
            readings.append((at, Reading(at, f"{number}:1", {**COMMON, **gauges, **values})))
        by_node[f"{number}:1"] = readings
    return points(by_node, 10.0, DRAWN)


def chart(name: str, of: list[Point]) -> Chart:
    return next(one for one in charts(of) if one.id == name)


def lines(name: str, of: list[Point]) -> dict[str, float | None]:
    return {line.label: line.values[-1] for line in chart(name, of).lines}


def test_every_chart_has_a_point_for_each_moment() -> None:
    found = charts(seen())
    assert len({one.id for one in found}) == len(found) == 11
    assert all(len(line.values) == 2 for one in found for line in one.lines)


def test_every_chart_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| ([A-Z][^|]+) \| [^|]+ \| `", text, re.MULTILINE)
    assert set(documented) == {one.title for one in (*charts(seen()), *command_charts([]))}


def test_without_samples_every_chart_is_empty() -> None:
    assert all(one.x == () for one in charts([]))


def test_memory_has_a_limit_only_where_every_primary_has_one() -> None:
    assert chart("memory", seen({}, {}, maxmemory=2000.0)).limit == 4000
    assert chart("memory", seen()).limit is None


def test_the_parts_of_memory_add_up_to_what_is_resident() -> None:
    found = lines("parts", seen(mem_clients_normal=50.0, mem_clients_slaves=20.0, mem_replication_backlog=30.0))
    assert found == {"dataset": 600, "tables and rest": 300, "clients": 50, "replication": 50, "fragmentation": 500}
    assert lines("parts", seen()) == {"dataset": 600, "overhead": 400, "fragmentation": 500}


def test_expirations_are_told_apart_only_where_the_server_does() -> None:
    both = {"expired_keys": (0.0, 100.0), "expired_keys_active": (0.0, 70.0)}
    assert lines("expirations", seen(both)) == {"found by the server": 7, "found by a read": 3}
    assert lines("expirations", seen({"expired_keys": (0.0, 100.0)})) == {"expired": 10}


def test_the_stale_share_is_that_of_the_worst_primary() -> None:
    found = seen({"expired_stale_perc": (3.0, 3.0)}, {"expired_stale_perc": (12.0, 12.0)})
    assert "12\u202f%" in chart("expirations", found).caption


def test_the_mean_ttl_is_weighted_by_keys() -> None:
    few = {"keys_with_ttl": (1.0, 1.0), "avg_ttl_ms": (9000.0, 9000.0)}
    many = {"keys_with_ttl": (3.0, 3.0), "avg_ttl_ms": (1000.0, 1000.0)}
    assert lines("mean_ttl", seen(few, many)) == {"mean TTL": 3}


def test_the_processor_is_told_by_the_busiest_thread_and_by_the_sum() -> None:
    busy = {"used_cpu_user": (0.0, 8.0), "used_cpu_sys": (0.0, 0.0)}
    threads = {"used_cpu_user_main_thread": (0.0, 6.0), "used_cpu_sys_main_thread": (0.0, 1.0)}
    idle = dict.fromkeys((*busy, *threads), (0.0, 0.0))
    found = lines("processor", seen({**busy, **threads}, idle))
    assert found == {"busiest thread": pytest.approx(70), "processes": pytest.approx(80)}
    assert lines("processor", seen(busy)) == {"processes": pytest.approx(80)}


def test_look_ups_evictions_and_network_are_rates() -> None:
    counters = {"keyspace_hits": (0.0, 90.0), "keyspace_misses": (0.0, 10.0), "evicted_keys": (5.0, 25.0)}
    found = seen({**counters, "total_net_output_bytes": (0.0, 10240.0)})
    assert lines("misses", found) == {"hits": 9, "misses": 1}
    assert lines("hit_ratio", found) == {"hit ratio": 0.9}
    assert lines("evictions", found) == {"evicted": 2}
    assert lines("network", found)["out"] == 1024


def test_keys_are_drawn_with_and_without_ttl() -> None:
    assert lines("keys", seen(keys=10.0, keys_with_ttl=4.0)) == {"with TTL": 4, "without TTL": 6}


def test_the_answer_says_how_it_is_now() -> None:
    (_, last) = seen({"keyspace_hits": (0.0, 90.0), "keyspace_misses": (0.0, 10.0)}, maxmemory=2048.0)
    reading, lately = last.parts[0]
    said = answer(reading, lately).replace("\u202f", " ")
    assert said == "Memory 1000 B of 2 kB, hit ratio 90 %, 0 evictions/s, 0 commands/s."
    assert answer(None, None).startswith("No sample yet")
