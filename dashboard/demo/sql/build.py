"""Makes the shop's database file at the first start: whole or not at all. PostgreSQL's is made by build_postgres.py."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from dashboard.demo.sql import schema
from dashboard.demo.sql.making import Maker, Row, Size, terms_of
from dashboard.demo.sql.triggers import create_triggers

CHUNK = 5000  # rows an INSERT is prepared for: bounds the memory of the build
OURS = frozenset({"users", "posts", "products", "prices", "terms"})  # tables of every version of the shop
log = logging.getLogger("dashboard.demo")


class BadDatabase(ValueError):
    """The shop cannot use this address, or what is there is not the shop's. Never quotes the address: see passwords."""


def ensure_database(path: Path, size: Size | None = None, seed: int = 1) -> bool:
    """Make the database file at `path` unless it is there; True where it was made now.

    It is filled under another name and renamed when it is complete and on the disk, so a start that was killed
    leaves nothing which the next one would take for a shop. A second process waits for the first. A shop of another
    version is replaced, a damaged file is put aside as `<name>.damaged`; raises BadDatabase for anybody else's.
    """
    size = size or Size()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _found(path)
        if found == "current":
            return False
        if found == "foreign":
            raise BadDatabase("there is a database at this place which is not the shop's")
        if found == "damaged":
            path.replace(path.with_name(path.name + ".damaged"))
        began = announce(size)
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.unlink(missing_ok=True)
        _fill(unfinished, size, seed)
        _replace(unfinished, path)
        log.info("made the shop in %.1f s, %.0f MB", time.monotonic() - began, path.stat().st_size / 1e6)
        return True


def announce(size: Size) -> float:
    """Say what is made; when it began, by the monotonic clock."""
    log.info("making the shop: %s users, %s products (once)", f"{size.users:,}", f"{size.products:,}")
    return time.monotonic()


def rows_of_tables(size: Size, seed: int) -> Iterator[tuple[sa.Table, Iterable[Row]]]:
    """What goes into each table, in the order in which it is drawn: finish one before the next."""
    maker = Maker(size, seed)
    yield schema.users, maker.users()
    yield schema.posts, maker.posts()
    products = list(maker.products())
    yield schema.products, products
    yield schema.terms, (term for product in products for term in terms_of(product))
    yield schema.prices, maker.prices()


def columns_of(table: sa.Table) -> list[str]:
    """Those that a made row has; the others have a default."""
    return [column.name for column in table.columns if column.server_default is None]


def _found(path: Path) -> Literal["nothing", "current", "older", "foreign", "damaged"]:
    if not path.exists():
        return "nothing"
    try:
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in names if not name.startswith("sqlite_")}
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        return "damaged"
    if not tables:
        return "nothing"
    if not tables >= OURS:
        return "foreign"
    return "current" if version == schema.SCHEMA_VERSION else "older"


def _fill(path: Path, size: Size, seed: int) -> None:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
    try:
        with engine.connect() as connection:
            # A build that dies is thrown away, so it needs no journal.
            connection.exec_driver_sql("PRAGMA journal_mode=OFF")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            schema.metadata.create_all(connection)
            for table, rows in rows_of_tables(size, seed):
                _insert(connection, table, rows)
            create_triggers(connection)
            connection.exec_driver_sql(f"PRAGMA user_version={schema.SCHEMA_VERSION}")
            connection.commit()
    finally:
        engine.dispose()


def _insert(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    # Straight to the driver: `execute` would spend more time on the parameters of 500,000 rows than SQLite on the rows.
    columns = columns_of(table)
    statement = str(table.insert().compile(dialect=connection.dialect, column_keys=columns))
    values = map(itemgetter(*columns), rows)
    while chunk := list(islice(values, CHUNK)):
        connection.exec_driver_sql(statement, chunk)


def _replace(unfinished: Path, path: Path) -> None:
    for suffix in ("-wal", "-shm"):  # of an older version's file, which they would corrupt the new one with
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())
    unfinished.replace(path)
