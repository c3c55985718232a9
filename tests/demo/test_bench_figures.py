"""Blocks, their figures, and the intervals around these."""

from __future__ import annotations

import random
import statistics
import threading
from collections.abc import Mapping, Sequence

import pytest

from dashboard.demo.bench.blocks import Block, figures, growth, rate
from dashboard.demo.bench.intervals import Interval, intervals
from dashboard.demo.bench.recorder import Recorder
from dashboard.demo.bench.shops import Standing
from dashboard.demo.visitors.tally import Ledger, Tally
from tests.demo.fake_shop import FakeShop, fake_shop
from tests.programs import wait_until


def _tally(requests: int = 0, hits: int = 0, stale: int = 0) -> Tally:
    ledger = Ledger()
    for number in range(requests):
        ledger.answered(0.010, 200, "hit" if number < hits else "miss")
    for _ in range(stale):
        ledger.judged(stale=True)
    return ledger.take()


def _block(growth: Mapping[str, float] | None = None, seconds: float = 1.0, tally: Tally | None = None) -> Block:
    return Block(at=0.0, seconds=seconds, tally=tally or Tally(), growth=growth)


def test_rates_are_by_the_time_that_blocks_really_took() -> None:
    blocks = [_block({"queries": 30}, 1.0), _block({"queries": 60}, 2.0)]
    assert rate(blocks, "queries") == 30
    assert rate(blocks, "duplicate_loads") == 0


def test_what_the_shop_did_not_say_is_not_taken_for_nothing() -> None:
    assert rate([_block(None)], "queries") is None
    assert rate([_block(None, 5.0), _block({"queries": 8}, 2.0)], "queries") == 4
    said = figures([_block(None)])
    assert (said.queries, said.hit_ratio, said.p50_ms, said.ack_ms) == (None, None, None, None)


def test_figures_of_several_blocks_are_of_all_their_requests() -> None:
    blocks = [
        _block({"acks": 2, "ack_ms_total": 3.0}, tally=_tally(requests=10, hits=9, stale=2)),
        _block({"acks": 0}, tally=_tally(requests=30, hits=9)),
    ]
    said = figures(blocks)
    assert said.requests == 20
    assert said.hit_ratio == 18 / 40
    assert said.p50_ms == pytest.approx(10, rel=0.01)
    assert said.stale_reads == 1
    assert said.ack_ms == 1.5
    assert figures([]).requests == 0


def test_counters_grow_over_all_processes_and_begin_anew_with_a_new_one() -> None:
    before = [Standing("a", {"queries": 10}), Standing("b", {"queries": 100})]
    after = [Standing("a", {"queries": 15}), Standing("c", {"queries": 7})]
    assert growth(before, after) == {"queries": 12}


def _mean(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": statistics.fmean(values)}


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    source, held, rounds = random.Random(1), 0, 300
    for number in range(rounds):
        found = intervals([source.gauss(5, 1) for _ in range(40)], _mean, seed=number, resamples=300)["mean"]
        assert found.low is not None
        assert found.high is not None
        assert found.value is not None
        assert found.low < found.value < found.high
        held += found.low <= 5 <= found.high
    # A bootstrap of percentiles is a little narrow for 40 pieces: 0.94 of them. Four standard errors around it.
    assert held / rounds == pytest.approx(0.94, abs=0.055)


def test_an_interval_of_dependent_pieces_is_wider_when_they_are_blocked() -> None:
    """Why blocks: what hangs together, drawn one by one, would pretend to be more than it is."""
    source = random.Random(1)
    groups = [[base + source.gauss(0, 0.1) for _ in range(20)] for base in (source.gauss(0, 1) for _ in range(30))]

    def of_blocks(blocks: Sequence[Sequence[float]]) -> dict[str, float | None]:
        return {"mean": statistics.fmean(value for block in blocks for value in block)}

    blocked = intervals(groups, of_blocks, seed=1, resamples=400)["mean"]
    single = intervals([value for group in groups for value in group], _mean, seed=1, resamples=400)["mean"]
    assert _width(blocked) > 3 * _width(single)


def _width(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low


def test_intervals_are_the_same_for_the_same_seed() -> None:
    values = [random.Random(1).random() for _ in range(20)]
    assert intervals(values, _mean, seed=1) == intervals(values, _mean, seed=1)


def test_of_nothing_there_is_no_interval() -> None:
    assert intervals([], lambda _pieces: {"x": None}, seed=1) == {"x": Interval(None, None, None)}
    assert intervals([1, 2], lambda _pieces: {"x": None}, seed=1) == {"x": Interval(None, None, None)}


class Recording:
    """A recorder of short blocks over a fake shop."""

    def __init__(self, shop: FakeShop) -> None:
        self.ledger = Ledger()
        self.recorder = Recorder(self.ledger, shop.client(), period=0.05)

    def __enter__(self) -> Recorder:
        self.recorder.start()
        return self.recorder

    def __exit__(self, *_error: object) -> None:
        self.recorder.end()


def test_blocks_hold_what_driver_and_shop_counted_meanwhile() -> None:
    with fake_shop() as shop, Recording(shop) as recorder:
        wait_until(lambda: recorder.taken > 2, "blocks")
        first = recorder.taken
        shop.queries += 40
        shop.left = 3
        wait_until(lambda: recorder.taken > first + 2, "more blocks")
        blocks = [recorder.next_block(number, 60) for number in range(first, first + 2)]
        grown = sum(block.grew("queries") for block in blocks if block)
        assert grown == 40
        assert recorder.now().lag_s == 0.25
        assert recorder.now().queue == 3
        assert recorder.cache is not None
        assert recorder.knobs["pattern"] == "cache-aside"


def test_a_shop_that_is_away_is_said_to_be_and_its_figures_are_not_known() -> None:
    with fake_shop() as shop, Recording(shop) as recorder:
        wait_until(lambda: recorder.shop_answers, "the shop")
    with fake_shop() as shop:
        recording = Recording(shop)
    with recording as recorder:
        wait_until(lambda: recorder.taken > 1, "blocks")
        assert not recorder.shop_answers
        assert recorder.now().queries is None
        assert recorder.cache is None


def test_who_waits_for_a_block_is_let_go_when_the_recorder_ends() -> None:
    with fake_shop() as shop:
        recorder = Recording(shop).recorder
        found: list[object] = []
        waiting = threading.Thread(target=lambda: found.append(recorder.next_block(10, 600)))
        waiting.start()
        recorder.end()
        waiting.join(60)
    assert found == [None]
