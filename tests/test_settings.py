"""Every setting comes from its variable or its file; a bad value is refused in a sentence without secrets."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from dashboard.settings import PREFIX, BadSettings, Settings, load_settings, prepare_data_folder, secret_key
from tests.programs import ROOT, environment

SECRET = "hunter2" * 6

# Each setting with a value that is not its default, and how it shows in Settings.
VALUES: dict[str, tuple[str, object]] = {
    "caches": ("a=redis://h/1 b=unix:///s", ["redis://h:6379/1", "unix:///s"]),
    "data": ("/somewhere/else", "/somewhere/else"),
    "database_url": (f"postgresql://u:{SECRET}@h/d", f"postgresql://u:{SECRET}@h/d"),
    "queue_url": (f"redis://:{SECRET}@h/1", f"redis://:{SECRET}@h/1"),
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("9999", 9999),
    "url_prefix": ("ops/cache/", "/ops/cache"),
    "trusted_proxies": ("2", 2),
    "secret_key": (SECRET, SECRET),
    "idle_minutes": ("5", 5),
    "session_hours": ("3", 3),
    "sample_seconds": ("0.5", 0.5),
    "search_seconds": ("1.5", 1.5),
    "walk_hold_ms": ("0.5", 0.5),
    "walk_share": ("1", 1.0),
    "walk_latency_ms": ("5", 5.0),
    "walk_memory_mb": ("16", 16),
    "vault_mb": ("0", 0),
    "vault_hours": ("0.5", 0.5),
    "vault_key_mb": ("1", 1),
    "approve_keys": ("1000", 1000),
    "approve_mb": ("100", 100),
    "approve_percent": ("2.5", 2.5),
    "namespace_separator": ("/", "/"),
    "web_threads": ("4", 4),
    "streams": ("4", 4),
    "demo_url": ("http://127.0.0.1:8602/", "http://127.0.0.1:8602"),
    "demo_rate": ("10", 10),
    "embedded_maxmemory": ("512mb", "512mb"),
    "log_level": ("DEBUG", "DEBUG"),
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(PREFIX) or name == "PORT":
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def _shown(settings: Settings, name: str) -> object:
    value = getattr(settings, name)
    if name == "caches":
        return [target.address for target in value]
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def test_this_file_knows_every_setting() -> None:
    assert set(VALUES) == set(Settings.model_fields)


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_comes_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = VALUES[name]
    assert _shown(load_settings(), name) != value
    monkeypatch.setenv(PREFIX + name.upper(), text)
    assert _shown(load_settings(), name) == value


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_comes_from_its_file_which_wins(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text, value = VALUES[name]
    file = tmp_path / "value"
    file.write_text(text + "\n")
    monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", str(file))
    monkeypatch.setenv(PREFIX + name.upper(), "not used")
    assert _shown(load_settings(), name) == value


def test_port_is_taken_from_the_platform_unless_ours_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PORT", "5000")
    assert load_settings().port == 5000
    (tmp_path / "port").write_text("7000")
    monkeypatch.setenv("CACHEDECK_PORT_FILE", str(tmp_path / "port"))
    assert load_settings().port == 7000
    monkeypatch.delenv("CACHEDECK_PORT_FILE")
    monkeypatch.setenv("CACHEDECK_PORT", "6000")
    assert load_settings().port == 6000


def test_an_empty_port_of_the_platform_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    assert load_settings().port == 8600


def test_the_data_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load_settings().data == tmp_path / "cachedeck"
    assert load_settings().database == f"sqlite:///{tmp_path}/cachedeck/cachedeck.db"
    assert load_settings().queue == f"sqlite:///{tmp_path}/cachedeck/queue.db"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CACHES", "shop"),
        ("CACHES", f"shop=redis://:{SECRET}@h:port"),
        ("CACHES", f"shop=redis://:{SECRET}@h?nonsense=1"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", SECRET),
        ("PORT", ""),
        ("URL_PREFIX", "/a?b"),
        ("URL_PREFIX", "/a//b"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "11"),
        ("SECRET_KEY", "hunter2"),
        ("IDLE_MINUTES", "0"),
        ("SESSION_HOURS", "1000"),
        ("SAMPLE_SECONDS", "0.01"),
        ("SAMPLE_SECONDS", "nan"),
        ("SEARCH_SECONDS", "inf"),
        ("WALK_HOLD_MS", "0"),
        ("WALK_SHARE", "0.01"),
        ("WALK_SHARE", "1.5"),
        ("WALK_LATENCY_MS", "nan"),
        ("WALK_MEMORY_MB", "0"),
        ("NAMESPACE_SEPARATOR", ""),
        ("NAMESPACE_SEPARATOR", "-----"),
        ("WEB_THREADS", "1"),
        ("DEMO_URL", "127.0.0.1:8602"),
        ("DEMO_URL", "ftp://h:1"),
        ("DEMO_URL", "http://:1"),
        ("DEMO_URL", "http://h:port"),
        ("DEMO_URL", "http://h:0"),
        ("DEMO_URL", f"http://u:{SECRET}@h:1"),
        ("DEMO_URL", "http://h:1?x=1"),
        ("DEMO_URL", "http://h:1 x"),
        ("DEMO_RATE", "many"),
        ("EMBEDDED_MAXMEMORY", "lots"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_by_its_name_and_without_its_secret(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{PREFIX}{name}: ")
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_several_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_PORT", "x")
    monkeypatch.setenv("CACHEDECK_WEB_THREADS", "0")
    with pytest.raises(BadSettings) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["CACHEDECK_PORT", "CACHEDECK_WEB_THREADS"]


def test_a_bad_port_of_the_platform_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(BadSettings, match=r"^PORT: "):
        load_settings()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_refused(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "value"
    if content:
        file.write_bytes(content)
    monkeypatch.setenv("CACHEDECK_QUEUE_URL_FILE", str(file))
    with pytest.raises(BadSettings, match=rf"^CACHEDECK_QUEUE_URL_FILE cannot be read: {file}\.$"):
        load_settings()


def test_no_secret_is_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", f"a=redis://bob:{SECRET}@h")
    for name in ("DATABASE_URL", "QUEUE_URL", "SECRET_KEY"):
        monkeypatch.setenv(PREFIX + name, SECRET)
    assert SECRET not in repr(load_settings())
    assert SECRET not in str(load_settings())


def test_the_data_folder_is_made_and_closed_to_others(settings: Settings) -> None:
    prepare_data_folder(settings)
    prepare_data_folder(settings)
    assert stat.S_IMODE(settings.data.stat().st_mode) == 0o700


@pytest.fixture(params=["below a file", "a file", "no rights"])
def unwritable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.touch()
    # /proc takes no files even from root.
    return {"below a file": file / "data", "a file": file, "no rights": Path("/proc/cachedeck")}[request.param]


def test_a_data_folder_that_cannot_be_written_is_refused(unwritable: Path) -> None:
    with pytest.raises(BadSettings, match=rf"^CACHEDECK_DATA: {unwritable} is not a folder"):
        prepare_data_folder(Settings(data=unwritable))
    with pytest.raises(BadSettings, match=r"^CACHEDECK_DATA: "):
        secret_key(Settings(data=unwritable))


def test_a_secret_key_that_is_set_needs_no_folder(unwritable: Path) -> None:
    assert secret_key(Settings(data=unwritable, secret_key=SECRET)) == SECRET


def test_the_secret_key_is_made_once_and_kept_for_us_alone(settings: Settings) -> None:
    key = secret_key(settings)
    assert len(key) >= 32
    assert secret_key(settings) == key
    assert [path.name for path in settings.data.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((settings.data / "secret_key").stat().st_mode) == 0o600


def test_processes_that_start_at_once_agree_on_the_secret_key(tmp_path: Path) -> None:
    code = (
        "import sys; from dashboard.settings import *; settings = load_settings(); print('ready', flush=True);"
        "sys.stdin.read(); print(secret_key(settings))"
    )
    data = tmp_path / "data"
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    env=environment(data),
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(4)
        ]
        assert [process.stdout.readline() for process in started if process.stdout] == ["ready\n"] * 4
        for process in started:
            assert process.stdin
            process.stdin.close()
        keys = {process.stdout.read() for process in started if process.stdout}
    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 32
    assert [path.name for path in data.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("content", ["", "short", "x" * 31 + "\n\n\n"])
def test_a_damaged_secret_key_is_refused_and_not_replaced(content: str, settings: Settings) -> None:
    prepare_data_folder(settings)
    path = settings.data / "secret_key"
    path.write_text(content)
    with pytest.raises(BadSettings, match="is damaged"):
        secret_key(settings)
    assert path.read_text() == content


def test_a_secret_key_that_cannot_be_read_is_refused(settings: Settings) -> None:
    prepare_data_folder(settings)
    (settings.data / "secret_key").mkdir()
    with pytest.raises(BadSettings, match="CACHEDECK_SECRET_KEY is not set"):
        secret_key(settings)
