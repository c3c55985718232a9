"""Among 300,000 keys: one that is named is answered at once, one that a pattern describes is found, gently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboard.cache.reading.search import Step, search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.servers import Server, running

MANY = 300_000


@pytest.fixture(scope="module")
def large() -> Iterator[Server]:
    with running() as server, server.client() as client:
        client.execute_command("EVAL", f"for i = 1, {MANY - 1} do redis.call('SET', 'key:' .. i, 'v') end", 0)
        client.set("needle:7", "v")
        yield server


@pytest.fixture
def cache(large: Server) -> Iterator[Cache]:
    with large.client() as client:
        client.config_resetstat()
    with closing(Cache(parse_target(f"shop={large.url}"))) as cache:
        yield cache


def _calls(server: Server) -> dict[str, int]:
    with server.client() as client:
        return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in client.info("commandstats").items()}


def test_a_named_key_is_answered_by_one_look_up(large: Server, cache: Cache) -> None:
    step = search(cache, Selection(b"key:299999"))
    assert [row.key for row in step.rows] == [b"key:299999"]
    assert step.complete
    assert "scan" not in {name for name, count in _calls(large).items() if count > 1}  # one is the probe's


def test_a_sparse_pattern_is_found_and_each_step_says_where_it_stands(large: Server, cache: Cache) -> None:
    steps = [search(cache, Selection(b"needle:*"), seconds=0.05)]
    while not steps[-1].ended:
        steps.append(search(cache, Selection(b"needle:*"), steps[-1].state, seconds=0.05))
    assert [row.key for step in steps for row in step.rows] == [b"needle:7"]
    assert [step.examined for step in steps] == sorted(step.examined for step in steps)
    assert steps[-1].examined == steps[-1].total == MANY
    assert steps[-1].complete
    assert not any(step.complete for step in steps[:-1])
    assert "keys" not in _calls(large)


def test_a_page_of_everything_costs_a_few_calls(large: Server, cache: Cache) -> None:
    step: Step = search(cache, Selection(b"*"))
    assert len(step.rows) == 100
    assert step.full
    assert not step.complete
    calls = _calls(large)
    assert calls["scan"] <= 4
    assert calls["type"] <= 110


def test_pages_of_everything_go_on_without_repeating(cache: Cache) -> None:
    shown: list[bytes] = []
    state = None
    for _ in range(20):
        step = search(cache, Selection(b"*"), state, seconds=5)
        shown += [row.key for row in step.rows]
        state = step.state
    assert len(shown) == len(set(shown)) == 2000
