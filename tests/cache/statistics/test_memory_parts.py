"""Where memory is: parts that add up."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from dashboard.cache.statistics.info import Reading, parse, reading
from dashboard.cache.statistics.memory_parts import parts
from tests.servers import Server


def of(**values: float) -> dict[str, float]:
    return {one.name: one.bytes for one in parts(Reading(0.0, "a:1", values))}


def test_the_parts_of_a_real_server_add_up(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.mset({f"key:{number}": "x" * 100 for number in range(500)})
        found = parts(reading(parse(client.execute_command("INFO DEFAULT")), time.time(), "a:1"))
    whole = {one.name: one.bytes for one in found}
    assert sum(one.bytes for one in found if one.kind == "part") == pytest.approx(whole["resident"])
    assert whole["dataset"] + whole["overhead"] == pytest.approx(whole["used"])
    assert sum(one.bytes for one in found if one.kind == "detail") == pytest.approx(whole["overhead"])
    assert found[-1].share == 1


def test_an_allocator_that_keeps_account_tells_fragmentation_apart() -> None:
    told = {"allocator_allocated": 105.0, "allocator_active": 120.0, "allocator_resident": 150.0, "allocator_told": 1.0}
    found = of(used_memory=100, used_memory_overhead=40, used_memory_dataset=60, used_memory_rss=170, **told)
    assert found["fragmentation"] == 15
    assert found["kept by the allocator"] == 30
    assert found["used"] + found["fragmentation"] + found["kept by the allocator"] + found["the process"] == 170


def test_what_is_swapped_out_is_a_negative_part() -> None:
    found = of(used_memory=100, used_memory_overhead=40, used_memory_dataset=60, used_memory_rss=70)
    assert found["around it"] == -30


def test_buffers_are_parts_of_the_overhead() -> None:
    found = of(used_memory=100, used_memory_overhead=40, mem_clients_normal=10, mem_replication_backlog=5)
    assert (found["client buffers"], found["replication backlog"], found["tables and rest"]) == (10, 5, 25)


def test_a_server_that_tells_no_parts_has_none() -> None:
    assert of(used_memory=100) == {}
    assert of() == {}
