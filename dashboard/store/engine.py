"""Opening the database of Cachedeck's own state, and the two ways to talk to it.

SQLite runs in WAL mode: readers and the one writer do not wait for each other. A writing transaction
takes the write lock when it begins (BEGIN IMMEDIATE), so that it never fails half-way because
another process wrote after it had read (SQLITE_BUSY_SNAPSHOT, https://www.sqlite.org/isolation.html).
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session

from dashboard.store import sqlite_file
from dashboard.store.errors import StoreUnusable, translating
from dashboard.store.migrate import migrate
from dashboard.store.schema import LockRow

BUSY_SECONDS = 10.0
"""How long a writer waits for another one's transaction, none of which takes more than milliseconds."""

Lock = Literal["operators", "sign_in", "ttl_rules", "invalidations", "settings"]

_WRITES = "cachedeck_writes"


class Store:
    """The open database. One a process is enough: it may be used from all threads, and after a fork."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        self._reader = engine
        if engine.dialect.name == "postgresql":
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        _open.add(self)

    def __repr__(self) -> str:
        return f"<Store {self._engine.dialect.name}>"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database from its first statement to its last.

        What is changed in it is thrown away. Raises StoreUnavailable.
        """
        with translating(), Session(self._reader) as session:
            yield session

    @contextmanager
    def write(self, lock: Lock | None = None) -> Iterator[Session]:
        """A session that is committed when the block ends, and rolled back when it raises.

        `lock` is held to the end, for rules over several rows: nobody else is in a block with the
        same lock. Raises StoreUnavailable.
        """
        with translating(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.connection()
            if lock is not None:
                session.execute(select(LockRow).where(LockRow.name == lock).with_for_update())
            yield session

    def close(self) -> None:
        """Close every connection. The store can still be used: it connects again."""
        self._engine.dispose()

    def _forget_connections(self) -> None:
        self._engine.dispose(close=False)


def open_store(url: str) -> Store:
    """Open the database at an SQLAlchemy URL, create or migrate its tables, and return it.

    Safe for any number of processes at the same instant: one migrates, the others wait for it. (For
    databases other than SQLite and PostgreSQL nothing holds the others: start one process first.)
    A new SQLite file can be read by its owner only. Raises StoreUnusable, StoreUnavailable.
    """
    engine = _engine(url)
    store = Store(engine)
    try:
        with translating():
            if engine.dialect.name == "sqlite":
                sqlite_file.use_wal(engine, BUSY_SECONDS)
            migrate(store._writer)
    except BaseException:
        store.close()
        raise
    return store


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        # Platforms hand out postgres://, and the driver that Cachedeck depends on is psycopg 3.
        if address.drivername in {"postgres", "postgresql"}:
            address = address.set(drivername="postgresql+psycopg")
        if address.get_backend_name() == "sqlite":
            return _sqlite_engine(address)
        return create_engine(address, hide_parameters=True, pool_pre_ping=True, max_overflow=-1)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreUnusable(
            f"There is no driver for {address.drivername} databases in this environment.",
            'Install it; for PostgreSQL: pip install "cachedeck[postgres]".',
        ) from error
    except (ArgumentError, ValueError):
        # The cause would show the address, and with it the password.
        raise StoreUnusable(
            "The address of the database cannot be read.",
            "CACHEDECK_DATABASE_URL wants sqlite:////absolute/path or postgresql://user:password@host/name.",
        ) from None


def _sqlite_engine(address: URL) -> Engine:
    if address.host:
        raise ArgumentError("two slashes, so that the file is taken for a host")
    sqlite_file.prepare(address)
    # isolation_level None: the driver begins no transaction of its own, _begin says which kind.
    arguments = {"timeout": BUSY_SECONDS, "isolation_level": None}
    engine = create_engine(address, connect_args=arguments, hide_parameters=True, max_overflow=-1)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # In WAL mode NORMAL may lose the last commits with the power: an attempt must not be among them.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


_open: weakref.WeakSet[Store] = weakref.WeakSet()


def _forget_all_connections() -> None:
    # A child that uses or closes its parent's connections corrupts both (https://www.sqlite.org/howtocorrupt.html).
    for store in list(_open):
        store._forget_connections()


os.register_at_fork(after_in_child=_forget_all_connections)
