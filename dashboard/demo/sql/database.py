"""The shop's database by its URL: SQLite or PostgreSQL, with as much extra latency a statement as one likes.

SQLite on a local disk answers within a fraction of a millisecond, which flatters any database behind a network and
hides what a cache is for. The extra latency stands for that network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dashboard.demo.encoding import Document
from dashboard.demo.sql.build import BadDatabase, ensure_database
from dashboard.demo.sql.build_postgres import ensure_schema
from dashboard.demo.sql.making import Size
from dashboard.demo.sql.schema import POSTGRES_SCHEMA

LOCK_SECONDS = 2  # that a statement waits for another's lock before it fails
CONNECT_SECONDS = 2
POOL = 10  # connections that are kept, and twice as many more for the moment
APART = "apart"  # the execution option of connections that are neither slowed nor counted

_USE_ANOTHER = "the database's URL must be sqlite:///path/of/a/file or postgresql://user:password@host/name"


class Database:
    """One database, made where it is missing; shared by all threads.

    `size` and `seed` count only when it is made. `counted` is called once a statement, in the thread that runs it.
    `latency` is what each statement waits before it is sent, in seconds; it may be set at any time. `made`: it was made
    now, so what a cache holds is of another one, whose versions mean nothing here. Raises BadDatabase
    for an address that the shop cannot use, OSError or SQLAlchemyError where the database does not let itself be used.
    """

    def __init__(
        self,
        url: str | sa.URL,
        *,
        size: Size | None = None,
        seed: int = 1,
        counted: Callable[[], object] = lambda: None,
    ) -> None:
        self.latency = 0.0
        self.counted = counted
        address = _address(url)
        if address.get_backend_name() == "sqlite":
            self.file: Path | None = Path(str(address.database))
            self.made = ensure_database(self.file, size, seed)
            self.engine = _sqlite(address)
        else:
            self.file = None
            self.engine = _postgres(address)
            with _closed_where_it_fails(self.engine):
                self.made = ensure_schema(self.engine, size, seed)
        self.apart = self.engine.execution_options(**{APART: True})
        """The same database for what is not the shop's own work: the relay, and who asks for the truth."""
        self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        sa.event.listen(self.engine, "before_cursor_execute", self._before)

    def close(self) -> None:
        self.engine.dispose()

    def all(self, query: sa.Select[Any], **parameters: object) -> list[Document]:
        """The rows that a query finds, as documents. One statement, so one state of the database."""
        with self._reader.connect() as connection:
            return [dict(row) for row in connection.execute(query, parameters).mappings()]

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """A connection in a transaction, which is committed where the block ends without an error."""
        return self.engine.begin()

    def _before(self, connection: sa.Connection, *_statement: object) -> None:
        if connection.get_execution_options().get(APART):
            return
        self.counted()
        if self.latency > 0:
            time.sleep(self.latency)


def sqlite_url(path: Path) -> sa.URL:
    """The URL of a database file, whatever signs are in its name."""
    return sa.URL.create("sqlite", database=str(path))


@contextmanager
def _closed_where_it_fails(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.dispose()
        raise


def _address(url: str | sa.URL) -> sa.URL:
    try:
        address = sa.make_url(url)
        name = address.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise BadDatabase(_USE_ANOTHER) from None
    if name == "sqlite":
        # Each connection of a pool would have a :memory: of its own, and file: may mean one as well.
        if not address.database or address.database.startswith((":memory:", "file:")):
            raise BadDatabase(_USE_ANOTHER)
        return sqlite_url(Path(address.database))
    if name in {"postgresql", "postgres"}:
        return address.set(drivername="postgresql+psycopg")
    raise BadDatabase(_USE_ANOTHER)


def _sqlite(address: sa.URL) -> sa.Engine:
    engine = sa.create_engine(address, connect_args={"timeout": LOCK_SECONDS}, pool_size=POOL, max_overflow=2 * POOL)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # WAL lets the readers go on while a write is under way.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _postgres(address: sa.URL) -> sa.Engine:
    # pre_ping: a server that was restarted costs no request its answer.
    options: dict[str, Any] = {"pool_size": POOL, "max_overflow": 2 * POOL, "pool_pre_ping": True}
    if "connect_timeout" not in address.query:
        options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    try:
        engine = sa.create_engine(address, **options)
    except ModuleNotFoundError:
        raise BadDatabase('for PostgreSQL install the extra: pip install "cachedeck[postgres]"') from None

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # Outside a transaction: one that is rolled back would take the settings with it.
        connection.autocommit = True
        for setting in (f"search_path TO {POSTGRES_SCHEMA}", f"lock_timeout TO '{LOCK_SECONDS}s'"):
            connection.execute(f"SET {setting}")
        connection.autocommit = False

    return engine
