"""Scenarios: what each turns, and that it is put back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.demo.bench import scenarios
from dashboard.demo.bench.scenarios import SCENARIOS
from dashboard.demo.bench.working_set import FACTOR, entries_alive, working_set
from dashboard.demo.knobs import Knobs
from dashboard.demo.visitors.traffic import Traffic
from tests.demo.benching import Running, benching
from tests.programs import wait_until


@pytest.fixture
def bench() -> Iterator[Running]:
    with benching() as running:
        yield running


def _begin(bench: Running, name: str) -> None:
    status, said = bench.ask("POST", "/bench/scenario", {"name": name})
    assert status == 200
    assert said["scenario"]["name"] == name
    if SCENARIOS[name].seconds is not None:
        wait_until(lambda: bench.state()["scenario"]["ends"] is not None, f"{name} to have begun")


def test_a_flash_sale_is_for_one_product_and_over_when_the_next_begins(bench: Running) -> None:
    before = bench.driver.traffic
    _begin(bench, "flash-sale")
    assert bench.driver.traffic.hot_share == 0.6
    assert bench.driver.traffic.burst_factor == 3
    _begin(bench, "steady")
    assert bench.driver.traffic == before


def test_a_mass_expiry_fills_an_empty_cache_at_once(bench: Running) -> None:
    before = bench.driver.traffic
    bench.driver.pause()
    assert bench.driver.is_quiet(60)
    bench.shop.asked.clear()
    _begin(bench, "mass-expiry")
    assert bench.shop.weather == ["removal"]
    assert bench.shop.knobs.ttl_scale == scenarios.EXPIRY_SCALE
    users = bench.driver.traffic.users
    asked = {path for _method, path in bench.shop.asked}
    assert {f"/users/{user}" for user in range(1, users + 1)} <= asked
    assert {f"/users/{user}/posts" for user in range(1, users + 1)} <= asked
    _begin(bench, "steady")
    assert bench.shop.knobs == Knobs()
    assert bench.driver.traffic == before


def test_a_deploy_removes_the_shops_keys(bench: Running) -> None:
    _begin(bench, "deploy-flush")
    assert bench.shop.weather == ["removal"]


def test_an_outage_is_ended_with_its_scenario(bench: Running) -> None:
    _begin(bench, "outage")
    assert bench.shop.weather == ["outage 30"]
    _begin(bench, "steady")
    assert bench.shop.weather == ["outage 30", "outage 0"]


def test_a_working_set_needs_a_limit_to_be_larger_than(bench: Running) -> None:
    before = bench.driver.traffic
    _begin(bench, "working-set")
    assert "no maxmemory" in bench.state()["scenario"]["sentence"]
    assert bench.driver.traffic == before


def test_a_working_set_is_three_times_the_limit_by_the_measured_size_of_an_entry(bench: Running) -> None:
    bench.shop.maxmemory = 100_000
    _begin(bench, "working-set")
    chosen = bench.driver.traffic
    # The fake shop's cache grows by 1,000 bytes for each read.
    assert working_set(chosen, 1.0, 1000) == pytest.approx(FACTOR * 100_000, rel=0.25)
    assert chosen.users < 300
    assert "times maxmemory" in bench.state()["scenario"]["sentence"]


def test_a_working_set_that_the_shop_is_too_small_for_says_so(bench: Running) -> None:
    bench.shop.maxmemory = 1_000_000_000
    _begin(bench, "working-set")
    assert "the shop has no more rows" in bench.state()["scenario"]["sentence"]


def test_what_somebody_turned_during_a_scenario_stays(bench: Running) -> None:
    _begin(bench, "flash-sale")
    bench.ask("PUT", "/bench/traffic", {"hot_share": 0.25})
    bench.ask("PUT", "/bench/knobs", {"pattern": "write-through"})
    _begin(bench, "steady")
    assert bench.driver.traffic.hot_share == 0.25
    assert bench.driver.traffic.burst_factor == 1
    assert bench.shop.knobs.pattern == "write-through"
    _begin(bench, "mass-expiry")
    bench.ask("PUT", "/bench/knobs", {"ttl_scale": 0.5})
    _begin(bench, "steady")
    assert bench.shop.knobs.ttl_scale == 0.5


def test_a_scenario_ends_by_itself(bench: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    short = scenarios.Scenario("outage", "Cache outage", "Short.", 0.2, SCENARIOS["outage"].play)
    monkeypatch.setitem(SCENARIOS, "outage", short)
    bench.ask("POST", "/bench/scenario", {"name": "outage"})
    wait_until(lambda: bench.state()["scenario"]["name"] == "steady", "it to end")
    assert bench.shop.weather == ["outage 30", "outage 0"]


def test_a_scenario_that_cannot_begin_says_why_and_is_over(bench: Running) -> None:
    bench.shop.lab_answers = False
    bench.ask("POST", "/bench/scenario", {"name": "deploy-flush"})
    wait_until(lambda: bench.state()["scenario"]["name"] == "steady", "it to be over")
    assert "the shop" in bench.state()["scenario"]["sentence"]


def test_what_could_not_be_put_back_is_put_back_when_the_shop_answers_again(bench: Running) -> None:
    _begin(bench, "mass-expiry")
    bench.shop.lab_answers = False
    status, said = bench.ask("POST", "/bench/scenario", {"name": "deploy-flush"})
    assert (status, "still being put back" in said["error"]) == (409, True)
    bench.shop.lab_answers = True
    wait_until(lambda: bench.shop.knobs.ttl_scale == 1.0, "the knob to be put back")


def test_leaving_puts_back_what_a_scenario_turned() -> None:
    with benching() as bench:
        _begin(bench, "mass-expiry")
        assert bench.shop.knobs.ttl_scale != 1.0
    assert bench.shop.knobs.ttl_scale == 1.0


@pytest.mark.parametrize(("per_second", "expected"), [(0.0, 0.0), (1e9, 1000.0), (1.0, 1000 * (1 - 2.718281828**-0.1))])
def test_entries_alive_are_those_asked_for_within_their_ttl(per_second: float, expected: float) -> None:
    assert entries_alive(1000, 0.0, per_second, 100.0) == pytest.approx(expected, abs=1e-3)


def test_a_larger_part_of_the_shop_is_a_larger_working_set() -> None:
    small, large = Traffic(100, 100), Traffic(1000, 1000)
    assert working_set(small, 1.0, 500) < working_set(large, 1.0, 500) < 4000 * 500
