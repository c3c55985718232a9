"""Searching and exporting the audit trail."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json

import pytest

from dashboard.store import audit, trail
from dashboard.store.audit import Change, Filters
from dashboard.store.engine import Store


def tell(store: Store, subject: str, status: str = "done", **fields: str) -> int:
    """Put one entry into the trail; its id."""
    change = Change(
        **{"actor": "alice", "address": "::1", "cache": "main", "action": "key.delete", **fields}, subject=subject
    )
    if status == "open":
        return audit._begin(store, change)
    with contextlib.ExitStack() as stack:
        if status == "failed":
            stack.enter_context(pytest.raises(KeyError))
        attempt = stack.enter_context(audit.record(store, change))
        if status == "failed":
            raise KeyError
    return attempt.id


def subjects(store: Store, filters: Filters) -> list[str]:
    return [entry.subject for entry in audit.search(store, filters)]


@pytest.fixture
def told(store: Store) -> Store:
    tell(store, "api:User:1")
    tell(store, "api:user:2", actor="bob")
    tell(store, "sess_1", cache="other", status="failed")
    tell(store, "sess%2", action="key.ttl", status="open")
    tell(store, "alice2", actor="alice2")
    return store


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ["alice2", "sess%2", "sess_1", "api:user:2", "api:User:1"]),
        (Filters(actor="bob"), ["api:user:2"]),
        (Filters(actor="alice"), ["sess%2", "sess_1", "api:User:1"]),
        (Filters(cache="other"), ["sess_1"]),
        (Filters(action="key.ttl"), ["sess%2"]),
        (Filters(action="key"), []),
        (Filters(subject="user:"), ["api:user:2", "api:User:1"]),
        (Filters(subject="USER:1"), ["api:User:1"]),
        (Filters(subject="%"), ["sess%2"]),
        (Filters(subject="_"), ["sess_1"]),
        (Filters(subject="/"), []),
        (Filters(subject="' OR 1=1 --"), []),
        (Filters(subject="\0"), []),
        (Filters(status="open"), ["sess%2"]),
        (Filters(status="failed"), ["sess_1"]),
        (Filters(status="done"), ["alice2", "api:user:2", "api:User:1"]),
        (Filters(status="nonsense"), []),
        (Filters(actor="alice", status="done", subject="api"), ["api:User:1"]),
    ],
)
def test_it_finds_what_the_filters_say(told: Store, filters: Filters, expected: list[str]) -> None:
    assert subjects(told, filters) == expected
    assert [entry.subject for entry in audit.export(told, filters)] == expected[::-1]


def test_it_filters_by_time(told: Store) -> None:
    times = {entry.subject: entry.at for entry in audit.search(told, Filters())}
    assert subjects(told, Filters(since=times["sess%2"])) == ["alice2", "sess%2"]
    assert subjects(told, Filters(until=times["api:user:2"])) == ["api:User:1"]
    assert subjects(told, Filters(since=times["api:user:2"], until=times["sess_1"])) == ["api:user:2"]


def test_it_pages_without_overlap_or_gap_while_entries_come_in(told: Store) -> None:
    first = audit.search(told, Filters(), limit=2)
    tell(told, "new")
    second = audit.search(told, Filters(), before=first[-1].id, limit=2)
    third = audit.search(told, Filters(), before=second[-1].id, limit=2)
    assert [entry.subject for entry in first + second + third] == subjects(told, Filters())[1:]
    assert audit.search(told, Filters(), before=third[-1].id) == []


@pytest.mark.parametrize("before", [-(10**30), 0])
def test_a_page_before_the_first_is_empty(told: Store, before: int) -> None:
    assert audit.search(told, Filters(), before=before) == []


def test_a_page_before_a_number_beyond_all_is_the_first(told: Store) -> None:
    assert audit.search(told, Filters(), before=10**30) == audit.search(told, Filters())


def test_export_goes_on_over_its_pages(told: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "EXPORT_PAGE", 2)
    exported = [entry.subject for entry in audit.export(told, Filters())]
    assert exported == subjects(told, Filters())[::-1]


def test_export_ends_where_the_trail_ended_when_it_began(told: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "EXPORT_PAGE", 1)
    exported = []
    for entry in itertools.islice(audit.export(told, Filters()), 10):
        tell(told, "new")
        exported.append(entry.subject)
    assert exported == ["api:User:1", "api:user:2", "sess_1", "sess%2", "alice2"]


def test_an_entry_can_be_written_as_json(told: Store) -> None:
    lines = [json.dumps(dataclasses.asdict(entry)) for entry in audit.export(told, Filters())]
    assert json.loads(lines[2])["status"] == "failed"
