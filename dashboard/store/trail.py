"""Reading the audit trail: an attempt and its outcome joined into one entry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from dashboard.store.engine import Store
from dashboard.store.schema import AuditRow

EXPORT_PAGE = 500
LARGEST_ID = 2**63 - 1

_Attempt = aliased(AuditRow, name="attempt")
_Outcome = aliased(AuditRow, name="outcome")


@dataclass(frozen=True)
class Entry:
    """One change. `status` is "done", "failed" or "open"; `ended_at` is None while it is open.

    `at` and `ended_at` are seconds since the epoch; `before` and `after` what the caller of
    `audit.record` gave, as JSON knows it; `error` one sentence or the class of an exception.
    """

    id: int
    at: float
    actor: str
    address: str
    cache: str
    action: str
    subject: str
    before: Any
    after: Any
    reason: str
    status: str
    error: str
    ended_at: float | None


@dataclass(frozen=True)
class Filters:
    """Which entries; what is empty does not filter.

    `actor`, `cache`, `action` and `status` are compared as they are, `subject` is a part of it in any
    case (ASCII letters, on SQLite). `since` <= at < `until`, in seconds since the epoch.
    """

    actor: str = ""
    cache: str = ""
    action: str = ""
    subject: str = ""
    status: str = ""
    since: float | None = None
    until: float | None = None


def search(store: Store, filters: Filters, before: int | None = None, limit: int = 100) -> list[Entry]:
    """At most `limit` entries, the newest first; `before` is the id of the last one of the page before.

    Raises StoreUnavailable.
    """
    query = _query(filters).order_by(_Attempt.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_Attempt.id < min(max(before, 0), LARGEST_ID))
    return _entries(store, query)


def export(store: Store, filters: Filters) -> Iterator[Entry]:
    """Every entry that exists when this is called for the first, the oldest first, in constant memory.

    No transaction stays open between pages, so a slow reader holds up nobody. Raises StoreUnavailable.
    """
    with store.read() as session:
        last = session.scalar(select(func.max(AuditRow.id))) or 0
    position = 0
    while True:
        query = _query(filters).where(_Attempt.id > position, _Attempt.id <= last)
        page = _entries(store, query.order_by(_Attempt.id).limit(EXPORT_PAGE))
        yield from page
        if len(page) < EXPORT_PAGE:
            return
        position = page[-1].id


def storable(text: str) -> str:
    """Text that every database can hold: NUL characters and lone surrogates as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _query(filters: Filters) -> Select[Any, Any]:
    joined = select(_Attempt, _Outcome).outerjoin(_Outcome, _Outcome.attempt_id == _Attempt.id)
    return joined.where(_Attempt.attempt_id.is_(None), *_conditions(filters))


def _conditions(filters: Filters) -> Iterator[ColumnElement[bool]]:
    exact = (
        (_Attempt.actor, filters.actor),
        (_Attempt.cache, filters.cache),
        (_Attempt.action, filters.action),
    )
    for column, wanted in exact:
        if wanted:
            yield column == storable(wanted)
    if filters.subject:
        yield _Attempt.subject.icontains(storable(filters.subject), autoescape=True)
    if filters.status == "open":
        yield _Outcome.id.is_(None)
    elif filters.status:
        yield _Outcome.status == storable(filters.status)
    if filters.since is not None:
        yield _Attempt.at >= filters.since
    if filters.until is not None:
        yield _Attempt.at < filters.until


def _entries(store: Store, query: Select[Any, Any]) -> list[Entry]:
    with store.read() as session:
        return [_entry(attempt, outcome) for attempt, outcome in session.execute(query)]


def _entry(attempt: AuditRow, outcome: AuditRow | None) -> Entry:
    return Entry(
        id=attempt.id,
        at=attempt.at,
        actor=attempt.actor,
        address=attempt.address,
        cache=attempt.cache,
        action=attempt.action,
        subject=attempt.subject,
        before=_decoded(attempt.before),
        after=_decoded(outcome.after) if outcome else None,
        reason=attempt.reason,
        status=outcome.status if outcome else "open",
        error=outcome.error if outcome else "",
        ended_at=outcome.at if outcome else None,
    )


def _decoded(text: str | None) -> Any:
    return None if text is None else json.loads(text)
