"""The outbox of one database, for the one relay that may empty it now.

Two relays would tell the same twice, and one which was slow might tell it late; so there is one a database. On SQLite
it holds a lock on a file beside the database's, on PostgreSQL an advisory lock of its session: both end with their
owner, however it ends, and another process takes over.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from dashboard.demo.sql import outbox
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.outbox import Note
from dashboard.demo.sql.triggers import CHANNEL

RELAY_LOCK = 0x6465636B_72656C61  # of pg_advisory_lock: any number does that nobody else uses in this database
SLICE_SECONDS = 0.25  # for which nothing but a notification ends a wait


class Feed(Protocol):
    """Raises SQLAlchemyError where the database does not answer; the feed is of no use any more then."""

    @property
    def longest_wait(self) -> float:
        """Seconds after which it is worth to look again, though nothing was heard."""
        ...

    def oldest(self, most: int) -> list[Note]: ...

    def remove(self, notes: list[Note]) -> None: ...

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """For so long, or until something is heard or `stop` is set."""
        ...


@contextmanager
def the_feed(database: Database) -> Iterator[Feed | None]:
    """The database's feed, for as long as the block lasts; None where another relay has it."""
    if database.file is not None:
        with _locked(database.file.with_name(database.file.name + ".relay")) as ours:
            yield FileFeed(database) if ours else None
    else:
        with database.apart.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.detach()  # lock and LISTEN are of the session, which must not go back to the pool with them
            ours = bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(RELAY_LOCK))).scalar_one())
            if ours:
                connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            yield ListeningFeed(connection) if ours else None


class FileFeed:
    """SQLite tells nobody of a change, so the outbox is looked at again and again."""

    longest_wait = 0.25

    def __init__(self, database: Database) -> None:
        self._engine = database.apart

    def oldest(self, most: int) -> list[Note]:
        with self._engine.connect() as connection:
            return outbox.oldest(connection, most)

    def remove(self, notes: list[Note]) -> None:
        with self._engine.begin() as connection:
            outbox.remove(connection, notes)

    def wait(self, seconds: float, stop: threading.Event) -> None:
        stop.wait(seconds)


class ListeningFeed:
    """PostgreSQL notifies whoever listens. The connection holds the lock, so who has lost it removes nothing more."""

    longest_wait = 5.0  # a notification is not lost while the session lives; this is for the day that one is

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def oldest(self, most: int) -> list[Note]:
        return outbox.oldest(self._connection, most)

    def remove(self, notes: list[Note]) -> None:
        outbox.remove(self._connection, notes)

    def wait(self, seconds: float, stop: threading.Event) -> None:
        driver: Any = self._connection.connection.dbapi_connection
        try:
            for _ in range(max(1, round(seconds / SLICE_SECONDS))):
                if stop.is_set() or list(driver.notifies(timeout=SLICE_SECONDS, stop_after=1)):
                    return
        except self._connection.dialect.loaded_dbapi.Error as error:  # the driver's own, of a package that is an extra
            raise sa.exc.OperationalError(f"LISTEN {CHANNEL}", None, error) from error


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a lock on a file; False where somebody else does."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
