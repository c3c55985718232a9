from __future__ import annotations

import getpass
import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result

from dashboard.cli.operators import operator_group
from dashboard.store import audit, operators, passwords
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store, open_store
from dashboard.store.operators import Operator, Role

PASSWORD = "correct horse battery"
SILENCE_SECONDS = 300.0


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that the commands find by the environment; hashing is cheap."""
    for name in [name for name in os.environ if name.startswith("CACHEDECK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return tmp_path / "data"


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    data.mkdir()
    store = open_store(f"sqlite:///{data / 'cachedeck.db'}")
    yield store
    store.close()


def _run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(operator_group, arguments, input=typed, catch_exceptions=False)


def _named(store: Store, name: str) -> Operator:
    found = operators.by_name(store, name)
    assert found is not None
    return found


def _last(store: Store) -> Entry:
    return audit.search(store, Filters())[0]


class TestAdd:
    def test_it_reads_the_password_from_standard_input(self, store: Store) -> None:
        result = _run("add", "ann", "--role", "admin", typed=f"{PASSWORD}\n")
        assert (result.exit_code, result.output) == (0, "ann was added as admin.\n")
        signed_in = operators.sign_in(store, "ann", PASSWORD, "192.0.2.1")
        assert signed_in is not None
        assert signed_in.role is Role.ADMIN

    def test_it_makes_data_folder_and_database(self, data: Path) -> None:
        assert _run("add", "ann", "--role", "admin", typed=f"{PASSWORD}\n").exit_code == 0
        assert (data / "cachedeck.db").exists()

    def test_it_asks_twice_on_a_terminal(self, data: Path) -> None:
        output = _on_a_terminal(["add", "ann", "--role", "viewer"], [PASSWORD, "something else", PASSWORD, PASSWORD])
        assert output.count("Password:") == 2
        assert output.count("Password again:") == 2
        assert "ann was added as viewer." in output
        assert PASSWORD not in output

    def test_it_is_in_the_audit_trail_under_the_user_of_the_machine(self, store: Store) -> None:
        _run("add", "ann", "--role", "viewer", "--reason", "first one", typed=f"{PASSWORD}\n")
        entry = _last(store)
        assert (entry.actor, entry.address) == (f"cli:{getpass.getuser()}", "local")
        assert (entry.action, entry.subject, entry.after) == ("operator.add", "ann", {"role": "viewer"})
        assert (entry.status, entry.reason) == ("done", "first one")
        assert PASSWORD not in repr(entry)

    def test_it_refuses_a_name_that_is_taken(self, store: Store) -> None:
        operators.add(store, "ann", PASSWORD, Role.ADMIN)
        result = _run("add", "ann", "--role", "viewer", typed=f"{PASSWORD}\n")
        assert result.exit_code == 1
        assert "Error: There is an operator ann already." in result.stderr
        assert _last(store).status == "failed"

    def test_it_refuses_a_weak_password(self, store: Store) -> None:
        result = _run("add", "ann", "--role", "viewer", typed="short\n")
        assert result.exit_code == 1
        assert "it needs 10 or more" in result.stderr
        assert operators.by_name(store, "ann") is None

    def test_it_refuses_no_password(self, data: Path) -> None:
        result = _run("add", "ann", "--role", "viewer")
        assert result.exit_code == 1
        assert "No password came on standard input." in result.stderr

    def test_it_refuses_an_unknown_role(self, data: Path) -> None:
        assert _run("add", "ann", "--role", "root", typed=f"{PASSWORD}\n").exit_code == 2


class TestList:
    @pytest.fixture(autouse=True)
    def _two(self, store: Store) -> None:
        operators.add(store, "ann", PASSWORD, Role.ADMIN)
        operators.set_enabled(store, operators.add(store, "bo", PASSWORD, Role.VIEWER).id, False)

    def test_it_shows_name_role_and_state(self) -> None:
        lines = [line.split() for line in _run("list").output.splitlines()]
        assert lines == [["ann", "admin", "enabled"], ["bo", "viewer", "disabled"]]

    def test_it_gives_json(self) -> None:
        ann, bo = json.loads(_run("list", "--json").output)
        assert (ann["name"], ann["role"], ann["enabled"]) == ("ann", "admin", True)
        assert (bo["name"], bo["enabled"], bo["last_login_at"]) == ("bo", False, None)

    def test_it_shows_no_hash(self) -> None:
        assert "argon2" not in _run("list").output + _run("list", "--json").output


class TestChanges:
    @pytest.fixture(autouse=True)
    def _two(self, store: Store) -> None:
        operators.add(store, "ann", PASSWORD, Role.ADMIN)
        operators.add(store, "bo", PASSWORD, Role.VIEWER)

    def test_it_sets_a_password_and_ends_sessions(self, store: Store) -> None:
        before = _named(store, "bo")
        assert _run("passwd", "bo", typed="a new password\n").exit_code == 0
        assert operators.sign_in(store, "bo", "a new password", "192.0.2.1") is not None
        assert _named(store, "bo").session_epoch != before.session_epoch
        assert _last(store).action == "operator.password"

    def test_it_disables_and_enables(self, store: Store) -> None:
        assert _run("disable", "bo").output == "bo is disabled now.\n"
        assert not _named(store, "bo").enabled
        assert (_last(store).before, _last(store).after) == ({"enabled": True}, {"enabled": False})
        assert _run("enable", "bo").output == "bo is enabled now.\n"
        assert _named(store, "bo").enabled

    def test_it_changes_a_role(self, store: Store) -> None:
        assert _run("role", "bo", "operator").output == "bo is operator now.\n"
        assert _named(store, "bo").role is Role.OPERATOR
        assert (_last(store).before, _last(store).after) == ({"role": "viewer"}, {"role": "operator"})

    @pytest.mark.parametrize("arguments", [("disable", "ann"), ("role", "ann", "viewer")])
    def test_it_keeps_the_last_admin(self, store: Store, arguments: tuple[str, ...]) -> None:
        result = _run(*arguments)
        assert result.exit_code == 1
        assert "is the last enabled admin" in result.stderr
        assert _named(store, "ann").enabled
        assert _named(store, "ann").role is Role.ADMIN

    @pytest.mark.parametrize("arguments", [("disable", "x"), ("enable", "x"), ("passwd", "x"), ("role", "x", "admin")])
    def test_it_says_that_there_is_no_such_operator(self, arguments: tuple[str, ...]) -> None:
        result = _run(*arguments, typed=f"{PASSWORD}\n")
        assert result.exit_code == 1
        assert "There is no operator 'x'." in result.stderr


def test_it_says_in_a_sentence_that_the_database_cannot_be_used(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_DATABASE_URL", "nonsense")
    result = _run("list")
    assert result.exit_code == 1
    assert "The address of the database cannot be read." in result.stderr


def test_it_says_in_a_sentence_that_a_setting_is_wrong(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_PORT", "many")
    result = _run("list")
    assert result.exit_code == 1
    assert "CACHEDECK_PORT" in result.stderr


def _on_a_terminal(arguments: list[str], typed: list[str]) -> str:
    """Run the command on a terminal, typing a line at each question; all that it showed.

    The session of its own keeps getpass from the terminal on which the tests are run.
    """
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", "from dashboard.cli.operators import operator_group as g; g()", *arguments]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True)
    os.close(follower)
    shown, asked = "", 0
    try:
        while chunk := _read(leader):
            shown += chunk
            if len(re.findall(r"Password(?: again)?: ", shown)) > asked:
                os.write(leader, f"{typed[asked]}\n".encode())
                asked += 1
    finally:
        os.close(leader)
        process.kill()
        process.wait()
    assert asked == len(typed)
    return shown


def _read(terminal: int) -> str:
    """What the terminal shows next; "" when the command has ended or says nothing for long."""
    if not select.select([terminal], [], [], SILENCE_SECONDS)[0]:
        return ""
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # Linux says EIO when nobody holds the other end any more
        return ""
