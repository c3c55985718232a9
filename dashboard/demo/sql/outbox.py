"""The transactional outbox: what has changed in the database and is not told yet.

A change and its note in the outbox are one transaction (triggers.py), so that neither is without the other, whatever
dies. PostgreSQL's NOTIFY alone would not do: a notification is lost when nobody listens at that moment.

In order per row: of two changes of a row the second waits for the first one's transaction before it draws the id of its
note, so the ids are in the order of the changes. Between rows they need not be: a note with a smaller id may appear
after one with a larger, which is why notes are removed by their ids and never up to an id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dashboard.demo.keyspace import Keyspace
from dashboard.demo.sql.schema import outbox

_OLDEST = sa.select(outbox.c.id, outbox.c.kind, outbox.c.row_id, outbox.c.version).order_by(outbox.c.id)


@dataclass(frozen=True)
class Note:
    """One change. `version` is what it has made of its row; None where the row was made or removed."""

    id: int
    kind: str
    row_id: str
    version: int | None


def oldest(connection: sa.Connection, most: int) -> list[Note]:
    """The first notes in the outbox, in order of their ids."""
    return [Note(*row) for row in connection.execute(_OLDEST.limit(most))]


def remove(connection: sa.Connection, notes: Sequence[Note]) -> None:
    """Take these out, and no others that came meanwhile."""
    connection.execute(outbox.delete().where(outbox.c.id.in_([note.id for note in notes])))


def changes(notes: Iterable[Note], keys: Keyspace) -> list[tuple[str, int | None]]:
    """Each key once, with the newest version its row has: what is older is out of date. None: whatever there is, is.

    A row that was made or removed among the changes counts as that, since its versions may have begun anew. A note that
    cannot be the shop's has no key.
    """
    newest: dict[str, int | None] = {}
    for note in notes:
        key = _key(note, keys)
        if key is None:
            continue
        before = newest.get(key, 0)
        newest[key] = None if before is None or note.version is None else max(before, note.version)
    return list(newest.items())


def _key(note: Note, keys: Keyspace) -> str | None:
    if note.kind == "price":
        return keys.price(note.row_id)
    if not note.row_id.isdecimal():
        return None
    number = int(note.row_id)
    match note.kind:
        case "user":
            return keys.user(number)
        case "posts":
            return keys.posts(number)
        case "product":
            return keys.product(number)
        case _:
            return None
