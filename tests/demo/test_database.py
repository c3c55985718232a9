"""The shop's database: made once, whole or not at all, the same every time."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dashboard.demo import build
from dashboard.demo.build import ensure_database
from dashboard.demo.making import Maker, Size
from tests.demo.conftest import SMALL
from tests.programs import environment, running, wait_until

TABLES = ("users", "posts", "products", "prices", "terms")


def _rows(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def test_it_has_as_many_users_and_products_as_promised_by_default() -> None:
    assert Size() == Size(users=100_000, products=20_000)


def test_it_is_complete(database: Path) -> None:
    users = {row[0] for row in _rows(database, "users")}
    products = {row[0]: row[1] for row in _rows(database, "products")}
    assert users == set(range(1, SMALL.users + 1))
    assert set(products) == set(range(1, SMALL.products + 1))
    assert {row[0] for row in _rows(database, "prices")} == set(products.values())
    assert {row[1] for row in _rows(database, "posts")} <= users
    assert len(_rows(database, "posts")) > SMALL.users
    assert {row[1] for row in _rows(database, "terms")} == set(products)


def test_it_is_made_once(database: Path) -> None:
    before = database.stat()
    assert ensure_database(database, SMALL) is False
    after = database.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_same_seed_makes_the_same_rows_and_another_seed_others(database: Path, tmp_path: Path) -> None:
    ensure_database(tmp_path / "again.db", SMALL)
    ensure_database(tmp_path / "other.db", SMALL, seed=2)
    for table in TABLES:
        assert _rows(tmp_path / "again.db", table) == _rows(database, table)
    assert _rows(tmp_path / "other.db", "users") != _rows(database, "users")


def test_a_killed_first_start_leaves_no_database_and_the_next_makes_a_whole_one(tmp_path: Path) -> None:
    path, unfinished = tmp_path / "shop.db", tmp_path / "shop.db.unfinished"
    code = (
        "import sys, pathlib; from dashboard.demo.build import ensure_database; "
        "ensure_database(pathlib.Path(sys.argv[1]))"
    )
    with running([sys.executable, "-c", code, str(path)], environment(tmp_path)) as program:
        wait_until(lambda: unfinished.exists() and unfinished.stat().st_size > 1_000_000, "some rows")
        os.kill(program.pid, signal.SIGKILL)
        program.end()
    assert not path.exists()
    assert ensure_database(path, SMALL) is True
    assert not unfinished.exists()
    assert len(_rows(path, "users")) == SMALL.users


def test_a_failed_build_leaves_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prices(_maker: Maker) -> object:
        raise OSError("no space left on device")

    monkeypatch.setattr(Maker, "prices", prices)
    with pytest.raises(OSError, match="no space"):
        ensure_database(tmp_path / "shop.db", SMALL)
    assert not (tmp_path / "shop.db").exists()


def test_a_database_of_another_version_is_made_anew(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.schema, "SCHEMA_VERSION", 99)
    assert ensure_database(database, SMALL) is True
    assert ensure_database(database, SMALL) is False


def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(b"not a database, but as long as the head of one would have to be " * 20)
    assert ensure_database(path, SMALL) is True
    assert len(_rows(path, "users")) == SMALL.users


def test_of_two_starts_at_once_one_makes_it_and_the_other_waits(tmp_path: Path) -> None:
    made: list[bool] = []
    starts = [
        threading.Thread(target=lambda: made.append(ensure_database(tmp_path / "shop.db", SMALL))) for _ in range(2)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert sorted(made) == [False, True]
