"""Comparisons: the same for every pattern, judged by the truth; and the command that runs one on a real cache."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.demo.bench.blocks import Block
from dashboard.demo.bench.comparison import Plan, Result, Snapshot, compare, enough, result
from dashboard.demo.compare_table import table
from dashboard.demo.visitors.tally import Ledger
from dashboard.demo.visitors.traffic import Traffic
from tests.demo.benching import driver_and_recorder
from tests.demo.fake_shop import PRODUCTS, USERS, FakeShop, fake_shop
from tests.programs import ROOT, alive, command_lines, descendants, environment, wait_until
from tests.servers import Server
from tests.servers import running as server_running

COMPARE = (sys.executable, "-m", "dashboard.demo", "compare")
PATTERNS = ["cache-aside", "read-through", "write-through", "write-behind"]
TRAFFIC = Traffic(USERS, PRODUCTS, rate=100, write_share=0.3)


@pytest.fixture
def shop() -> Iterator[FakeShop]:
    with fake_shop() as shop:
        yield shop


def _plan(**more: Any) -> Plan:
    return Plan(**{"seconds": 1, "seed": 5, "traffic": TRAFFIC, "knobs": {"prevention": "mutex"}, **more})


def _compared(shop: FakeShop, plan: Plan, halted: threading.Event | None = None) -> list[Snapshot]:
    with driver_and_recorder(shop) as (driver, recorder):
        snapshots = list(compare(shop.client(), driver, recorder, plan, halted or threading.Event()))
        assert driver.traffic.rate == 100
    return snapshots


def test_each_pattern_begins_with_the_same_requests_and_an_empty_cache(shop: FakeShop) -> None:
    last = _compared(shop, _plan(patterns=["cache-aside", "write-through"]))[-1]
    assert last.state == "finished"
    assert [row.pattern for row in last.rows] == ["cache-aside", "write-through"]
    assert {row.prevention for row in last.rows} == {"mutex"}
    assert shop.weather == ["removal", "removal"]
    assert [turned["pattern"] for turned in shop.turned[:2]] == ["cache-aside", "write-through"]
    for row in last.rows:
        assert row.requests > 0
        assert row.reads_judged > 0
        assert (row.stale_reads, row.lost, row.errors) == (0, 0, 0)
        assert row.figures["p50_ms"].low is not None


def test_each_seed_begins_with_another_pattern_and_the_rows_are_in_one_order(shop: FakeShop) -> None:
    turns = [_plan(seed=seed, patterns=PATTERNS).in_turn for seed in (1, 2, 3, 4, 0)]
    assert [turn[0] for turn in turns] == [*PATTERNS, "write-behind"]
    assert [sorted({turn[place] for turn in turns[:4]}) for place in range(4)] == [sorted(PATTERNS)] * 4
    last = _compared(shop, _plan(seed=2, patterns=["cache-aside", "write-through"]))[-1]
    assert [turned["pattern"] for turned in shop.turned[:2]] == ["write-through", "cache-aside"]
    assert [row.pattern for row in last.rows] == ["cache-aside", "write-through"]
    assert "write-through first" in last.sentence


def test_knobs_are_as_before_when_it_ends(shop: FakeShop) -> None:
    before = shop.knobs
    _compared(shop, _plan(patterns=["write-behind"], knobs={"jitter": False, "latency_ms": 2.0}))
    assert {"pattern": "write-behind", "jitter": False, "latency_ms": 2.0} in shop.turned
    assert shop.knobs == before


def test_stale_reads_and_lost_writes_are_in_the_row(shop: FakeShop) -> None:
    shop.shows_old, shop.forgets = True, True
    small = Traffic(5, 5, rate=100, write_share=0.3)
    (row,) = _compared(shop, _plan(patterns=["write-behind"], traffic=small))[-1].rows
    assert row.stale_reads > 0
    assert row.lost is not None
    assert row.lost > 0


def test_while_changes_still_wait_nobody_says_that_they_are_lost(shop: FakeShop) -> None:
    shop.forgets, shop.left = True, 3
    (row,) = _compared(shop, _plan(patterns=["write-behind"]))[-1].rows
    assert row.lost is None
    assert row.lag_s == 0.25


def test_progress_only_grows_and_ends_at_one(shop: FakeShop) -> None:
    snapshots = _compared(shop, _plan(patterns=["cache-aside", "write-through"]))
    progress = [snapshot.progress for snapshot in snapshots]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert snapshots[-1].ended is not None


def test_a_cancelled_comparison_says_so_and_puts_back(shop: FakeShop) -> None:
    before, halted = shop.knobs, threading.Event()
    with driver_and_recorder(shop) as (driver, recorder):
        for snapshot in compare(shop.client(), driver, recorder, _plan(seconds=600), halted):
            if snapshot.progress > 0:
                halted.set()
    assert snapshot.state == "cancelled"
    assert snapshot.rows == ()
    assert shop.knobs == before


def test_a_shop_that_goes_away_makes_it_fail_with_a_sentence(shop: FakeShop) -> None:
    with driver_and_recorder(shop) as (driver, recorder):
        for snapshot in compare(shop.client(), driver, recorder, _plan(), threading.Event()):
            shop.lab_answers = snapshot.progress == 0
    assert snapshot.state == "failed"
    assert "The comparison failed: " in snapshot.sentence


def _result() -> Result:
    ledger = Ledger()
    for number in range(100):
        ledger.answered(0.010, 200, "hit" if number < 90 else "miss")
    blocks = [Block(0.0, 1.0, ledger.take(), {"queries": 12, "duplicate_loads": 1})] * 3
    return result(_plan(), "write-behind", blocks, None)


@pytest.mark.parametrize(("period", "blocks"), [(0.9995, 10), (1.0, 10), (1.0005, 10), (1.3, 8), (12.0, 1)])
def test_each_pattern_is_counted_for_as_long_as_the_others(period: float, blocks: int) -> None:
    one = Block(0.0, period, Ledger().take(), {})
    assert [enough([one] * number, 10) for number in range(blocks + 1)] == [False] * blocks + [True]


def test_the_table_says_what_was_not_measured_and_what_its_columns_mean() -> None:
    drawn = table(Snapshot("finished", 0.0, 1, 5, sentence="Done.", rows=(_result(),)))
    assert "write-behind" in drawn
    assert "90.0 [90.0, 90.0]" in drawn
    assert "12.0 [12.0, 12.0]" in drawn
    assert "not known" in drawn
    assert "95 % intervals" in drawn
    assert "Nothing was measured." in table(Snapshot("cancelled", 0.0, 1, 5))


def _command(cache_url: str, data: Path, *options: str) -> subprocess.Popen[str]:
    env = environment(data, DEMO_CACHE_URL=cache_url)
    return subprocess.Popen([*COMPARE, *options], env=env, cwd=ROOT, stdout=-1, stderr=-1, text=True)


def test_the_command_compares_all_patterns_on_a_real_cache_and_leaves_nothing(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        client.set("somebodys", "key")
        command = _command(valkey.url, tmp_path, "--seconds", "5", "--rate", "40", "--processes", "2", "--json")
        out, err = command.communicate(timeout=300)
        assert command.returncode == 0, err
        assert client.keys("*") == [b"somebodys"]
    said = json.loads(out)
    assert [row["pattern"] for row in said["rows"]] == PATTERNS
    assert (said["state"], said["processes"], said["copies"], said["seconds"]) == ("finished", 2, True, 5)
    for row in said["rows"]:
        assert row["requests"] > 0
        assert row["lost"] == 0
        assert row["p50_ms"]["low"] <= row["p50_ms"]["value"] <= row["p50_ms"]["high"]
    assert "Measuring write-behind." in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_shops_and_keys_as_well(valkey: Server, tmp_path: Path, number: signal.Signals) -> None:
    command = _command(valkey.url, tmp_path, "--seconds", "600")
    with valkey.client() as client:
        wait_until(lambda: len(client.keys("lab:*")) > 20, "keys")
        started = descendants(command.pid)
        command.send_signal(number)
        out, err = command.communicate(timeout=120)
        assert command.returncode == 130
        assert "Traceback" not in err
        wait_until(lambda: not any(alive(pid) for pid in started), "its shop to be gone")
        assert client.keys("*") == []
    assert "cancelled" in out


def test_no_password_is_in_a_process_list_or_in_what_is_said(tmp_path: Path) -> None:
    with server_running("--requirepass", "s3cret-of-the-cache") as cache:
        url = f"redis://:s3cret-of-the-cache@127.0.0.1:{cache.port}"
        command = _command(url, tmp_path, "--seconds", "600")
        wait_until(lambda: len(descendants(command.pid)) > 0, "the shop")
        assert "s3cret" not in command_lines()
        command.send_signal(signal.SIGTERM)
        out, err = command.communicate(timeout=120)
    assert "s3cret" not in out + err


@pytest.mark.parametrize(("url", "sentence"), [("", "set DEMO_CACHE_URL"), ("memcached://x", "must be redis://")])
def test_without_a_cache_it_says_what_is_missing(tmp_path: Path, url: str, sentence: str) -> None:
    command = _command(url, tmp_path)
    out, err = command.communicate(timeout=120)
    assert (command.returncode, sentence in err, out) == (2, True, "")


def test_a_cache_that_is_away_is_no_reason_to_fail_but_is_said(tmp_path: Path) -> None:
    with server_running() as cache:
        url = cache.url
    command = _command(url, tmp_path, "--seconds", "600")
    shops: list[int] = []
    wait_until(lambda: bool(shops.extend(descendants(command.pid)) or shops), "the shop")
    os.kill(command.pid, signal.SIGINT)
    _out, err = command.communicate(timeout=120)
    assert command.returncode != 0
    assert "keys that begin with lab:" in err
    assert "Traceback" not in err
