"""The numbers of the throttle, over hours and many addresses."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from dashboard.store import throttle
from dashboard.store.engine import Store
from dashboard.store.schema import SignInRow
from dashboard.store.throttle import Throttled, place

NOW = 1_700_000_000.0
HOUR, DAY = 3600.0, 86400.0


def attempt(store: Store, name: str, address: str, now: float) -> float:
    """Fail once; 0.0, or how long one has to wait before that is allowed."""
    try:
        with store.write("sign_in") as session:
            throttle.reserve(session, place(name, address), now)
    except Throttled as refusal:
        return refusal.retry_after
    return 0.0


def succeed(store: Store, name: str, address: str, now: float) -> None:
    with store.write("sign_in") as session:
        throttle.succeeded(session, place(name, address), now)


def rows(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(SignInRow)) or 0


def many_attackers(store: Store, count: int, now: float = NOW) -> list[float]:
    return [attempt(store, "alice", f"10.0.{number // 250}.{number % 250}", now) for number in range(count)]


def test_the_delay_doubles_up_to_a_quarter_of_an_hour(store: Store) -> None:
    now, delays = NOW, []
    for _ in range(12):
        wait = attempt(store, "alice", "192.0.2.1", now)
        if wait:
            delays.append(wait)
            now += wait
            assert attempt(store, "alice", "192.0.2.1", now) == 0.0
    assert delays[:7] == [15, 30, 60, 120, 240, 480, 900]
    assert max(delays) == 900


def test_the_delay_is_from_the_last_failure(store: Store) -> None:
    for _ in range(5):
        attempt(store, "alice", "192.0.2.1", NOW)
    assert attempt(store, "alice", "192.0.2.1", NOW + 10) == 5.0


def test_waiting_without_trying_is_not_prolonged_by_refused_attempts(store: Store) -> None:
    for _ in range(5):
        attempt(store, "alice", "192.0.2.1", NOW)
    for second in range(1, 15):
        assert attempt(store, "alice", "192.0.2.1", NOW + second) == 15 - second
    assert attempt(store, "alice", "192.0.2.1", NOW + 15) == 0.0


def test_one_attacker_has_few_attempts_a_day(store: Store) -> None:
    now, tried = NOW, 0
    while now < NOW + DAY:
        wait = attempt(store, "alice", "192.0.2.1", now)
        tried += wait == 0.0
        now += wait
    assert 24 < tried < 24 * 16


def test_one_attacker_does_not_lock_the_operator_out_elsewhere(store: Store) -> None:
    now = NOW
    while now < NOW + 3 * HOUR:
        now += attempt(store, "alice", "198.51.100.9", now)
    assert attempt(store, "alice", "192.0.2.1", now) == 0.0


def test_an_address_that_tries_many_names_is_held_up(store: Store) -> None:
    assert [attempt(store, f"name {number}", "192.0.2.1", NOW) for number in range(30)] == [0.0] * 30
    assert attempt(store, "yet another", "192.0.2.1", NOW + 60) == 840.0
    assert attempt(store, "yet another", "192.0.2.2", NOW + 60) == 0.0
    assert attempt(store, "yet another", "192.0.2.1", NOW + 900) == 0.0


def test_many_addresses_that_try_one_account_are_held_up(store: Store) -> None:
    assert many_attackers(store, 50) == [0.0] * 50
    assert attempt(store, "alice", "192.0.2.1", NOW + 60) == 3540.0
    assert attempt(store, "bob", "192.0.2.1", NOW + 60) == 0.0
    assert attempt(store, "alice", "192.0.2.1", NOW + 3600) == 0.0


def test_many_addresses_do_not_lock_the_operator_out_of_known_ones(store: Store) -> None:
    succeed(store, "alice", "192.0.2.1", NOW - 29 * DAY)
    succeed(store, "bob", "192.0.2.2", NOW)
    many_attackers(store, 60)
    assert attempt(store, "alice", "192.0.2.1", NOW) == 0.0
    assert attempt(store, "alice", "192.0.2.2", NOW) > 0.0


def test_an_address_is_known_for_thirty_days(store: Store) -> None:
    succeed(store, "alice", "192.0.2.1", NOW - 31 * DAY)
    many_attackers(store, 60)
    assert attempt(store, "alice", "192.0.2.1", NOW) > 0.0


def test_a_known_address_is_still_held_up_by_its_own_failures(store: Store) -> None:
    succeed(store, "alice", "192.0.2.1", NOW)
    waits = [attempt(store, "alice", "192.0.2.1", NOW) for _ in range(6)]
    assert waits == [0.0] * 5 + [15.0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "x" * 100, False),
    ],
)
def test_which_addresses_are_one(one: str, other: str, same: bool) -> None:
    assert (place("alice", one) == place("alice", other)) is same


def test_any_text_may_stand_for_an_address(store: Store) -> None:
    assert attempt(store, "alice", "/run/\0sock" * 100, NOW) == 0.0


def test_rows_are_pruned_when_they_no_longer_count(store: Store) -> None:
    many_attackers(store, 40)
    succeed(store, "alice", "192.0.2.1", NOW)
    assert rows(store) == 41
    attempt(store, "bob", "192.0.2.9", NOW + HOUR)
    assert rows(store) == 2
    attempt(store, "bob", "192.0.2.9", NOW + 30 * DAY)
    assert rows(store) == 1


def test_a_clock_that_was_set_back_locks_nobody_out_for_long(store: Store) -> None:
    for _ in range(5):
        attempt(store, "alice", "192.0.2.1", NOW + 10 * DAY)
    assert attempt(store, "alice", "192.0.2.1", NOW) == 0.0


@pytest.mark.parametrize(("seconds", "told"), [(0.2, "1 s"), (90.0, "90 s"), (91.0, "2 min"), (3600.0, "60 min")])
def test_the_wait_is_told_in_words(seconds: float, told: str) -> None:
    assert Throttled(seconds).sentence == f"Too many failed sign-ins. Try again in {told}."
