"""What `audit.verify` finds."""

from __future__ import annotations

import hashlib
import json

import pytest

from dashboard.store import audit, chain
from dashboard.store.audit import Change
from dashboard.store.engine import Store
from dashboard.store.schema import AuditRow


@pytest.fixture
def trail(store: Store) -> Store:
    """Three finished changes: links 1 to 6."""
    for number in range(3):
        change = Change("alice", "192.0.2.7", "main", "key.delete", f"key {number}", before={"n": number})
        with audit.record(store, change):
            pass
    return store


def tamper(store: Store, *statements: str) -> tuple[str, ...]:
    """Run SQL beside the program; the problems that are found then."""
    with store.write() as session:
        connection = session.connection()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        else:
            connection.exec_driver_sql("ALTER TABLE audit DROP CONSTRAINT fk_audit_attempt_id")
        for statement in statements:
            connection.exec_driver_sql(statement)
    return audit.verify(store).problems


def test_an_empty_trail_is_whole(store: Store) -> None:
    assert audit.verify(store) == audit.Verification(0, "0" * 64, ())


def test_a_whole_trail_has_no_problems(trail: Store) -> None:
    verification = audit.verify(trail)
    assert verification.entries == 6
    assert verification.problems == ()
    with trail.read() as session:
        assert verification.head == session.get_one(AuditRow, 6).hash


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'mallory'",
        "address = ''",
        "cache = 'other'",
        "action = 'key.ttl'",
        "subject = 'key 7'",
        "reason = 'because'",
        "before = '{\"n\":2}'",
        "before = NULL",
        "after = '1'",
        "at = at + 0.001",
        "status = 'failed'",
        "error = 'x'",
        "attempt_id = 6",
    ],
)
def test_it_finds_a_changed_column(trail: Store, change: str) -> None:
    assert tamper(trail, f"UPDATE audit SET {change} WHERE id = 3") == ("Entry 3 was changed.",)


def test_it_finds_a_changed_entry_whose_hash_was_made_to_fit(trail: Store) -> None:
    with trail.write() as session:
        row = session.get_one(AuditRow, 3)
        row.actor = "mallory"
        row.hash = chain.digest(row)
    assert audit.verify(trail).problems == ("Entry 4 does not follow the one before it.",)


def test_it_finds_a_changed_last_entry_whose_hash_was_made_to_fit(trail: Store) -> None:
    with trail.write() as session:
        row = session.get_one(AuditRow, 6)
        row.status = "failed"
        row.hash = chain.digest(row)
    assert audit.verify(trail).problems == ("Entry 6 is not the one that the head of the trail names.",)


def test_it_finds_a_change_removed_from_the_middle(trail: Store) -> None:
    problems = tamper(trail, "DELETE FROM audit WHERE id = 4", "DELETE FROM audit WHERE id = 3")
    assert problems == ("Entries 3 to 4 are missing.",)


def test_it_finds_a_removed_entry_whose_gap_was_closed(trail: Store) -> None:
    problems = tamper(
        trail,
        "DELETE FROM audit WHERE id = 2",
        *(f"UPDATE audit SET id = {n - 1} WHERE id = {n}" for n in (3, 4, 5, 6)),
    )
    assert "Entry 2 does not follow the one before it." in problems
    assert "Entry 6 is missing at the end." in problems


def test_it_finds_a_removed_beginning(trail: Store) -> None:
    problems = tamper(trail, "DELETE FROM audit WHERE id = 2", "DELETE FROM audit WHERE id = 1")
    assert problems == ("Entries 1 to 2 are missing.",)


@pytest.mark.parametrize(("first", "told"), [(6, "Entry 6 is"), (3, "Entries 3 to 6 are"), (1, "Entries 1 to 6 are")])
def test_it_finds_a_cut_tail(trail: Store, first: int, told: str) -> None:
    assert tamper(trail, f"DELETE FROM audit WHERE id >= {first}") == (f"{told} missing at the end.",)


def test_it_finds_a_cut_tail_whose_head_was_turned_back_but_for_the_hash(trail: Store) -> None:
    problems = tamper(trail, "DELETE FROM audit WHERE id >= 5", "UPDATE audit_head SET last_id = 4")
    assert problems == ("Entry 4 is not the one that the head of the trail names.",)


def test_it_finds_a_swapped_order(trail: Store) -> None:
    problems = tamper(
        trail,
        "UPDATE audit SET id = 99 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 5",
        "UPDATE audit SET id = 5 WHERE id = 99",
        "UPDATE audit SET attempt_id = NULL WHERE id = 6",
        "UPDATE audit SET attempt_id = 5 WHERE id = 4",
        "UPDATE audit SET attempt_id = 3 WHERE id = 6",
    )
    assert "Entry 3 was changed." in problems
    assert "Entry 5 was changed." in problems
    assert "Entry 4 does not follow the one before it." in problems


def test_it_finds_an_entry_put_in_beside_the_program(trail: Store) -> None:
    problems = tamper(
        trail,
        "INSERT INTO audit SELECT 7, NULL, at, actor, address, cache, action, subject, before, after, reason, status,"
        " error, hash, hash FROM audit WHERE id = 6",
    )
    assert "Entry 7 was changed." in problems
    assert "Entry 7 is not known to the head of the trail." in problems


def test_it_finds_a_missing_head(trail: Store) -> None:
    problems = tamper(trail, "DELETE FROM audit_head")
    assert problems == ("The head of the trail is missing, so a cut end cannot be found.",)
    assert audit.verify(trail).head == ""


def test_it_tells_a_bounded_number_of_problems(trail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "MOST_PROBLEMS", 2)
    assert len(tamper(trail, "UPDATE audit SET actor = 'mallory'")) == 2


def test_a_long_trail_is_verified_in_pages(store: Store) -> None:
    with store.write() as session:
        for number in range(601):
            row = AuditRow(attempt_id=None, status="", error="", reason="", before=None, after=None)
            row.actor, row.address, row.cache, row.action, row.subject = "a", "b", "c", "d", str(number)
            chain.append(session, row)
    assert audit.verify(store).entries == 601
    assert audit.verify(store).problems == ()


def test_the_hash_can_be_computed_by_anybody(trail: Store) -> None:
    with trail.read() as session:
        row = session.get_one(AuditRow, 2)
        content = {
            "id": 2,
            "attempt_id": 1,
            "at": row.at,
            "actor": "alice",
            "address": "192.0.2.7",
            "cache": "main",
            "action": "key.delete",
            "subject": "",
            "before": None,
            "after": None,
            "reason": "",
            "status": "done",
            "error": "",
            "previous": session.get_one(AuditRow, 1).hash,
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        assert row.hash == hashlib.sha256(canonical.encode()).hexdigest()
