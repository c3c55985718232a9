"""Makes the shop's tables in a PostgreSQL database at the first start: one transaction, so whole or not at all.

They stand in a schema of their own, which a comment marks as the shop's and with its version. Nothing outside this
schema is touched, and one of that name without the mark is somebody else's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from dashboard.demo.sql import schema
from dashboard.demo.sql.build import BadDatabase, announce, columns_of, log, rows_of_tables
from dashboard.demo.sql.making import Row, Size
from dashboard.demo.sql.schema import POSTGRES_SCHEMA
from dashboard.demo.sql.triggers import create_triggers

MARK = "demo shop, version "
BUILD_LOCK = 0x63616368_6465636B  # of pg_advisory_lock: any number does that nobody else uses in this database


def ensure_schema(engine: sa.Engine, size: Size | None = None, seed: int = 1) -> bool:
    """Make the shop's schema unless it is there; True where it was made now. A second process waits for the first.

    A shop of another version is replaced. Raises BadDatabase where the schema is somebody else's, SQLAlchemyError where
    the server does not answer or the user may not create a schema.
    """
    size = size or Size()
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(BUILD_LOCK)))
        mark = _mark(connection)
        if mark == f"{MARK}{schema.SCHEMA_VERSION}":
            return False
        if mark is not None and not mark.startswith(MARK):
            raise BadDatabase(f"there is a schema {POSTGRES_SCHEMA!r} in this database which is not the shop's")
        began = announce(size)
        _fill(connection, size, seed)
    log.info("made the shop in %.1f s", time.monotonic() - began)
    return True


def _mark(connection: sa.Connection) -> str | None:
    """The comment of the schema, "" where it has none; None where there is no schema."""
    query = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = :name"
    found: str | None = connection.execute(sa.text(query), {"name": POSTGRES_SCHEMA}).scalar_one_or_none()
    return found


def _fill(connection: sa.Connection, size: Size, seed: int) -> None:
    connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {POSTGRES_SCHEMA} CASCADE")
    connection.exec_driver_sql(f"CREATE SCHEMA {POSTGRES_SCHEMA}")
    schema.metadata.create_all(connection)
    for table, rows in rows_of_tables(size, seed):
        _copy(connection, table, rows)
    for name in ("users", "posts", "products"):
        # COPY gave the ids itself, so the sequences still stand at their beginning.
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), greatest(max(id), 1)) FROM {name}"  # noqa: S608
        )
    create_triggers(connection)
    connection.exec_driver_sql(f"ANALYZE {', '.join(schema.metadata.tables)}")  # or the first reads are planned blindly
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {POSTGRES_SCHEMA} IS '{MARK}{schema.SCHEMA_VERSION}'")


def _copy(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    columns = columns_of(table)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in map(itemgetter(*columns), rows):
            copy.write_row(row)
