"""How a walk is kept gentle: a batch is as large as its predecessors' cost allows, and rests keep the share."""

from __future__ import annotations

import time

import pytest

from dashboard.cache.walking.governor import AIM, LEAST_COUNT, MOST_COUNT, Budget, Governor


def test_a_batch_grows_while_calls_are_cheap_but_only_twofold() -> None:
    governor = Governor(Budget(hold_ms=1.0))
    sizes = []
    for _ in range(12):
        sizes.append(governor.count)
        governor.measured(0.000_01, governor.count)
    assert sizes[:4] == [100, 200, 400, 800]
    assert governor.count == MOST_COUNT


def test_a_batch_shrinks_when_a_call_was_dear_but_only_by_half() -> None:
    governor = Governor(Budget(hold_ms=1.0, first_count=8000))
    sizes = []
    for _ in range(20):
        governor.measured(1.0, governor.count)
        sizes.append(governor.count)
    assert sizes[:3] == [4000, 2000, 1000]
    assert sizes[-1] == LEAST_COUNT


def test_a_call_that_was_not_answered_counts_as_cost_and_the_next_is_much_smaller() -> None:
    governor = Governor(Budget(first_count=800))
    governor.failed(2.0)
    assert governor.count == 100
    assert (governor.calls, governor.busy, governor.longest) == (1, 2.0, 2.0)
    for _ in range(5):
        governor.failed(2.0)
    assert governor.count == LEAST_COUNT


def test_a_steady_cost_leads_to_the_time_that_one_call_may_hold() -> None:
    governor = Governor(Budget(hold_ms=2.0))
    cost = 0.000_001  # seconds for each key
    for _ in range(20):
        governor.measured(governor.count * cost, governor.count)
    assert governor.count == AIM * 2000


def test_one_dear_call_makes_the_next_ones_small_and_cheap_ones_make_them_large_slowly() -> None:
    governor = Governor(Budget(hold_ms=1.0))
    for _ in range(20):
        governor.measured(governor.count * 1e-6, governor.count)
    usual = governor.count
    governor.measured(usual * 1.5e-6, usual)
    sizes = [governor.count]
    for _ in range(30):
        governor.measured(governor.count * 1e-6, governor.count)
        sizes.append(governor.count)
    assert sizes[0] < usual * 0.7
    assert sizes == sorted(sizes)
    assert sizes[1] < usual
    assert sizes[-1] == pytest.approx(usual, rel=0.05)


@pytest.mark.parametrize(("share", "rest"), [(0.5, 0.2), (0.25, 0.6), (1.0, 0.0)])
def test_it_rests_until_its_share_is_kept(share: float, rest: float) -> None:
    governor = Governor(Budget(share=share))
    governor.measured(0.2, 100)
    assert rest - 0.1 <= governor.wait() <= rest


def test_what_happens_meanwhile_counts_as_rest() -> None:
    governor = Governor(Budget(share=0.5))
    governor.measured(0.2, 100, ended=time.perf_counter() - 0.15)
    assert governor.wait() <= 0.05


def test_what_the_network_takes_is_not_the_servers_time() -> None:
    near, far = Governor(Budget()), Governor(Budget(), round_trip=0.020)
    for _ in range(20):
        near.measured(0.001, near.count)
        far.measured(0.021, far.count)
    assert near.count == pytest.approx(far.count, rel=0.3)
    assert far.busy == pytest.approx(near.busy)


def test_it_says_what_a_walk_has_cost() -> None:
    governor = Governor(Budget())
    for seconds in (0.001, 0.003, 0.002):
        governor.measured(seconds, 100)
    assert (governor.calls, governor.longest) == (3, 0.003)
    assert governor.busy == pytest.approx(0.006)
