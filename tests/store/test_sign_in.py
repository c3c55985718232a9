"""Signing in: who gets in, at what cost, and how often it may be tried."""

from __future__ import annotations

import argon2
import pytest
from sqlalchemy import func, select

from dashboard.store import operators, passwords, throttle
from dashboard.store.engine import Store
from dashboard.store.operators import Operator, Role, Throttled
from dashboard.store.schema import OperatorRow, SignInRow
from tests.store.processes import together, try_wrong_password

PASSWORD = "correct horse"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.9"
NOW = 1_700_000_000.0

pytestmark = pytest.mark.usefixtures("cheap_hashes")


@pytest.fixture
def alice(store: Store) -> Operator:
    return operators.add(store, "alice", PASSWORD, Role.OPERATOR)


def fail(store: Store, times: int, name: str = "alice", address: str = ELSEWHERE, now: float = NOW) -> None:
    for _ in range(times):
        assert operators.sign_in(store, name, "wrong password", address, now) is None


def kept(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(SignInRow)) or 0


def test_the_right_password_signs_in_and_is_noted(store: Store, alice: Operator) -> None:
    signed_in = operators.sign_in(store, " ALICE", PASSWORD, HOME, NOW)
    assert signed_in is not None
    assert (signed_in.id, signed_in.last_login_at) == (alice.id, NOW)
    assert operators.by_id(store, alice.id) == signed_in
    assert signed_in.session_epoch == alice.session_epoch


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong password"),
        ("alice", ""),
        ("alice", PASSWORD + "x" * 5000),
        ("bob", PASSWORD),
        ("", ""),
        ("a\0b", PASSWORD),
        ("\ud800", "\ud800"),
        ("x" * 100_000, "x" * 100_000),
    ],
    ids=range(8),
)
def test_nobody_else_gets_in(store: Store, alice: Operator, name: str, password: str) -> None:
    assert operators.sign_in(store, name, password, HOME) is None


def test_a_disabled_operator_does_not_get_in(store: Store, alice: Operator) -> None:
    operators.set_enabled(store, alice.id, False)
    assert operators.sign_in(store, "alice", PASSWORD, HOME) is None
    operators.set_enabled(store, alice.id, True)
    assert operators.sign_in(store, "alice", PASSWORD, HOME) is not None


def test_the_old_password_does_not_get_in(store: Store, alice: Operator) -> None:
    operators.set_password(store, alice.id, "another password")
    assert operators.sign_in(store, "alice", PASSWORD, HOME) is None
    assert operators.sign_in(store, "alice", "another password", HOME) is not None


@pytest.mark.parametrize("name", ["alice", "disabled", "unknown", "a\0b", "x" * 100_000], ids=ascii)
@pytest.mark.parametrize("password", ["wrong password", PASSWORD + "x" * 5000])
def test_a_failure_costs_the_same_for_every_name(
    store: Store, alice: Operator, monkeypatch: pytest.MonkeyPatch, name: str, password: str
) -> None:
    disabled = operators.add(store, "disabled", PASSWORD, Role.VIEWER)
    operators.set_enabled(store, disabled.id, False)
    checked = []
    verify = argon2.PasswordHasher.verify

    def count(self: argon2.PasswordHasher, stored: str, octets: bytes) -> bool:
        checked.append(argon2.extract_parameters(stored))
        return verify(self, stored, octets)

    passwords.decoy()
    monkeypatch.setattr(argon2.PasswordHasher, "verify", count)
    monkeypatch.setattr(argon2.PasswordHasher, "hash", pytest.fail)
    assert operators.sign_in(store, name, password, HOME) is None
    with store.read() as session:
        stored = session.get_one(OperatorRow, alice.id).password_hash
    assert checked == [argon2.extract_parameters(stored)]


def test_a_hash_with_outdated_parameters_is_renewed_at_login(
    store: Store, alice: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stronger = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", stronger)
    fail(store, 1)
    assert operators.sign_in(store, "alice", PASSWORD, HOME) is not None
    with store.read() as session:
        assert not stronger.check_needs_rehash(session.get_one(OperatorRow, alice.id).password_hash)
    assert operators.sign_in(store, "alice", PASSWORD, HOME) is not None


def test_who_is_disabled_while_the_password_is_checked_does_not_get_in(
    store: Store, alice: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disable_and_match(password: str, stored: str | None) -> bool:
        operators.set_enabled(store, alice.id, False)
        return True

    monkeypatch.setattr(passwords, "matches", disable_and_match)
    assert operators.sign_in(store, "alice", PASSWORD, HOME) is None


def test_after_five_failures_one_waits_even_with_the_right_password(store: Store, alice: Operator) -> None:
    fail(store, 5)
    with pytest.raises(Throttled) as caught:
        operators.sign_in(store, "alice", PASSWORD, ELSEWHERE, NOW)
    assert caught.value.retry_after == 15.0
    assert caught.value.sentence == "Too many failed sign-ins. Try again in 15 s."
    assert operators.sign_in(store, "alice", PASSWORD, ELSEWHERE, NOW + 15) is not None


def test_a_throttled_attempt_checks_no_password(store: Store, alice: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(store, 5)
    monkeypatch.setattr(passwords, "matches", pytest.fail)
    with pytest.raises(Throttled):
        operators.sign_in(store, "alice", PASSWORD, ELSEWHERE, NOW)


def test_failures_from_another_address_do_not_lock_the_operator_out(store: Store, alice: Operator) -> None:
    fail(store, 5)
    assert operators.sign_in(store, "alice", PASSWORD, HOME, NOW) is not None


def test_a_success_clears_the_failures_of_its_account_and_address(store: Store, alice: Operator) -> None:
    fail(store, 4, address=HOME)
    assert operators.sign_in(store, "alice", PASSWORD, HOME, NOW) is not None
    fail(store, 5, address=HOME)
    with pytest.raises(Throttled):
        operators.sign_in(store, "alice", PASSWORD, HOME, NOW)


def test_a_success_leaves_the_failures_of_others(store: Store, alice: Operator) -> None:
    fail(store, 5, name="bob", address=HOME)
    fail(store, 5, name="alice", address=ELSEWHERE)
    assert operators.sign_in(store, "alice", PASSWORD, HOME, NOW) is not None
    for name, address in (("bob", HOME), ("alice", ELSEWHERE)):
        with pytest.raises(Throttled):
            operators.sign_in(store, name, PASSWORD, address, NOW)


def test_names_that_do_not_exist_are_throttled_alike(store: Store, alice: Operator) -> None:
    fail(store, 5, name="nobody")
    with pytest.raises(Throttled) as caught:
        operators.sign_in(store, "NOBODY", PASSWORD, ELSEWHERE, NOW)
    assert caught.value.retry_after == 15.0


def test_signing_in_again_and_again_keeps_one_row(store: Store, alice: Operator) -> None:
    for second in range(10):
        assert operators.sign_in(store, "alice", PASSWORD, HOME, NOW + second) is not None
    assert kept(store) == 1


def test_the_name_that_was_typed_is_not_kept(store: Store) -> None:
    fail(store, 1, name="my password by mistake")
    with store.read() as session:
        row = session.scalars(select(SignInRow)).one()
        assert "mistake" not in " ".join(str(value) for value in vars(row).values())


def test_attempts_in_parallel_processes_do_not_all_pass(url: str, store: Store, alice: Operator) -> None:
    assert sum(together(8, try_wrong_password, url)) == throttle.FREE
