"""A fresh store for each test: SQLite always, PostgreSQL too where CACHEDECK_TEST_POSTGRES_URL names one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from argon2 import PasswordHasher

from dashboard.store import passwords
from dashboard.store.engine import Store, open_store

POSTGRES = os.environ.get("CACHEDECK_TEST_POSTGRES_URL", "")


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'cachedeck.db'}"
        return
    name = f"test_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(POSTGRES).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    address = sqlalchemy.make_url(POSTGRES).update_query_dict({"options": f"-csearch_path={name}"})
    yield address.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes that cost nothing, for tests of what surrounds them."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords.decoy.cache_clear()
    yield
    passwords.decoy.cache_clear()
