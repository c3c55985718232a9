"""`cachedeck config check`: what is in force, without secrets, and whether each cache can be used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboard.cli.main import main
from dashboard.settings import Settings
from tests.servers import HOST, Cluster, Server, free_port, running

SECRETS = {
    "CACHEDECK_DATABASE_URL": "postgresql://cachedeck:hunter2-db@db.example/cachedeck",
    "CACHEDECK_QUEUE_URL": "redis://:hunter2-queue@queue.example/1",
    "CACHEDECK_SECRET_KEY": "hunter2-key-that-is-long-enough-to-sign",
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith("CACHEDECK_") or name == "PORT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["config", "check", *arguments])


def as_json(result: Result) -> dict[str, object]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_it_shows_every_setting(tmp_path: Path) -> None:
    result = check()
    assert result.exit_code == 0
    for name in set(Settings.model_fields) - {"caches"}:
        assert f"CACHEDECK_{name.upper()} " in result.stdout
    assert str(tmp_path / "data") in result.stdout
    assert "No cache is configured" in result.stdout
    assert set(as_json(check("--json"))["settings"]) == set(Settings.model_fields) - {"caches"}  # type: ignore[call-overload]


def test_it_masks_every_secret(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://bob:hunter2@{HOST}:{valkey.port}")
    for result in (check(), check("--json")):
        assert "hunter2" not in result.output
        assert result.output.count("********") == len(SECRETS)


def test_it_masks_secrets_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert "hunter2" not in check().output
    assert check().output.count("********") == len(SECRETS)


def test_it_tries_each_cache(valkey: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = free_port()
    monkeypatch.setenv(
        "CACHEDECK_CACHES",
        f"shop={valkey.url}?environment=production&read_only=yes big={cluster.url} gone=redis://:hunter2@{HOST}:{dead}",
    )
    result = check()
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    shop, big, gone = (
        next(i for i, line in enumerate(lines) if line.startswith(f"{name}:")) for name in ("shop", "big", "gone")
    )
    assert lines[shop] == f"shop: redis://{HOST}:{valkey.port} production read-only"
    assert lines[shop + 1].startswith("  Valkey 9.")
    assert lines[shop + 1].endswith("standalone, 1 primary.")
    assert "  UNLINK: the cache is declared read-only" in lines[shop:big]
    assert lines[big + 1].endswith("cluster, 3 primaries.")
    assert lines[gone] == f"gone: redis://{HOST}:{dead}"
    assert lines[gone + 1].startswith("  gone cannot be reached.")
    found = {one["name"]: one for one in as_json(check("--json"))["caches"]}  # type: ignore[attr-defined]
    assert [found[name]["usable"] for name in ("shop", "big", "gone")] == [True, True, False]
    assert found["shop"]["labels"] == ["production", "read-only"]
    assert found["big"]["denied"] == []


def test_it_is_content_when_each_cache_can_be_used(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop={valkey.url}")
    assert check().exit_code == 0


def test_it_says_what_a_user_lacks() -> None:
    with running() as server, server.client() as client, pytest.MonkeyPatch.context() as patch:
        client.execute_command("ACL", "SETUSER", "bob", "on", ">hunter2", "~*", "&*", "+@all", "-unlink", "-config|set")
        patch.setenv("CACHEDECK_CACHES", f"shop=redis://bob:hunter2@{HOST}:{server.port}")
        result = check()
    assert result.exit_code == 0
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert "UNLINK: not allowed for this user" in lines
    assert "CONFIG SET: not allowed for this user" in lines
    assert sum("not allowed" in line for line in lines) == 2


def test_a_wrong_password_is_said_without_it(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"shop=redis://bob:hunter2@{HOST}:{valkey.port}")
    result = check()
    assert result.exit_code == 1
    assert "shop refuses the user name or password." in result.stdout
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CACHEDECK_PORT", "hunter2", "CACHEDECK_PORT: "),
        ("CACHEDECK_CACHES", "shop=http://:hunter2@h", "CACHEDECK_CACHES: The cache 'shop': "),
        ("CACHEDECK_SECRET_KEY", "hunter2", "CACHEDECK_SECRET_KEY: has at least 32 characters"),
        ("CACHEDECK_DATA", "/proc/hunter", "CACHEDECK_DATA: /proc/hunter is not a folder"),
        ("CACHEDECK_QUEUE_URL_FILE", "/no/such/file", "CACHEDECK_QUEUE_URL_FILE cannot be read"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_no_trace(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    result = check()
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {says}")
    assert len(result.stderr.splitlines()) == 1
    assert "hunter2" not in result.output
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)
