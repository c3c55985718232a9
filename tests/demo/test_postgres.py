"""The shop over PostgreSQL: the same shop, made whole or not at all, in a schema of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from dashboard.demo import relay
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.relay import Relay
from dashboard.demo.sql import feeds, schema
from dashboard.demo.sql.build import BadDatabase
from dashboard.demo.sql.database import LOCK_SECONDS, Database
from dashboard.demo.sql.making import Maker, Size
from dashboard.demo.sql.rows import Rows
from dashboard.demo.sql.shop import Shop
from tests.demo.conftest import TINY
from tests.postgres import Postgres
from tests.postgres import running as postgres_running
from tests.programs import environment, running, wait_until

OPENING = "import sys; from dashboard.demo.sql.database import Database; Database(sys.argv[1])"
KEYS = Keyspace()


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def ask(postgres: Postgres, empty: str) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Executes a statement in that database as somebody else."""
    with postgres.connect(empty) as connection:

        def execute(statement: str) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

        yield execute


def note_in(told: list[str]) -> Callable[[Sequence[str]], bool]:
    """What a relay tells to, in place of the cache."""

    def tell(keys: Sequence[str]) -> bool:
        told.extend(keys)
        return True

    return tell


def _open(url: str, size: Size = TINY) -> closing[Database]:
    return closing(Database(url, size=size))


def test_it_is_the_same_shop_as_in_a_file(sqlite_database: Database, postgres_database: Database) -> None:
    here, there = Shop(sqlite_database), Shop(postgres_database)
    assert (here.users, here.products) == (there.users, there.products) == (TINY.users, TINY.products)
    for number in range(TINY.users + 2):
        assert here.user(number) == there.user(number)
        assert here.posts(number) == there.posts(number)
    for number in range(TINY.products + 2):
        assert here.product(number) == there.product(number)
        assert here.price(f"SKU-{number:05d}") == there.price(f"SKU-{number:05d}")
    for words in (["books"], ["toys"], ["no-such-word"], ["books", "toys"]):
        assert here.search(words, 1) == there.search(words, 1)
    assert here.catalogue() == there.catalogue()
    assert here.bestsellers(10) == there.bestsellers(10)


def test_it_is_made_once_and_its_size_and_changes_stay(empty: str) -> None:
    with _open(empty) as database:
        Rows(database).change("user", 3, {"city": "Ghent"})
    with _open(empty, Size(users=7, products=7)) as database:
        assert Shop(database).users == TINY.users
        assert (Shop(database).user(3) or {})["city"] == "Ghent"


def test_a_shop_of_another_version_is_made_anew(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with _open(empty):
        pass
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 99)
    with _open(empty, Size(users=7, products=7)) as database:
        assert Shop(database).users == 7


def test_nothing_outside_its_schema_is_touched(empty: str, ask: Callable[[str], list[tuple[Any, ...]]]) -> None:
    ask("CREATE TABLE users (id integer)")
    ask("INSERT INTO users VALUES (7)")
    with _open(empty) as database:
        assert Shop(database).users == TINY.users
    assert ask("SELECT * FROM public.users") == [(7,)]
    assert ask("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('prices', 'outbox')") == [("shop",)]


def test_a_schema_of_its_name_that_is_somebody_elses_is_left_alone(
    empty: str, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    ask("CREATE SCHEMA shop")
    ask("CREATE TABLE shop.prices (id integer)")
    with pytest.raises(BadDatabase, match="not the shop's"):
        Database(empty, size=TINY)
    assert ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'shop'") == [(1,)]


def test_a_killed_first_start_leaves_nothing_and_the_next_makes_a_whole_one(
    empty: str, ask: Callable[[str], list[tuple[Any, ...]]], tmp_path: Any
) -> None:
    copying = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'"
    with running([sys.executable, "-c", OPENING, empty], environment(tmp_path)) as program:
        wait_until(lambda: ask(copying) != [], "it is filled")
        os.kill(program.pid, signal.SIGKILL)
        program.end()
    assert ask("SELECT * FROM pg_namespace WHERE nspname = 'shop'") == []
    with _open(empty) as database:  # waits until the server has noticed that the other one is gone
        assert Shop(database).users == TINY.users


def test_a_failed_build_leaves_nothing(
    empty: str, ask: Callable[[str], list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def prices(_maker: Maker) -> object:
        raise OSError("no space left on device")

    monkeypatch.setattr(Maker, "prices", prices)
    with pytest.raises(OSError, match="no space"):
        Database(empty, size=TINY)
    assert ask("SELECT * FROM pg_namespace WHERE nspname = 'shop'") == []


def test_of_two_starts_at_once_one_makes_it_and_the_other_waits(empty: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dashboard.demo")

    def start() -> None:
        with _open(empty) as database:
            assert Shop(database).users == TINY.users

    starts = [threading.Thread(target=start) for _ in range(2)]
    for one in starts:
        one.start()
    for one in starts:
        one.join()
    assert [record.message for record in caplog.records if "making the shop" in record.message] == [
        f"making the shop: {TINY.users} users, {TINY.products} products (once)"
    ]


def test_ids_go_on_after_those_that_were_made(postgres_database: Database) -> None:
    with postgres_database.begin() as connection:
        newest = connection.execute(sa.select(sa.func.max(schema.posts.c.id))).scalar_one()
        user = schema.users.insert().values(name="n", email="e", city="c", bio="b", joined=0)
        assert connection.execute(user).inserted_primary_key == (TINY.users + 1,)
    Shop(postgres_database).add_post(3, 1, "A title", "A body")
    assert (Shop(postgres_database).posts(3) or {})["posts"][0]["id"] == newest + 1


def test_a_new_shop_is_analyzed_so_that_its_first_reads_find_their_indexes(postgres_database: Database) -> None:
    rows = sa.text("SELECT reltuples FROM pg_class WHERE oid = 'users'::regclass")
    with postgres_database.begin() as connection:
        assert connection.execute(rows).scalar_one() == TINY.users


def test_a_connection_keeps_its_settings_after_a_transaction_that_failed(postgres_database: Database) -> None:
    for _ in range(2):
        with postgres_database.begin() as connection:
            assert connection.execute(sa.text("SHOW search_path")).scalar_one() == "shop"
            assert connection.execute(sa.text("SHOW lock_timeout")).scalar_one() == f"{LOCK_SECONDS}s"
        with pytest.raises(sa.exc.DBAPIError), postgres_database.begin() as connection:
            connection.execute(sa.text("SELECT 1/0"))


def test_posts_of_one_user_from_many_threads_do_not_block_each_other(postgres_database: Database) -> None:
    shop, failed = Shop(postgres_database), list[Exception]()

    def add() -> None:
        try:
            for number in range(15):
                shop.add_post(3, 1, f"Number {number}", "x")
        except sa.exc.SQLAlchemyError as error:
            failed.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (shop.posts(3) or {})["version"] > 60


def test_a_server_that_comes_back_is_used_again_and_the_relay_goes_on() -> None:
    with postgres_running() as server, server.database() as url, _open(url) as database:
        shop, rows, told = Shop(database), Rows(database), list[str]()
        with closing(Relay(database, KEYS, lambda changes: 0, note_in(told))) as passing_on:
            passing_on.start()
            rows.change("user", 3, {"city": "Ghent"})
            wait_until(lambda: told == [KEYS.user(3)], "the first change is told")
            server.stop()
            with pytest.raises(sa.exc.OperationalError):
                shop.user(3)
            server.start_again()
            assert (shop.user(3) or {})["city"] == "Ghent"
            rows.change("user", 4, {"city": "Ghent"})
            wait_until(lambda: KEYS.user(4) in told, "the second change is told")


def test_a_notification_wakes_the_relay(postgres_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds.ListeningFeed, "longest_wait", 3600.0)
    monkeypatch.setattr(relay, "SHORTEST_WAIT", 3600.0)
    told: list[str] = []
    with closing(Relay(postgres_database, KEYS, lambda changes: 0, note_in(told))) as passing_on:
        passing_on.start()
        for user in range(3, 6):
            Rows(postgres_database).change("user", user, {"city": "Ghent"})
            wait_until(lambda user=user: KEYS.user(user) in told, "it is told", 60)  # type: ignore[misc]


def test_a_transaction_that_ends_late_is_told_though_later_notes_were_removed(postgres_database: Database) -> None:
    """Its note has a smaller id than one which the relay tells of and removes."""
    told: list[str] = []
    change = "UPDATE users SET city = 'Ghent' WHERE id = :id"
    with postgres_database.engine.connect() as late:
        late.execute(sa.text(change), {"id": 3})
        Rows(postgres_database).change("user", 4, {"city": "Ghent"})

        def tell(keys: Sequence[str]) -> bool:
            late.commit()  # between the relay's reading and its removing
            return note_in(told)(keys)

        with closing(Relay(postgres_database, KEYS, lambda changes: 0, tell)) as passing_on:
            passing_on.start()
            wait_until(lambda: told == [KEYS.user(4), KEYS.user(3)], "both are told")


def test_a_relay_whose_session_was_ended_takes_its_turn_anew(postgres_database: Database, postgres: Postgres) -> None:
    told: list[str] = []
    with (
        closing(Relay(postgres_database, KEYS, lambda changes: 0, note_in(told))) as passing_on,
        postgres.connect() as somebody,
    ):
        passing_on.start()
        name = postgres_database.engine.url.database
        holders = (
            "SELECT held.pid FROM pg_locks held JOIN pg_stat_activity activity USING (pid) "
            "WHERE locktype = 'advisory' AND activity.datname = %s"
        )
        wait_until(lambda: somebody.execute(holders, (name,)).fetchall() != [], "it has its turn")
        ((pid,),) = somebody.execute(holders, (name,)).fetchall()
        somebody.execute("SELECT pg_terminate_backend(%s)", (pid,))
        Rows(postgres_database).change("user", 3, {"city": "Ghent"})
        wait_until(lambda: told == [KEYS.user(3)], "it is told")
        assert somebody.execute(holders, (name,)).fetchall() not in ([], [(pid,)])


def test_a_database_that_is_not_there_says_no_password() -> None:
    with pytest.raises(sa.exc.OperationalError) as failed:
        Database("postgresql://deck:hunter2@127.0.0.1:1/name")
    assert "hunter2" not in str(failed.value)
    assert isinstance(failed.value.orig, psycopg.OperationalError)
