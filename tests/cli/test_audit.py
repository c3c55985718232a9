from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboard.cli.audit import audit_group
from dashboard.store import audit
from dashboard.store.audit import Change
from dashboard.store.engine import Store, open_store


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("CACHEDECK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path))
    return tmp_path / "cachedeck.db"


@pytest.fixture(autouse=True)
def store(database: Path) -> Iterator[Store]:
    """A store with three changes: of ann, of bo, of ann."""
    store = open_store(f"sqlite:///{database}")
    for actor, subject in (("ann", "api:1"), ("bo", "api:2"), ("ann", "api:3")):
        with audit.record(store, Change(actor, "192.0.2.1", "main", "key.delete", subject)) as attempt:
            attempt.done(after={"deleted": True})
    yield store
    store.close()


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(audit_group, arguments, catch_exceptions=False)


def _tamper(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as own:
        own.execute("PRAGMA foreign_keys = OFF")
        own.execute(statement)
        own.commit()


class TestVerify:
    def test_it_prints_the_head_of_a_whole_trail(self, store: Store) -> None:
        result = _run("verify")
        assert result.exit_code == 0
        assert result.output == f"The audit trail is whole: 6 rows, head {audit.verify(store).head}\n"

    @pytest.mark.parametrize(
        ("statement", "sentence"),
        [
            ("UPDATE audit SET actor = 'eve' WHERE id = 3", "Entry 3 was changed."),
            ("DELETE FROM audit WHERE id = 3", "Entry 3 is missing."),
            ("DELETE FROM audit WHERE id >= 5", "Entries 5 to 6 are missing at the end."),
        ],
        ids=["changed", "removed", "cut"],
    )
    def test_it_finds_what_is_wrong(self, database: Path, statement: str, sentence: str) -> None:
        _tamper(database, statement)
        result = _run("verify")
        assert result.exit_code == 1
        assert sentence in result.stderr
        assert "The audit trail is damaged" in result.stdout


class TestExport:
    def _subjects(self, *arguments: str) -> list[str]:
        result = _run("export", *arguments)
        assert result.exit_code == 0
        return [json.loads(line)["subject"] for line in result.output.splitlines()]

    def test_it_prints_all_oldest_first(self) -> None:
        assert self._subjects() == ["api:1", "api:2", "api:3"]

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("--actor", "ann"), ["api:1", "api:3"]),
            (("--subject", ":2"), ["api:2"]),
            (("--action", "key.ttl"), []),
            (("--cache", "other"), []),
            (("--status", "open"), []),
            (("--since", "2000-01-01"), ["api:1", "api:2", "api:3"]),
            (("--until", "2000-01-01"), []),
        ],
    )
    def test_it_prints_what_the_filters_let_through(self, arguments: tuple[str, ...], expected: list[str]) -> None:
        assert self._subjects(*arguments) == expected

    def test_it_refuses_what_is_no_time(self) -> None:
        result = _run("export", "--since", "yesterday")
        assert result.exit_code == 1
        assert "is no time" in result.stderr
