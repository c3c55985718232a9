"""The shop's database: made once, whole or not at all, the same every time."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from dashboard.demo.sql import build, queries
from dashboard.demo.sql.build import BadDatabase, ensure_database
from dashboard.demo.sql.database import Database, sqlite_url
from dashboard.demo.sql.making import Maker, Size
from dashboard.demo.sql.rows import Rows
from dashboard.demo.sql.shop import Shop
from tests.demo.conftest import SMALL, TINY
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
        "import sys, pathlib; from dashboard.demo.sql.build import ensure_database; "
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


def test_what_is_no_shop_is_put_aside_and_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_text("somebody's notes")
    ensure_database(path, TINY)
    assert (tmp_path / "shop.db.damaged").read_text() == "somebody's notes"


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO users VALUES (7)")
        connection.commit()
    with pytest.raises(BadDatabase, match="not the shop's"):
        ensure_database(path, TINY)
    assert _rows(path, "users, users AS other") == [(7, 7)]


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


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:hunter2?mode=memory&uri=true",
        "mysql://deck:hunter2@127.0.0.1/name",
        "postgresql://deck:hunter2@host:port/name",
    ],
)
def test_a_url_that_is_of_no_use_is_refused_without_a_piece_of_it(url: str) -> None:
    with pytest.raises(BadDatabase, match="must be sqlite:///") as refused:
        Database(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_without_the_driver_of_postgres_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BadDatabase, match=r"cachedeck\[postgres\]"):
        Database("postgres://deck@127.0.0.1:1/name")


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a ? shop % 20 #1.db"
    with closing(Database(sqlite_url(path), size=TINY)) as database:
        assert database.all(queries.PRICE, sku="SKU-00001")
    assert path.exists()


def test_each_statement_is_counted_and_waits_as_long_as_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    slept: list[float] = []
    with closing(Database(sqlite_url(tmp_path / "shop.db"), size=TINY, counted=lambda: counted.append(1))) as database:
        monkeypatch.setattr("dashboard.demo.sql.database.time.sleep", slept.append)
        shop, rows = Shop(database), Rows(database)
        counted.clear()
        shop.price("SKU-00001")
        assert (len(counted), slept) == (1, [])
        database.latency = 0.005
        shop.user(1)
        rows.change("price", "SKU-00001", {"cents": 1})
        assert (len(counted), slept) == (4, [0.005] * 3)
        rows.versions([("price", "SKU-00001")])
        database.latency = 0.0
        shop.posts(1)
        assert (len(counted), slept) == (5, [0.005] * 3)


@pytest.mark.parametrize("statement", [1, 2])
def test_a_document_is_never_older_than_its_version_says(sqlite_database: Database, statement: int) -> None:
    """Whichever statement of the reading a change comes before."""
    shop, writer = Shop(sqlite_database), Shop(sqlite_database)
    counted = count(1)

    def change_before() -> None:
        if next(counted) == statement:
            sqlite_database.counted = lambda: None
            writer.add_post(3, 1, "The newest title", "A body")

    for read, titles in (
        (shop.user, lambda document: [post["title"] for post in document["latest"]]),
        (shop.posts, lambda document: [post["title"] for post in document["posts"]]),
    ):
        counted = count(1)
        before = read(3)
        sqlite_database.counted = change_before
        found = read(3)
        sqlite_database.counted = lambda: None
        assert before is not None
        assert found is not None
        if found["version"] > before["version"]:
            assert titles(found)[0] == "The newest title"
