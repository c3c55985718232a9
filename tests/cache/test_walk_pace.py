"""How a walk is kept gentle: a batch is as large as its predecessors' cost allows, and rests keep the share."""

from __future__ import annotations

import time

import pytest

from dashboard.cache.walk import MOST_COUNT, Budget, _Governor


def test_a_batch_grows_while_calls_are_cheap_but_only_twofold() -> None:
    governor = _Governor(Budget(hold_ms=1.0))
    sizes = []
    for _ in range(12):
        sizes.append(governor.count)
        governor.measured(0.000_01, governor.count)
    assert sizes[:4] == [100, 200, 400, 800]
    assert governor.count == MOST_COUNT


def test_a_batch_shrinks_when_a_call_was_dear_but_only_by_half() -> None:
    governor = _Governor(Budget(hold_ms=1.0, first_count=8000))
    sizes = []
    for _ in range(12):
        governor.measured(1.0, governor.count)
        sizes.append(governor.count)
    assert sizes[:3] == [4000, 2000, 1000]
    assert sizes[-1] == 10


def test_a_steady_cost_leads_to_the_time_that_one_call_may_hold() -> None:
    governor = _Governor(Budget(hold_ms=2.0))
    cost = 0.000_001  # seconds for each key
    for _ in range(20):
        governor.measured(governor.count * cost, governor.count)
    assert governor.count == 2000


@pytest.mark.parametrize(("share", "rest"), [(0.5, 0.2), (0.25, 0.6), (1.0, 0.0)])
def test_it_rests_until_its_share_is_kept(share: float, rest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    governor = _Governor(Budget(share=share))
    governor.measured(0.2, 100)
    governor.rest(None)
    assert sum(slept) == pytest.approx(rest, abs=0.1)
    assert sum(slept) <= rest


def test_it_never_rests_beyond_the_end_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    governor = _Governor(Budget(share=0.01))
    governor.measured(1.0, 100)
    governor.rest(time.monotonic() + 0.05)
    assert 0 < sum(slept) <= 0.05
    governor.rest(time.monotonic() - 1)
    assert len(slept) == 1
