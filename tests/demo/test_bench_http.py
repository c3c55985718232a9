"""What the bench says and lets itself be told, by HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.demo.bench.blocks import SERIES
from dashboard.demo.bench.scenarios import SCENARIOS
from tests.demo.benching import Running, benching
from tests.demo.fake_shop import PRODUCTS, USERS
from tests.programs import wait_until


@pytest.fixture
def bench() -> Iterator[Running]:
    with benching() as running:
        yield running


def test_it_says_how_shop_traffic_and_figures_stand(bench: Running) -> None:
    wait_until(lambda: len(bench.state()["series"]["at"]) > 1, "a point")
    said = bench.state()
    assert said["shop"] == "up"
    assert said["knobs"] == bench.shop.knobs.to_plain()
    assert said["traffic"]["users"], said["traffic"]["products"] == (USERS, PRODUCTS)
    assert said["now"]["requests"] > 0
    assert said["now"]["stale_total"] == 0
    assert said["scenario"]["name"] == "steady"
    assert said["scenario"]["ends"] is None
    assert said["comparison"] is None
    assert said["cache"]["policy"] == "allkeys-lru"
    assert {one["name"] for one in said["scenarios"]} == set(SCENARIOS)
    assert set(said["choices"]) == {"pattern", "prevention"}
    assert {len(said["series"][name]) for name in SERIES} == {len(said["series"]["at"])}


def test_knobs_and_traffic_are_turned_and_the_answer_shows_it(bench: Running) -> None:
    status, said = bench.ask("PUT", "/bench/knobs", {"pattern": "write-behind", "jitter": False})
    assert (status, said["knobs"]["pattern"], said["knobs"]["jitter"]) == (200, "write-behind", False)
    assert bench.shop.knobs.pattern == "write-behind"
    status, said = bench.ask("PUT", "/bench/traffic", {"rate": 50, "hot_share": 0.5})
    assert (status, said["traffic"]["rate"], said["traffic"]["hot_share"]) == (200, 50, 0.5)
    assert bench.driver.traffic.rate == 50


@pytest.mark.parametrize(
    ("method", "path", "body", "sentence"),
    [
        ("PUT", "/bench/knobs", {"pattern": "memory"}, "pattern must be one of"),
        ("PUT", "/bench/knobs", {"colour": 1}, "there is no knob colour"),
        ("PUT", "/bench/traffic", {"rate": -1}, "rate must be a number"),
        ("PUT", "/bench/traffic", [1], "the body must be a JSON object"),
        ("POST", "/bench/scenario", {"name": "flood"}, "the scenario must be one of"),
        ("POST", "/bench/scenario", {}, "the scenario must be one of"),
        ("POST", "/bench/comparison", {"seconds": 1}, "seconds must be a whole number from 5"),
        ("POST", "/bench/comparison", {"seconds": True}, "seconds must be a whole number"),
        ("POST", "/bench/comparison", {"seed": "x"}, "seed must be a whole number"),
        ("POST", "/bench/comparison", {"prevention": "luck"}, "prevention must be one of"),
    ],
)
def test_what_is_not_possible_is_refused_in_a_sentence(
    bench: Running, method: str, path: str, body: Any, sentence: str
) -> None:
    before = bench.shop.knobs, bench.driver.traffic
    status, said = bench.ask(method, path, body)
    assert status == 400
    assert sentence in said["error"]
    assert (bench.shop.knobs, bench.driver.traffic) == before


def test_pages_of_strangers_change_nothing(bench: Running) -> None:
    as_text = {"Content-Type": "text/plain"}
    for method, path in (("PUT", "/bench/knobs"), ("PUT", "/bench/traffic"), ("POST", "/bench/scenario")):
        assert bench.ask(method, path, {"jitter": False, "name": "deploy-flush"}, as_text)[0] == 415
    assert bench.ask("GET", headers={"Host": "attacker.example"})[0] == 400
    assert bench.ask("PUT", "/bench/knobs", {"jitter": False}, {"Host": "attacker.example:8602"})[0] == 400
    assert bench.ask("GET", headers={"Host": f"localhost:{bench.port}"})[0] == 200
    assert bench.ask("PUT", "/bench/knobs", {"jitter": "x" * 20_000})[0] == 413
    assert bench.shop.knobs.jitter
    assert bench.shop.weather == []


def test_a_shop_that_is_away_is_said_to_be_and_turning_it_is_refused_for_now(bench: Running) -> None:
    bench.shop.lab_answers = False
    wait_until(lambda: bench.state()["shop"] == "away", "it to be away")
    status, said = bench.ask("PUT", "/bench/knobs", {"jitter": False})
    assert status == 409
    assert "the shop" in said["error"]
    bench.shop.lab_answers = True
    wait_until(lambda: bench.state()["shop"] == "up", "it to be back")


def test_a_comparison_is_not_disturbed_and_can_be_cancelled(bench: Running) -> None:
    before = bench.shop.knobs, bench.driver.traffic
    status, said = bench.ask("POST", "/bench/comparison", {"seconds": 3600, "seed": 3, "prevention": "mutex"})
    assert (status, said["comparison"]["state"], said["comparison"]["rows"]) == (200, "running", [])
    wait_until(lambda: bench.state()["comparison"]["progress"] > 0, "progress")
    assert bench.shop.knobs.prevention == "mutex"
    for method, path, body in (
        ("PUT", "/bench/knobs", {"jitter": False}),
        ("PUT", "/bench/traffic", {"rate": 1}),
        ("POST", "/bench/scenario", {"name": "steady"}),
        ("POST", "/bench/comparison", {"seconds": 60}),
    ):
        status, said = bench.ask(method, path, body)
        assert (status, "a comparison is running" in said["error"]) == (409, True)
    status, said = bench.ask("DELETE", "/bench/comparison")
    assert (status, said["comparison"]["state"]) == (200, "cancelled")
    assert said["comparison"]["ended"]
    assert (bench.shop.knobs, bench.driver.traffic) == before


def test_a_finished_comparison_outlives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.demo.bench.bench.SHORTEST", 1)
    with benching(tmp_path) as bench:
        bench.ask("POST", "/bench/comparison", {"seconds": 1, "seed": 3})
        wait_until(lambda: (bench.state()["comparison"] or {}).get("state") == "finished", "the end", 300)
        said = bench.state()["comparison"]
        wait_until((tmp_path / "comparison.json").exists, "the file")
    assert [row["pattern"] for row in said["rows"]] == ["cache-aside", "read-through", "write-through", "write-behind"]
    assert json.loads((tmp_path / "comparison.json").read_text()) == said
    with benching(tmp_path) as bench:
        assert bench.state()["comparison"] == said
    (tmp_path / "comparison.json").write_text("[")
    with benching(tmp_path) as bench:
        assert bench.state()["comparison"] is None
