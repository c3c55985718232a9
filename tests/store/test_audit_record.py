"""What `audit.record` writes, when, and what happens when it cannot."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import delete, text

from dashboard.store import audit
from dashboard.store.audit import Change, Entry, Filters
from dashboard.store.engine import Store
from dashboard.store.errors import StoreUnavailable
from dashboard.store.schema import AuditHeadRow
from tests.store.processes import record_changes, together

CHANGE = Change("alice", "192.0.2.7", "main", "key.ttl", "api:user:42", before={"ttl": 30}, reason="ticket 4711")


def entries(store: Store) -> list[Entry]:
    return audit.search(store, Filters())


def only(store: Store) -> Entry:
    (entry,) = entries(store)
    return entry


def break_the_trail(store: Store) -> None:
    with store.write() as session:
        session.execute(delete(AuditHeadRow))


def test_the_attempt_is_visible_while_the_change_is_tried(store: Store) -> None:
    with audit.record(store, CHANGE) as attempt:
        entry = only(store)
        assert entry.id == attempt.id
        assert (entry.status, entry.ended_at, entry.after) == ("open", None, None)
        assert entry.before == {"ttl": 30}


def test_a_finished_change_is_told_whole(store: Store) -> None:
    with audit.record(store, CHANGE) as attempt:
        attempt.done(after={"ttl": 60})
    entry = only(store)
    told = (entry.actor, entry.address, entry.cache, entry.action, entry.subject, entry.reason)
    assert told == ("alice", "192.0.2.7", "main", "key.ttl", "api:user:42", "ticket 4711")
    assert (entry.status, entry.before, entry.after, entry.error) == ("done", {"ttl": 30}, {"ttl": 60}, "")
    assert entry.ended_at is not None
    assert entry.ended_at >= entry.at


def test_a_change_that_says_nothing_about_after_is_done_too(store: Store) -> None:
    with audit.record(store, CHANGE):
        pass
    assert (only(store).status, only(store).after) == ("done", None)


def test_each_change_has_two_rows(store: Store) -> None:
    with audit.record(store, CHANGE):
        pass
    with pytest.raises(KeyError), audit.record(store, CHANGE):
        raise KeyError
    assert audit.verify(store).entries == 4
    assert len(entries(store)) == 2


def test_a_failure_is_told_with_its_sentence(store: Store) -> None:
    class Denied(Exception):
        sentence = "The server does not allow EXPIRE."

    with pytest.raises(Denied), audit.record(store, CHANGE):
        raise Denied("secret")
    assert (only(store).status, only(store).error) == ("failed", "The server does not allow EXPIRE.")


@pytest.mark.parametrize("error", [ValueError("password hunter2"), KeyboardInterrupt("hunter2"), SystemExit("hunter2")])
def test_an_unknown_exception_is_told_by_its_class_only(store: Store, error: BaseException) -> None:
    with pytest.raises(type(error)), audit.record(store, CHANGE):
        raise error
    assert (only(store).status, only(store).error) == ("failed", type(error).__name__)


def test_what_was_done_before_a_failure_is_kept(store: Store) -> None:
    def stop_half_way() -> None:
        with audit.record(store, CHANGE) as attempt:
            attempt.done({"deleted": 3})
            raise KeyError

    with pytest.raises(KeyError):
        stop_half_way()
    assert (only(store).status, only(store).after) == ("failed", {"deleted": 3})


def test_a_change_is_not_tried_when_its_attempt_cannot_be_written(store: Store) -> None:
    break_the_trail(store)
    with pytest.raises(StoreUnavailable) as caught, audit.record(store, CHANGE):
        pytest.fail("the change was tried")
    assert "nothing can be recorded" in caught.value.sentence


def test_a_change_is_not_tried_when_the_table_is_gone(store: Store) -> None:
    with store.write() as session:
        session.execute(text("DROP TABLE audit"))
    with pytest.raises(Exception, match=r"audit|does not answer"), audit.record(store, CHANGE):
        pytest.fail("the change was tried")


def test_an_outcome_that_cannot_be_written_leaves_the_entry_open_and_is_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), audit.record(store, CHANGE) as attempt:
        break_the_trail(store)
    assert only(store).status == "open"
    (line,) = caplog.records
    assert line.getMessage() == f"the outcome (done) of audit entry {attempt.id} cannot be written: it stays open"
    assert line.exc_info is not None


def test_an_outcome_that_cannot_be_written_does_not_hide_why_the_change_failed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_twice() -> None:
        with audit.record(store, CHANGE):
            break_the_trail(store)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_twice()
    assert "the outcome (failed)" in caplog.text


@pytest.mark.parametrize("before", [b"bytes", {"value": b"bytes"}, {"at": object()}])
def test_it_refuses_what_is_no_json_before_the_change_is_tried(store: Store, before: Any) -> None:
    change = Change("alice", "192.0.2.7", "main", "key.delete", "k", before=before)
    with pytest.raises(TypeError), audit.record(store, change):
        pytest.fail("the change was tried")
    assert entries(store) == []


def test_it_refuses_numbers_that_json_does_not_know(store: Store) -> None:
    change = Change("alice", "192.0.2.7", "main", "key.delete", "k", before=float("nan"))
    with pytest.raises(ValueError, match="JSON"), audit.record(store, change):
        pytest.fail("the change was tried")


@pytest.mark.parametrize(
    "value", [0, "", False, [], {}, {"a": [1, 2.5, None, "ü\0\ud800"]}, MappingProxyType({"a": 1}), (1, 2)]
)
def test_before_and_after_come_back_as_json_knows_them(store: Store, value: Any) -> None:
    change = Change("alice", "192.0.2.7", "main", "key.ttl", "k", before=value)
    with audit.record(store, change) as attempt:
        attempt.done(value)
    expected = (
        dict(value) if isinstance(value, MappingProxyType) else list(value) if isinstance(value, tuple) else value
    )
    assert (only(store).before, only(store).after) == (expected, expected)


def test_hostile_text_is_kept_with_escapes(store: Store) -> None:
    change = Change("ali\0ce", "::1", "ma\udcffin", "key.delete", "<img src=x> ü 漢 \\ %_'\"\n" * 400, reason="a\0b")
    with audit.record(store, change):
        pass
    entry = only(store)
    assert (entry.actor, entry.cache, entry.reason) == ("ali\\x00ce", "ma\\udcffin", "a\\x00b")
    assert entry.subject == change.subject
    assert audit.verify(store).problems == ()


def test_changes_may_be_nested(store: Store) -> None:
    with audit.record(store, CHANGE) as outer, audit.record(store, CHANGE) as inner:
        assert inner.id != outer.id
    assert [entry.status for entry in entries(store)] == ["done", "done"]
    assert audit.verify(store).problems == ()


def test_writers_in_several_processes_keep_the_chain_whole(url: str, store: Store) -> None:
    together(4, record_changes, url)
    verification = audit.verify(store)
    assert verification.problems == ()
    assert verification.entries == 4 * 20 * 2
    by_actor = {f"operator {number}": 20 for number in range(4)}
    for entry in audit.search(store, Filters(), limit=1000):
        assert entry.status == "done"
        assert entry.subject == f"key {entry.after['index']}", "an attempt has another one's outcome"
        by_actor[entry.actor] -= 1
    assert set(by_actor.values()) == {0}
