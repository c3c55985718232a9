"""Makes the shop's database at the first start: whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterable
from itertools import islice
from operator import itemgetter
from pathlib import Path

import sqlalchemy as sa

from dashboard.demo import schema
from dashboard.demo.making import Maker, Row, Size, terms_of

CHUNK = 5000  # rows an INSERT is prepared for: bounds the memory of the build
log = logging.getLogger("dashboard.demo")


def ensure_database(path: Path, size: Size | None = None, seed: int = 1) -> bool:
    """Make the database file at `path` unless it is there; True where it was made now.

    It is filled under another name and renamed when it is complete and on the disk, so a start that was killed
    leaves nothing which the next one would take for a shop. A second process waits for the first.
    """
    size = size or Size()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and _version(path) == schema.SCHEMA_VERSION:
            return False
        log.info("making the shop: %s users, %s products (once)", f"{size.users:,}", f"{size.products:,}")
        began = time.monotonic()
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.unlink(missing_ok=True)
        _fill(unfinished, size, seed)
        _replace(unfinished, path)
        seconds, megabytes = time.monotonic() - began, path.stat().st_size / 1e6
        log.info("made the shop in %.1f s, %.0f MB", seconds, megabytes)
        return True


def _version(path: Path) -> int:
    try:
        connection = sqlite3.connect(path)
        try:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return -1


def _fill(path: Path, size: Size, seed: int) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            # A build that dies is thrown away, so it needs no journal.
            connection.exec_driver_sql("PRAGMA journal_mode=OFF")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            schema.metadata.create_all(connection)
            maker = Maker(size, seed)
            _insert(connection, schema.users, maker.users())
            _insert(connection, schema.posts, maker.posts())
            products = list(maker.products())
            _insert(connection, schema.products, products)
            _insert(connection, schema.terms, (term for product in products for term in terms_of(product)))
            _insert(connection, schema.prices, maker.prices())
            connection.exec_driver_sql(f"PRAGMA user_version={schema.SCHEMA_VERSION}")
            connection.commit()
    finally:
        engine.dispose()


def _insert(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    # Straight to the driver: `execute` would spend more time on the parameters of 500,000 rows than SQLite on the rows.
    statement = str(table.insert().compile(dialect=connection.dialect))
    values = map(itemgetter(*table.columns.keys()), rows)
    while chunk := list(islice(values, CHUNK)):
        connection.exec_driver_sql(statement, chunk)


def _replace(unfinished: Path, path: Path) -> None:
    for suffix in ("-wal", "-shm"):  # of an older version's file, which they would corrupt the new one with
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())
    unfinished.replace(path)
