"""Policies as servers list them, and what is said of each."""

from __future__ import annotations

import pytest

from dashboard.cache.statistics.info import POLICIES
from dashboard.cache.tuning.policies import ALL, EVERYWHERE, listed_in, policy_of

MODERN = (
    "CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one of the following: "
    "volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction"
)
OLD = (
    "Invalid argument 'x' for CONFIG SET 'maxmemory-policy' - argument must be one of the following: "
    "volatile-lru, noeviction"
)


def test_the_list_is_read_from_the_servers_complaint() -> None:
    assert set(listed_in(MODERN)) == set(EVERYWHERE)
    assert listed_in(OLD) == ("volatile-lru", "noeviction")


def test_a_policy_that_nobody_heard_of_stands_last_and_says_so() -> None:
    assert listed_in("one of the following: volatile-lru, allkeys-fifo") == ("volatile-lru", "allkeys-fifo")
    assert "does not know" in policy_of("allkeys-fifo").says


@pytest.mark.parametrize("text", ["", "ERR unknown command", "one of the following: <script>, a b"])
def test_what_lists_nothing_gives_nothing(text: str) -> None:
    assert listed_in(text) == ()


def test_every_policy_that_samples_may_hold_is_explained() -> None:
    assert {policy.name for policy in ALL} == set(POLICIES)
    assert all(policy.says.endswith(".") and policy.when.endswith(".") for policy in ALL)
    assert [policy.name for policy in ALL if not policy.evicts] == ["noeviction"]
