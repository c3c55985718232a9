"""Rows that patterns change, each change under a version of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

import sqlalchemy as sa

from dashboard.demo.sql.database import Database
from dashboard.demo.sql.schema import KINDS, Versioned, prices

JUMP = 10_000_000_000  # versions; write-behind never has that many changes of one row under way
LARGEST_ID = 2_147_483_647  # where the database's integers end
LARGEST_VERSION = 2**53  # up to which everybody who reads JSON counts exactly, and so do the cache's scripts
AT_ONCE = 500  # rows a statement asks for

Applied = Literal["applied", "known", "missing"]


class BadRow(ValueError):
    """Not a kind of the shop's, or not an id or values that such a row can have."""


class Rows:
    """Changes and versions of single rows of one database. Every change is one transaction.

    A row is named by its kind (schema.KINDS) and its id: a number, or the SKU of a price. Values are by column: `city`
    and `bio` of a user, `cents` of a price, whose `changed` is set to now unless it is given as well. Raises BadRow for
    anything else, SQLAlchemyError where the database fails; `clock` gives epoch seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def change(self, kind: str, row: int | str, values: Mapping[str, Any]) -> int | None:
        """Set values; the row's new version, which is the next, or None where there is no such row."""
        return self._grow(kind, row, values, 1)

    def jump(self, kind: str, row: int | str, values: Mapping[str, Any]) -> int | None:
        """As `change`, but to a version far ahead: whatever a queue still holds of this row is older then."""
        return self._grow(kind, row, values, JUMP)

    def apply(self, kind: str, row: int | str, values: Mapping[str, Any], version: int) -> Applied:
        """Set values and this version, unless the row has it or a later one: that is `known`, and nothing changes.

        So a change may be applied any number of times, and an older one after a newer.
        """
        found = _checked(kind, row, values)
        if not 0 < version <= LARGEST_VERSION:
            raise BadRow("not a version of the shop's")
        named = found.key == row
        with self._database.begin() as connection:
            older = found.table.update().where(named, found.version < version)
            if connection.execute(older.values(self._stamped(found, values, version))).rowcount:
                return "applied"
            return "missing" if connection.execute(sa.select(found.key).where(named)).first() is None else "known"

    def versions(self, names: Iterable[tuple[str, int | str]]) -> dict[tuple[str, int | str], int]:
        """The versions that the database has, without a row which is missing there. Neither slowed nor counted."""
        versions: dict[tuple[str, int | str], int] = {}
        with self._database.apart.connect() as connection:
            for kind, of_kind in groupby(sorted(set(names), key=lambda name: name[0]), key=lambda name: name[0]):
                rows = [row for _kind, row in of_kind]
                for begin in range(0, len(rows), AT_ONCE):
                    found = _found(connection, kind, rows[begin : begin + AT_ONCE])
                    versions |= {(kind, row): version for row, version in found}
        return versions

    def _grow(self, kind: str, row: int | str, values: Mapping[str, Any], by: int) -> int | None:
        found = _checked(kind, row, values)
        statement = (
            found.table.update()
            .where(found.key == row)
            .values(self._stamped(found, values, found.version + by))
            .returning(found.version)
        )
        with self._database.begin() as connection:
            version: int | None = connection.execute(statement).scalar_one_or_none()
            return version

    def _stamped(self, found: Versioned, values: Mapping[str, Any], version: Any) -> dict[str, Any]:
        stamp = {"changed": int(self._clock())} if found.table is prices else {}
        return {**stamp, **values, found.version.name: version}


def is_storable(text: str) -> bool:
    """Whether both databases take a text: PostgreSQL's have no NUL, and neither takes half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def _found(connection: sa.Connection, kind: str, rows: Sequence[int | str]) -> list[tuple[int | str, int]]:
    versioned = _kind(kind)
    for row in rows:
        _check_id(versioned, row)
    query = sa.select(versioned.key, versioned.version).where(versioned.key.in_(rows))
    return [(row, version) for row, version in connection.execute(query)]


def _checked(kind: str, row: int | str, values: Mapping[str, Any]) -> Versioned:
    """The kind of row; what a change holds may come from a queue that anybody can write to."""
    found = _kind(kind)
    _check_id(found, row)
    if not values or not values.keys() <= found.changeable.keys():
        raise BadRow(f"not what can be changed of a {kind}")
    for name, value in values.items():
        _check(value, found.changeable[name])
    return found


def _kind(kind: str) -> Versioned:
    found = KINDS.get(kind)
    if found is None:
        raise BadRow("not a kind of row of the shop's")
    return found


def _check_id(found: Versioned, row: int | str) -> None:
    _check(row, found.key.type.python_type)


def _check(value: object, wanted: type) -> None:
    if type(value) is not wanted:
        raise BadRow(f"a {wanted.__name__} is wanted")
    if isinstance(value, int) and not 0 <= value <= LARGEST_ID:
        raise BadRow("a number beyond those of the database")
    if isinstance(value, str) and not is_storable(value):
        raise BadRow("a text that no database takes")
