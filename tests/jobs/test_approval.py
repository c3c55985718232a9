"""Which plans need another operator, by keys, bytes and share, each at its very threshold; and where one stops."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dashboard.cache.analysis.report import Report
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.invalidation.report import Effect, Plan
from dashboard.cache.walking.progress import Progress
from dashboard.jobs.approval import asked_for, most_unapproved, needs_approval

MB = 1024 * 1024


@dataclass(frozen=True)
class Set:
    approve_keys: int = 0
    approve_mb: int = 0
    approve_percent: float = 0.0


def plan(keys: Estimate, memory: Estimate | None = None, total: int = 100_000, share: float | None = None) -> Plan:
    return Plan(Progress(total, total), Report(1.0, keys=keys, memory=memory), effect=Effect(keys_share=share))


def test_nothing_needs_it_where_no_threshold_is_set() -> None:
    assert not asked_for(Set())
    assert needs_approval(Set(), plan(exactly(100_000), exactly(1e12))) == ""
    assert most_unapproved(Set(), plan(exactly(100_000))) is None


@pytest.mark.parametrize(("keys", "needs"), [(999, False), (1000, True), (1001, True)])
def test_by_keys_from_the_threshold_on(keys: int, needs: bool) -> None:
    sentence = needs_approval(Set(approve_keys=1000), plan(exactly(keys)))
    assert bool(sentence) is needs
    assert not needs or sentence == f"{keys:,} keys: from 1,000 keys on another operator has to approve it."


@pytest.mark.parametrize(("megabytes", "needs"), [(9.99, False), (10, True)])
def test_by_bytes_from_the_threshold_on(megabytes: float, needs: bool) -> None:
    sentence = needs_approval(Set(approve_mb=10), plan(exactly(5), exactly(megabytes * MB)))
    assert bool(sentence) is needs
    assert not needs or "10\u202fMB: from 10\u202fMB on" in sentence


@pytest.mark.parametrize(("keys", "needs"), [(2499, False), (2500, True)])
def test_by_share_from_the_threshold_on(keys: int, needs: bool) -> None:
    sentence = needs_approval(Set(approve_percent=2.5), plan(exactly(keys)))
    assert bool(sentence) is needs
    assert not needs or "2.5 % of all keys: from 2.5 % on" in sentence


def test_an_estimate_is_judged_by_its_upper_end() -> None:
    about = Estimate(500, 100, 1200)
    assert needs_approval(Set(approve_keys=1000), plan(about)).startswith("Up to 1,200 keys:")
    assert needs_approval(Set(approve_mb=1), plan(exactly(5), Estimate(1, 1, 2 * MB))).startswith("Up to 2")
    assert needs_approval(Set(approve_percent=1), plan(about)).startswith("Up to 1.2 %")


def test_what_cannot_be_judged_needs_it() -> None:
    assert "not known" in needs_approval(Set(approve_mb=10), plan(exactly(5)))
    assert "not known" in needs_approval(Set(approve_percent=10), plan(exactly(5), total=0))


def test_the_share_of_a_list_is_that_of_all_keys_and_not_of_the_list() -> None:
    listed = plan(exactly(20), total=20, share=0.0002)
    assert needs_approval(Set(approve_percent=1), listed, listed=True) == ""
    assert needs_approval(Set(approve_percent=0.02), listed, listed=True)
    assert "not known" in needs_approval(Set(approve_percent=1), plan(exactly(20), total=20), listed=True)


def test_a_plan_that_finds_nothing_needs_nobody() -> None:
    assert needs_approval(Set(1, 1, 1), plan(exactly(0), None, total=0)) == ""


@pytest.mark.parametrize(
    ("thresholds", "most"),
    [
        (Set(approve_keys=1000), 999),
        (Set(approve_percent=1), 999),
        (Set(approve_percent=0.0015), 1),
        (Set(approve_mb=10), 199),
        (Set(1000, 10, 1), 199),
    ],
)
def test_an_unapproved_execution_stops_below_every_threshold(thresholds: Set, most: int) -> None:
    """100 keys of 5 MB among 100,000."""
    assert most_unapproved(thresholds, plan(exactly(100), exactly(5 * MB))) == most
