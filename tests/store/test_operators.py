"""Accounts: names, roles, and the rules over them."""

from __future__ import annotations

import threading
import time

import pytest

from dashboard.store import operators
from dashboard.store.engine import Store
from dashboard.store.operators import InvalidName, LastAdmin, NameTaken, Role, UnknownOperator, WeakPassword
from dashboard.store.schema import OperatorRow
from tests.store.processes import add_alice, demote, together

PASSWORD = "correct horse"

AS_OTHERS = ("cli:root", "cli\uff1aroot", "(anonymous)", "(unknown name)")
"""What the audit trail calls those who are no operators; the second in full-width form."""

pytestmark = pytest.mark.usefixtures("cheap_hashes")


def test_a_new_operator_is_enabled_and_found_by_id_and_name(store: Store) -> None:
    started = time.time()
    alice = operators.add(store, "Alice", PASSWORD, Role.OPERATOR)
    assert (alice.name, alice.role, alice.enabled, alice.last_login_at) == ("Alice", Role.OPERATOR, True, None)
    assert started <= alice.created_at <= time.time()
    assert operators.by_id(store, alice.id) == alice
    assert operators.by_name(store, "Alice") == alice


def test_the_password_is_kept_as_an_argon2id_hash_only(store: Store) -> None:
    operators.add(store, "alice", PASSWORD, Role.VIEWER)
    with store.read() as session:
        row = session.get_one(OperatorRow, 1)
        assert row.password_hash.startswith("$argon2id$")
        assert not any(PASSWORD in str(value) for value in vars(row).values())


@pytest.mark.parametrize("number", [0, -1, 99, 2**31, 2**70])
def test_nobody_is_found_by_an_id_that_nobody_has(store: Store, number: int) -> None:
    assert operators.by_id(store, number) is None


@pytest.mark.parametrize("name", ["", "bob", "a\0b", "\ud800", "x" * 100_000])
def test_nobody_is_found_by_a_name_that_nobody_has(store: Store, name: str) -> None:
    assert operators.by_name(store, name) is None


def test_operators_are_listed_by_name_the_disabled_too(store: Store) -> None:
    for name in ("carol", "Bob", "alice"):
        operators.add(store, name, PASSWORD, Role.VIEWER)
    operators.set_enabled(store, 1, False)
    listed = [(one.name, one.enabled) for one in operators.all_operators(store)]
    assert listed == [("alice", True), ("Bob", True), ("carol", False)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("alice", "alice"),
        ("alice", "ALICE"),
        ("alice", "  alice "),
        ("straße", "STRASSE"),
        ("file", "\ufb01le"),
        ("caf\u00e9", "cafe\u0301"),
    ],
    ids=ascii,
)
def test_names_that_mean_the_same_are_taken(store: Store, first: str, second: str) -> None:
    operators.add(store, first, PASSWORD, Role.VIEWER)
    with pytest.raises(NameTaken) as caught:
        operators.add(store, second, PASSWORD, Role.VIEWER)
    assert caught.value.sentence.endswith("already.")
    found = operators.by_name(store, second)
    assert found is not None
    assert found.name == first


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 65, "a\nb", "a\0b", "\u200bx", "a\u202eb", "\ud800", *AS_OTHERS], ids=ascii
)
def test_it_refuses_names_that_cannot_be_read(store: Store, name: str) -> None:
    with pytest.raises(InvalidName):
        operators.add(store, name, PASSWORD, Role.VIEWER)
    assert operators.all_operators(store) == []


@pytest.mark.parametrize(
    "name", ["x", "x" * 64, "Ada Lovelace", "漢字", "ß" * 64, "\u0390" * 64, "o'neil; --"], ids=ascii
)
def test_it_takes_names_that_can_be_read(store: Store, name: str) -> None:
    assert operators.add(store, name, PASSWORD, Role.VIEWER).name == name


def test_of_several_processes_one_gets_the_name(url: str, store: Store) -> None:
    assert sorted(together(4, add_alice, url)) == [False, False, False, True]
    assert len(operators.all_operators(store)) == 1


@pytest.mark.parametrize(
    ("label", "role"), [("viewer", Role.VIEWER), (" Operator", Role.OPERATOR), ("ADMIN", Role.ADMIN)]
)
def test_a_role_is_parsed_from_its_label(label: str, role: Role) -> None:
    assert Role.parse(label) is role
    assert Role.parse(role.label) is role


def test_an_unknown_role_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'root' is no role; the roles are viewer, operator, admin"):
        Role.parse("root")


def test_roles_are_ordered() -> None:
    assert Role.VIEWER < Role.OPERATOR < Role.ADMIN


def test_each_change_ends_the_sessions_of_that_operator_only(store: Store) -> None:
    alice = operators.add(store, "alice", PASSWORD, Role.VIEWER)
    bob = operators.add(store, "bob", PASSWORD, Role.VIEWER)
    epochs = [
        alice.session_epoch,
        operators.set_password(store, alice.id, "another password").session_epoch,
        operators.set_role(store, alice.id, Role.OPERATOR).session_epoch,
        operators.set_enabled(store, alice.id, False).session_epoch,
        operators.set_enabled(store, alice.id, True).session_epoch,
    ]
    assert epochs == [1, 2, 3, 4, 5]
    changed = operators.by_id(store, alice.id)
    assert changed is not None
    assert (changed.role, changed.enabled, changed.session_epoch) == (Role.OPERATOR, True, 5)
    assert operators.by_id(store, bob.id) == bob


def test_changes_of_an_unknown_operator_are_refused(store: Store) -> None:
    with pytest.raises(UnknownOperator):
        operators.set_password(store, 7, "another password")
    with pytest.raises(UnknownOperator):
        operators.set_role(store, 7, Role.ADMIN)
    with pytest.raises(UnknownOperator):
        operators.set_enabled(store, 7, False)


def test_a_weak_new_password_changes_nothing(store: Store) -> None:
    alice = operators.add(store, "alice", PASSWORD, Role.VIEWER)
    with pytest.raises(WeakPassword):
        operators.set_password(store, alice.id, "short")
    assert operators.by_id(store, alice.id) == alice
    assert operators.sign_in(store, "alice", PASSWORD, "::1") is not None


def test_the_last_enabled_admin_can_be_neither_demoted_nor_disabled(store: Store) -> None:
    admin = operators.add(store, "admin", PASSWORD, Role.ADMIN)
    disabled = operators.add(store, "former", PASSWORD, Role.ADMIN)
    operators.set_enabled(store, disabled.id, False)
    operators.add(store, "viewer", PASSWORD, Role.VIEWER)
    with pytest.raises(LastAdmin) as caught:
        operators.set_role(store, admin.id, Role.OPERATOR)
    assert caught.value.sentence == "admin is the last enabled admin."
    with pytest.raises(LastAdmin):
        operators.set_enabled(store, admin.id, False)
    assert operators.by_id(store, admin.id) == admin


def test_the_last_admin_can_be_changed_in_every_other_way(store: Store) -> None:
    admin = operators.add(store, "admin", PASSWORD, Role.ADMIN)
    operators.set_password(store, admin.id, "another password")
    operators.set_role(store, admin.id, Role.ADMIN)
    assert operators.set_enabled(store, admin.id, True).session_epoch == 4


def test_an_admin_beside_another_one_can_be_demoted(store: Store) -> None:
    for name in ("admin", "second"):
        operators.add(store, name, PASSWORD, Role.ADMIN)
    assert operators.set_role(store, 1, Role.VIEWER).role is Role.VIEWER


def test_others_can_be_changed_where_there_is_no_admin(store: Store) -> None:
    viewer = operators.add(store, "viewer", PASSWORD, Role.VIEWER)
    assert operators.set_enabled(store, viewer.id, False).enabled is False


def test_admins_who_demote_each_other_at_once_leave_one(url: str, store: Store) -> None:
    for number in range(4):
        operators.add(store, f"admin {number}", PASSWORD, Role.ADMIN)
    assert sorted(together(4, demote, url)) == [False, True, True, True]
    roles = sorted(one.role for one in operators.all_operators(store))
    assert roles == [Role.VIEWER] * 3 + [Role.ADMIN]


def test_a_demotion_that_is_not_committed_yet_counts(store: Store) -> None:
    for name in ("admin", "second"):
        operators.add(store, name, PASSWORD, Role.ADMIN)
    refused: list[LastAdmin] = []

    def demote_the_second() -> None:
        try:
            operators.set_role(store, 2, Role.VIEWER)
        except LastAdmin as refusal:
            refused.append(refusal)

    thread = threading.Thread(target=demote_the_second)
    with store.write("operators") as session:
        session.get_one(OperatorRow, 1).role = Role.VIEWER
        session.flush()
        thread.start()
        # It would be through by then if it did not wait for this block's end.
        thread.join(0.5)
    thread.join()
    assert len(refused) == 1
    assert [one.role for one in operators.all_operators(store)] == [Role.VIEWER, Role.ADMIN]
