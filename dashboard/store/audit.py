"""The audit trail: every change is written down before it is tried, and again with how it ended.

Both rows are appended to a hash chain (`chain`) and never touched again; an attempt without an
outcome is "open": it is being tried, or the process ended in the middle of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from dashboard.store import chain
from dashboard.store.chain import Verification, verify
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.schema import AuditHeadRow, AuditRow
from dashboard.store.trail import Entry, Filters, export, search, storable

__all__ = [
    "JSON",
    "Attempt",
    "Change",
    "Entry",
    "Filters",
    "Verification",
    "export",
    "length",
    "record",
    "search",
    "verify",
]

JSON: TypeAlias = "bool | int | float | str | list[JSON] | tuple[JSON, ...] | Mapping[str, JSON] | None"
"""What `before` and `after` may hold. No bytes: which way to show them is for the caller to say."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What is about to be tried.

    `actor` is the operator's name, `cache` empty where Cachedeck itself is changed, `action` a name
    such as "key.ttl", `subject` what it is done to, printable. NUL characters and lone surrogates,
    which not every database can hold, are kept as their escapes.
    """

    actor: str
    address: str
    cache: str
    action: str
    subject: str
    before: JSON | None = None
    reason: str = ""


@dataclass
class Attempt:
    """A change on its way. `id` is that of its entry."""

    id: int
    _after: str | None = field(default=None, repr=False)

    def done(self, after: JSON | None = None) -> None:
        """Say what the change made of its subject; the last statement of the block.

        Raises TypeError or ValueError, as `record` does, for what is no JSON.
        """
        self._after = _encoded(after)


@contextmanager
def record(store: Store, change: Change) -> Iterator[Attempt]:
    """Run a block as an audited change.

    The attempt is committed before the block runs; if it cannot be written, StoreUnavailable is
    raised and the block does not run. The outcome is "done" when the block ends, "failed" when it
    raises: with the exception's `sentence`, or only its class if it has none, for the text of an
    unknown exception may hold a secret. The exception goes on. If the outcome cannot be written the
    entry stays open and the log says so, and nothing is raised: the change itself has been made.

    Raises TypeError or ValueError for a `before` that is no JSON.
    """
    attempt = Attempt(_begin(store, change))
    try:
        yield attempt
    except BaseException as error:
        _end(store, change, attempt, "failed", _told(error))
        raise
    _end(store, change, attempt, "done", "")


def length(store: Store) -> int:
    """How many entries the trail has. Raises StoreUnavailable."""
    with store.read() as session:
        head = session.get(AuditHeadRow, chain.HEAD_ID)
        return head.last_id if head else 0


def _begin(store: Store, change: Change) -> int:
    row = _row(change, _encoded(change.before))
    with store.write() as session:
        return chain.append(session, row)


def _end(store: Store, change: Change, attempt: Attempt, status: str, error: str) -> None:
    row = _row(change, None)
    row.attempt_id, row.status, row.error, row.after = attempt.id, status, storable(error), attempt._after
    # Who, what and where are on both rows; what may be long is on the attempt alone.
    row.subject = row.reason = ""
    try:
        with store.write() as session:
            chain.append(session, row)
    except (StoreError, SQLAlchemyError):
        _log.exception("the outcome (%s) of audit entry %d cannot be written: it stays open", status, attempt.id)


def _row(change: Change, before: str | None) -> AuditRow:
    return AuditRow(
        attempt_id=None,
        actor=storable(change.actor),
        address=storable(change.address),
        cache=storable(change.cache),
        action=storable(change.action),
        subject=storable(change.subject),
        before=before,
        after=None,
        reason=storable(change.reason),
        status="",
        error="",
    )


def _told(error: BaseException) -> str:
    sentence = getattr(error, "sentence", None)
    return sentence if isinstance(sentence, str) else type(error).__name__


def _encoded(value: JSON | None) -> str | None:
    if value is None:
        return None
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_as_dict)


def _as_dict(value: object) -> dict[str, JSON]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON and cannot be put into the audit trail")
