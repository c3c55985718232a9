"""The hash chain under the audit trail: how a link is added, and how one is found to be wrong.

A link's hash is the SHA-256 of canonical JSON (sorted names, no spaces, ASCII) of all its columns but
the hash itself; one of them is the hash of the link before. So a link that was changed, removed or
moved does not fit its neighbours, and a tail that was cut does not fit the head row. Who can write
to the database can also compute a whole new chain: against that, note `Verification.head` elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.store.engine import Store
from dashboard.store.errors import StoreUnavailable
from dashboard.store.schema import AuditHeadRow, AuditRow

GENESIS = "0" * 64
HEAD_ID = 1
MOST_PROBLEMS = 100

_HASHED = tuple(sorted(column.name for column in AuditRow.__table__.columns if column.name != "hash"))


@dataclass(frozen=True)
class Verification:
    """What a walk along the whole chain found.

    `entries` links were read (a finished change has two), `head` is the last one's hash as the head
    row has it. No problems: the chain is whole.
    """

    entries: int
    head: str
    problems: tuple[str, ...]


def append(session: Session, row: AuditRow) -> int:
    """Put a row, of which all but id, time and hashes is filled in, at the chain's end; its id.

    Writers queue up on the head row until the session's transaction ends.
    """
    head = session.scalars(select(AuditHeadRow).where(AuditHeadRow.id == HEAD_ID).with_for_update()).one_or_none()
    if head is None:
        raise StoreUnavailable(
            "The head of the audit trail is missing, so nothing can be recorded.", "Run: cachedeck audit verify"
        )
    row.id = head.last_id + 1
    row.at = time.time()
    row.previous = head.hash
    row.hash = digest(row)
    session.add(row)
    head.last_id, head.hash = row.id, row.hash
    session.flush()
    return row.id


def digest(row: AuditRow) -> str:
    """The hash that a row ought to have."""
    content = {name: getattr(row, name) for name in _HASHED}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def verify(store: Store) -> Verification:
    """Walk the whole chain, in constant memory, as it is at this moment. Raises StoreUnavailable.

    At most MOST_PROBLEMS problems are told, each in a sentence that names the links by their ids.
    """
    walk = _Walk()
    with store.read() as session:
        head = session.get(AuditHeadRow, HEAD_ID)
        links = select(AuditRow).order_by(AuditRow.id).execution_options(yield_per=500)
        for row in session.scalars(links):
            walk.visit(row)
        walk.arrive(head)
    return Verification(walk.count, head.hash if head else "", tuple(walk.problems))


@dataclass
class _Walk:
    last_id: int = 0
    last_hash: str = GENESIS
    count: int = 0
    problems: list[str] = field(default_factory=list)

    def visit(self, row: AuditRow) -> None:
        expected = self.last_id + 1
        if row.id != expected:
            self._tell(f"{_entries(expected, row.id - 1)} missing.")
        elif row.previous != self.last_hash:
            self._tell(f"Entry {row.id} does not follow the one before it.")
        if row.hash != digest(row):
            self._tell(f"Entry {row.id} was changed.")
        self.last_id, self.last_hash = row.id, row.hash
        self.count += 1

    def arrive(self, head: AuditHeadRow | None) -> None:
        if head is None:
            self._tell("The head of the trail is missing, so a cut end cannot be found.")
        elif head.last_id > self.last_id:
            self._tell(f"{_entries(self.last_id + 1, head.last_id)} missing at the end.")
        elif head.last_id < self.last_id:
            self._tell(f"{_entries(head.last_id + 1, self.last_id)} not known to the head of the trail.")
        elif head.hash != self.last_hash:
            self._tell(f"Entry {self.last_id} is not the one that the head of the trail names.")

    def _tell(self, problem: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def _entries(first: int, last: int) -> str:
    return f"Entry {first} is" if first == last else f"Entries {first} to {last} are"
