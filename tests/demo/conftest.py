"""A small shop of its own for each test, over the shared Valkey."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.app import close_demo_app, create_demo_app
from dashboard.demo.assembly import Plan
from dashboard.demo.knobs import Knobs
from dashboard.demo.parts import EXTENSION, Parts
from dashboard.demo.sql.build import ensure_database
from dashboard.demo.sql.database import Database, sqlite_url
from dashboard.demo.sql.making import Size
from dashboard.demo.sql.schema import POSTGRES_SCHEMA
from tests.demo.table import Cached, Clock, Table, cached
from tests.postgres import Postgres
from tests.postgres import running as postgres_running
from tests.servers import Server

SMALL = Size(users=300, products=400)
TINY = Size(users=30, products=40)


def plan(database: Path, cache_url: str, *, prefix: str = "", **knobs: Any) -> Plan:
    """A shop over a database file. Without jitter, unless it is asked for, so that a test knows each TTL."""
    return Plan(sqlite_url(database), cache_url, prefix, Knobs().turned({"jitter": False, **knobs}), SMALL)


def parts_of(app: Flask) -> Parts:
    """What a shop is made of."""
    found: Parts = app.extensions[EXTENSION]
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def here(valkey: Server, clock: Clock) -> Iterator[Cached]:
    """One process over the shared cache, with nothing in the way of stampedes."""
    found = cached(valkey.url, clock=clock)
    yield found
    found.remote.close()


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    ensure_database(path, SMALL)
    return path


@pytest.fixture
def database(made_database: Path, tmp_path: Path) -> Path:
    """A small database that the test may change."""
    return Path(shutil.copy(made_database, tmp_path / "shop.db"))


@pytest.fixture
def open_shop(database: Path) -> Iterator[Callable[..., Flask]]:
    """Opens shops over the small database by their cache's URL, and closes them after the test."""
    opened: list[Flask] = []

    def make(cache_url: str, **options: Any) -> Flask:
        opened.append(create_demo_app(plan(database, cache_url, **options)))
        return opened[-1]

    yield make
    for app in opened:
        close_demo_app(app)


@pytest.fixture
def shop(open_shop: Callable[..., Flask], valkey: Server) -> FlaskClient:
    """A client of a shop whose cache is the shared Valkey."""
    client: FlaskClient = open_shop(valkey.url).test_client()
    return client


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; each test takes a database of its own."""
    with postgres_running() as server:
        yield server


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """A tiny shop in a file."""
    with closing(Database(sqlite_url(tmp_path / "tiny.db"), size=TINY)) as found:
        yield found


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[Database]:
    """A tiny shop in PostgreSQL."""
    with postgres.database() as url, closing(Database(url, size=TINY)) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request: pytest.FixtureRequest) -> Database:
    """A tiny shop, once in a file and once in PostgreSQL."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture
def other_program(either_database: Database) -> Iterator[Callable[..., None]]:
    """Executes a statement as another program would, which knows nothing of the shop: {} stands before its tables."""
    if either_database.file is not None:
        with closing(sqlite3.connect(either_database.file, timeout=60, isolation_level=None)) as connection:
            yield lambda statement: connection.execute(statement.format(""))
    else:
        address = either_database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as session:
            yield lambda statement: session.execute(statement.format(f"{POSTGRES_SCHEMA}."))
