"""Opening the database: private, migrated once, and clear about what is wrong."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from dashboard.store import engine, errors, migrate, operators, samples, sqlite_file
from dashboard.store.engine import Store, open_store
from dashboard.store.errors import StoreUnavailable, StoreUnusable
from dashboard.store.samples import Sample
from dashboard.store.schema import Base, LockRow
from tests.store.processes import open_and_count, together


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_several_processes_open_a_fresh_database_at_once(url: str) -> None:
    assert together(8, open_and_count, url) == [0] * 8


def test_several_threads_open_a_fresh_database_at_once(url: str) -> None:
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(open_store(url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [operators.all_operators(store) for store in stores] == [[]] * 6
    for store in stores:
        store.close()


def test_it_waits_for_another_process_that_switches_to_wal_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["locked", "locked"]
    switch = sqlite_file._switch

    def locked_at_first(engine: Engine) -> str:
        if answers:
            raise sqlite3.OperationalError(f"database is {answers.pop()}")
        return switch(engine)

    monkeypatch.setattr(sqlite_file, "_switch", locked_at_first)
    open_store(sqlite_url(tmp_path / "cachedeck.db")).close()
    assert answers == []


def test_it_goes_on_where_the_file_system_allows_no_wal_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_file, "_switch", lambda _engine: "delete")
    open_store(sqlite_url(tmp_path / "cachedeck.db")).close()
    assert "allows no WAL mode" in caplog.text


def test_migrations_make_the_tables_of_the_schema(store: Store) -> None:
    with store.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_samples_of_the_version_before_are_read_after_its_migration(tmp_path: Path) -> None:
    """They are JSON as text there; here they are bytes, which need not be compressed."""
    path = tmp_path / "cachedeck.db"
    opened = open_store(sqlite_url(path))
    with opened.write() as session:
        config = migrate._config()
        config.attributes["connection"] = session.connection()
        migrate.command.downgrade(config, "0004")
        row = {"cache": "main", "node": "a:1", "resolution": 0, "slot_ms": 100_000, "at": 100.0}
        insert = "INSERT INTO samples VALUES (:cache, :node, :resolution, :slot_ms, :at, :counters)"
        session.execute(text(insert), {**row, "counters": '{"keys":3.5}'})
    opened.close()
    again = open_store(sqlite_url(path))
    samples.save(again, [Sample(102.0, "main", "a:1", {"keys": 4.0})])
    assert [one.values for one in samples.load(again, "main", 0, resolution=samples.RAW)] == [
        {"keys": 3.5},
        {"keys": 4},
    ]
    again.close()


def test_it_opens_again_what_it_has_made(url: str, store: Store) -> None:
    with store.write() as session:
        session.add(LockRow(name="mine"))
    again = open_store(url)
    with again.read() as session:
        assert session.get(LockRow, "mine") is not None
    again.close()


def test_its_files_are_for_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(sqlite_url(tmp_path / "deep" / "cachedeck.db"))
        with store.write() as session:
            session.add(LockRow(name="mine"))
        files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert files["cachedeck.db"] == 0o600
    assert files["cachedeck.db-wal"] == 0o600
    assert set(files.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


def test_it_keeps_the_mode_of_a_file_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "cachedeck.db"
    path.touch(0o600)
    path.chmod(0o640)
    open_store(sqlite_url(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_sqlite_runs_in_wal_mode_with_foreign_keys_and_full_durability(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path / "cachedeck.db"))
    with store.read() as session:
        connection = session.connection()
        pragmas = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    store.close()
    assert found == ["wal", 1, 2, 10000]


def test_what_a_block_wrote_before_it_raised_is_gone(store: Store) -> None:
    def write_and_fail() -> None:
        with store.write() as session:
            session.add(LockRow(name="mine"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with store.read() as session:
        assert session.get(LockRow, "mine") is None


def test_a_reader_sees_one_state_while_others_write(store: Store) -> None:
    count = text("SELECT count(*) FROM locks")
    with store.read() as reader:
        before = reader.execute(count).scalar()
        with store.write() as writer:
            writer.add(LockRow(name="mine"))
        assert reader.execute(count).scalar() == before
    with store.read() as reader:
        assert reader.execute(count).scalar() == before + 1


def test_blocks_with_the_same_lock_run_one_after_the_other(store: Store) -> None:
    inside = 0
    most = 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(20):
            with store.write("sign_in"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_lock_that_is_held_elsewhere_becomes_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    path = tmp_path / "cachedeck.db"
    store = open_store(sqlite_url(path))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as caught, store.write():
        pytest.fail("entered the block without the lock")
    assert "locked by another process" in caught.value.sentence
    assert operators.all_operators(store) == []
    holder.close()
    store.close()


def test_a_file_that_is_no_database_becomes_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cachedeck.db"
    path.write_text("These are my notes and no database at all. " * 100)
    with pytest.raises(StoreUnavailable) as caught:
        open_store(sqlite_url(path))
    assert "damaged or is no SQLite database" in caught.value.sentence
    assert path.read_text().startswith("These are my notes")


def test_a_folder_that_cannot_be_made_becomes_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable) as caught:
        open_store(sqlite_url(tmp_path / "file" / "cachedeck.db"))
    assert str(tmp_path / "file" / "cachedeck.db") in caught.value.sentence


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_it_refuses_a_database_in_memory(url: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        open_store(url)
    assert "in memory" in caught.value.sentence


def test_it_takes_a_file_uri(tmp_path: Path) -> None:
    open_store(f"sqlite:///file:{tmp_path}/cachedeck.db?uri=true").close()
    assert stat.S_IMODE((tmp_path / "cachedeck.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["", "hunter2", "postgresql://deck:hunter2@host:port/name", "sqlite://hunter2.db"])
def test_an_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        open_store(url)
    assert "hunter2" not in repr(caught.value) + caught.value.advice
    assert caught.value.__suppress_context__


def test_a_missing_driver_becomes_a_sentence_without_the_password() -> None:
    with pytest.raises(StoreUnusable) as caught:
        open_store("nosuchdatabase://deck:hunter2@host/name")
    assert caught.value.sentence == "There is no driver for nosuchdatabase databases in this environment."


def test_the_log_has_the_drivers_reason_once_and_no_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("psycopg", reason="PostgreSQL is an extra")
    monkeypatch.setattr(errors, "_told", {})
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            open_store("postgres://deck:hunter2@127.0.0.1:1/name")
    (record,) = [record for record in caplog.records if record.name == "dashboard.store.errors"]
    assert "127.0.0.1" in record.getMessage()
    assert "hunter2" not in caplog.text


def test_a_server_that_is_not_there_becomes_a_sentence_without_the_password() -> None:
    pytest.importorskip("psycopg", reason="PostgreSQL is an extra")
    with pytest.raises(StoreUnavailable) as caught:
        open_store("postgres://deck:hunter2@127.0.0.1:1/name")
    assert caught.value.sentence == "Cachedeck's own database does not answer."
    assert "hunter2" not in str(caught.value.__cause__)


def test_its_representation_shows_no_address() -> None:
    hidden = Store(engine._engine("postgresql://deck:hunter2@host/name?password=hunter2"))
    assert repr(hidden) == "<Store postgresql>"
    hidden.close()


def test_errors_show_no_parameters(store: Store) -> None:
    twice = text("INSERT INTO locks VALUES (:name), (:name)")
    with pytest.raises(IntegrityError) as caught, store.write() as session:
        session.execute(twice, {"name": "hunter2"})
    assert "parameters hidden" in str(caught.value)


def test_it_refuses_the_schema_of_a_newer_version(url: str, store: Store) -> None:
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnusable) as caught:
        open_store(url)
    assert "9999 of a newer Cachedeck" in caught.value.sentence


def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = migrate.command.upgrade

    def fail_at_the_end(*arguments: object) -> None:
        upgrade(*arguments)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(migrate.command, "upgrade", fail_at_the_end)
        with pytest.raises(ZeroDivisionError):
            open_store(url)
    open_store(url).close()


def test_a_child_process_opens_connections_of_its_own(tmp_path: Path) -> None:
    script = f"""
import os
from dashboard.store.engine import open_store
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

store = open_store({sqlite_url(tmp_path / "cachedeck.db")!r})
with store.read() as session:
    parents = id(session.connection().connection.dbapi_connection)
pid = os.fork()
if pid == 0:
    idle = store._engine.pool.checkedin()
    with store.write() as session:
        session.execute(text("INSERT INTO locks VALUES ('child')"))
    os._exit(idle)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "the child took over a connection"
with store.read() as session:
    assert session.execute(text("SELECT count(*) FROM locks WHERE name = 'child'")).scalar() == 1
store.close()
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
