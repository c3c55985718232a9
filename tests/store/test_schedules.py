"""Schedules in the store: taken once, by one worker, and never carried out by who holds an old picture of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.store import schedules
from dashboard.store.engine import Store
from dashboard.store.schedules import MOST, Draft, Schedule, TooManySchedules, UnknownSchedule
from tests.store.processes import together
from tests.store.takers import take_schedules

DRAFT = Draft("main", {"pattern": "api:*"}, "0 3 * * *", 1000.0, "otto", "10.0.0.1", "nightly")


def _again(store: Store, schedule: Schedule) -> Schedule:
    found = schedules.get(store, schedule.id)
    assert found
    return found


def _taken(store: Store) -> Schedule:
    made = schedules.create(store, DRAFT)
    assert schedules.take(store, made, 1001.0, 2000.0)
    return _again(store, made)


def test_it_keeps_what_was_asked_for(store: Store) -> None:
    made = schedules.create(store, DRAFT)
    assert schedules.get(store, made.id) == made
    assert (made.cache, made.task, made.cron, made.next_at) == ("main", {"pattern": "api:*"}, "0 3 * * *", 1000.0)
    assert (made.actor, made.address, made.reason) == ("otto", "10.0.0.1", "nightly")
    assert (made.enabled, made.last_at, made.last_invalidation, made.last_error) == (True, None, None, "")


@pytest.mark.parametrize("number", [0, -1, 7, 2**31, 2**70])
def test_a_number_that_is_none_is_no_schedule(number: int, store: Store) -> None:
    assert schedules.get(store, number) is None
    for act in (lambda: schedules.remove(store, number), lambda: schedules.disable(store, number)):
        with pytest.raises(UnknownSchedule):
            act()


def test_what_comes_next_is_listed_first_then_what_rests(store: Store) -> None:
    late, off, soon = (schedules.create(store, replace(DRAFT, next_at=at)) for at in (300.0, 50.0, 100.0))
    over = schedules.create(store, replace(DRAFT, cron=""))
    schedules.create(store, replace(DRAFT, cache="other"))
    schedules.disable(store, off.id)
    assert schedules.take(store, over, 1001.0, None)
    listed = schedules.of_cache(store, "main")
    assert [one.id for one in listed] == [soon.id, late.id, over.id, off.id]
    assert [one.over for one in listed] == [False, False, True, False]


def test_a_cache_has_a_limit_of_its_own(store: Store) -> None:
    for _ in range(MOST):
        schedules.create(store, DRAFT)
    with pytest.raises(TooManySchedules, match=f"at most {MOST}"):
        schedules.create(store, DRAFT)
    schedules.create(store, replace(DRAFT, cache="other"))


def test_only_what_is_enabled_and_due_on_these_caches_is_due(store: Store) -> None:
    made = schedules.create(store, DRAFT)
    off = schedules.create(store, DRAFT)
    schedules.disable(store, off.id)
    schedules.create(store, replace(DRAFT, next_at=1002.0))
    schedules.create(store, replace(DRAFT, cache="other"))
    assert [one.id for one in schedules.due(store, ["main", "elsewhere"], 1001.0)] == [made.id]
    assert schedules.due(store, ["main"], 999.0) == []
    assert schedules.due(store, [], 5000.0) == []


def test_it_is_taken_once(store: Store) -> None:
    made = schedules.create(store, DRAFT)
    assert schedules.take(store, made, 1001.0, 2000.0)
    assert not schedules.take(store, made, 1001.5, 2000.0)
    taken = _again(store, made)
    assert (taken.next_at, taken.last_at, taken.last_invalidation) == (2000.0, 1001.0, None)
    assert schedules.due(store, ["main"], 1500.0) == []


def test_of_several_workers_one_takes_it(store: Store, url: str) -> None:
    for _ in range(20):
        schedules.create(store, DRAFT)
    won = together(4, take_schedules, url)
    assert sorted(number for each in won for number in each) == [one.id for one in schedules.of_cache(store, "main")]


def test_what_is_disabled_or_changed_meanwhile_is_not_taken(store: Store) -> None:
    made = schedules.create(store, DRAFT)
    schedules.disable(store, made.id)
    assert not schedules.take(store, made, 1001.0, 2000.0)
    schedules.enable(store, made.id, 3000.0)
    assert not schedules.take(store, made, 1001.0, 2000.0)
    assert _again(store, made).next_at == 3000.0


def test_what_was_taken_is_unsettled_until_it_is_given_up_or_long_ago(store: Store) -> None:
    taken = _taken(store)
    assert schedules.unsettled(store, ["main"], 1002.0) == [taken]
    assert schedules.unsettled(store, ["other"], 1002.0) == []
    assert schedules.unsettled(store, ["main"], 1002.0 + schedules.WATCHED_SECONDS) == []
    assert schedules.give_up(store, taken, "No.")
    assert schedules.unsettled(store, ["main"], 1002.0) == []
    assert _again(store, taken).last_error == "No."


def test_one_invalidation_comes_of_it(store: Store) -> None:
    taken = _taken(store)
    assert schedules.planned(store, taken, 184)
    assert not schedules.planned(store, taken, 185)  # of another worker, which was slower
    assert _again(store, taken).last_invalidation == 184
    assert schedules.planned(store, _again(store, taken), 186)  # in the place of the first
    assert _again(store, taken).last_invalidation == 186


def test_nothing_comes_of_what_is_taken_anew_disabled_or_gone(store: Store) -> None:
    first = _taken(store)
    assert schedules.take(store, first, 2001.0, 3000.0)
    assert not schedules.planned(store, first, 184)
    assert not schedules.give_up(store, first, "No.")
    second = _again(store, first)
    schedules.disable(store, first.id)
    assert not schedules.planned(store, second, 185)
    schedules.remove(store, first.id)
    assert not schedules.give_up(store, second, "No.")
