"""`cachedeck up`, really started: what it prints, what it starts, and that all of it goes away."""

from __future__ import annotations

import re
import signal
import socket
import stat
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
import redis

from tests.programs import (
    CACHEDECK,
    Running,
    alive,
    command_lines,
    descendants,
    environment,
    running,
    wait_until,
)
from tests.servers import HOST, free_port
from tests.servers import running as serving

READY = "Cachedeck is ready"
PASSWORD = re.compile(r"with the password +([a-z0-9-]{19}) ")


class Up:
    """A running `cachedeck up` that has said it is ready."""

    def __init__(self, program: Running, data: Path, port: int) -> None:
        self.program = program
        self.data = data
        self.url = f"http://{HOST}:{port}"

    @property
    def password(self) -> str:
        return PASSWORD.findall(self.program.output())[0]

    def embedded(self) -> redis.Redis:
        """A client of the embedded server, made from the files that `up` wrote."""
        configuration = (self.data / "valkey" / "valkey.conf").read_text()
        port = int(re.findall(r"^port (\d+)", configuration, re.MULTILINE)[0])
        return redis.Redis(host=HOST, port=port, password=(self.data / "valkey" / "password").read_text())


@contextmanager
def _up(data: Path, **settings: str) -> Iterator[Up]:
    port = free_port()
    with running([*CACHEDECK, "up"], environment(data, CACHEDECK_PORT=str(port), **settings)) as program:
        program.has_said("Ctrl-C stops everything.")
        yield Up(program, data, port)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The whole thing, with its own server and traffic; shared by tests that only look."""
    with _up(tmp_path_factory.mktemp("up") / "data") as started:
        yield started


def _browser() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))


def _all_gone(pids: list[int]) -> None:
    wait_until(lambda: not any(alive(pid) for pid in pids), "every process to be gone")


def _sign_in(url: str, name: str, password: str, browser: urllib.request.OpenerDirector | None = None) -> str:
    """Fill in the form of the login page as a browser does; the address where that leads."""
    browser = browser or _browser()
    with browser.open(f"{url}/login", timeout=120) as answer:
        page = answer.read().decode()
    token = re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', page)[0]
    form = urllib.parse.urlencode({"name": name, "password": password, "csrf_token": token, "next": ""})
    with browser.open(urllib.request.Request(f"{url}/login", form.encode(), {"Referer": f"{url}/login"})) as answer:
        return str(answer.geturl())


def test_it_prints_an_address_and_a_password_that_sign_in(up: Up) -> None:
    assert f"{READY}   {up.url}/" in up.program.output()
    assert "/login" not in _sign_in(up.url, "admin", up.password)


def test_the_demo_fills_the_cache(up: Up) -> None:
    with closing(up.embedded()) as client:
        wait_until(lambda: client.dbsize() > 100, "keys to come")
        assert any(key.startswith(b"api:") for key in client.scan(count=1000)[1])


def test_its_lab_shows_the_traffic_of_its_demo(up: Up) -> None:
    browser = _browser()
    _sign_in(up.url, "admin", up.password, browser)

    def figures() -> str:
        with browser.open(f"{up.url}/lab/figures", timeout=120) as answer:
            return str(answer.read().decode())

    wait_until(lambda: "queries/s." in figures(), "figures of the traffic")
    assert "Cache-aside" in figures()


def test_the_cache_is_bounded_and_evicts(up: Up) -> None:
    with closing(up.embedded()) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "allkeys-lru"
        assert int(client.config_get("maxmemory")["maxmemory"]) > 0
        assert client.config_get("save")["save"] == ""


def test_the_embedded_server_wants_its_password(up: Up) -> None:
    with closing(up.embedded()) as known:
        port = known.get_connection_kwargs()["port"]
    with closing(redis.Redis(host=HOST, port=port)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_its_password_is_in_files_of_this_user_only(up: Up) -> None:
    for name in ("password", "valkey.conf"):
        assert stat.S_IMODE((up.data / "valkey" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((up.data / "valkey").stat().st_mode) == 0o700


def test_no_password_is_in_a_process_list_and_the_log_has_it_once(up: Up) -> None:
    embedded = (up.data / "valkey" / "password").read_text()
    listed, said = command_lines(), up.program.output()
    assert str(up.data) in listed
    assert up.password not in listed
    assert embedded not in listed
    assert said.count(up.password) == 1
    assert embedded not in said


def test_the_first_password_is_stored_nowhere_in_clear(up: Up) -> None:
    password = up.password.encode()
    files = [path for path in up.data.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if password in path.read_bytes()]


def test_each_process_has_its_name_in_the_log(up: Up) -> None:
    for name in ("web", "worker", "shop", "visitors"):
        up.program.has_said(f" {name:<9} | ")


def test_a_second_one_on_the_same_data_is_refused(up: Up) -> None:
    with running([*CACHEDECK, "up"], environment(up.data, CACHEDECK_PORT=str(free_port()))) as second:
        assert second.end() == 1
    assert second.output().startswith(f"Another `cachedeck up` (process {up.program.pid}) runs on {up.data}.")
    assert second.output().count("\n") == 1


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running([*CACHEDECK, "up"], environment(tmp_path, CACHEDECK_PORT=str(port))) as program:
            assert program.end() == 1
    assert program.output() == f"Port {port} of {HOST} is taken by another program. Stop it, or set CACHEDECK_PORT.\n"
    assert not (tmp_path / "valkey").exists()


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with _up(tmp_path) as started:
        processes = descendants(started.program.pid)
        started.program.process.send_signal(signal.SIGINT)
        assert started.program.end() == 0
    assert len(processes) >= 6
    _all_gone(processes)
    assert "Traceback" not in started.program.output()


@dataclass(frozen=True)
class Start:
    """What one start on a cache of one's own said and did, and what was left after its end."""

    said: str
    commands: tuple[bytes, ...]
    left: tuple[int, ...]


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Start, Start]]:
    """Two starts on one data folder with a cache configured: the first ended by SIGTERM, the second killed."""
    data = tmp_path_factory.mktemp("own") / "data"
    with serving() as cache:
        yield _start_and_end(data, cache.url, signal.SIGTERM), _start_and_end(data, cache.url, signal.SIGKILL)


def _start_and_end(data: Path, cache_url: str, number: signal.Signals) -> Start:
    with _up(data, CACHEDECK_CACHES=f"mine={cache_url}") as started:
        said = started.program.output()
        processes = descendants(started.program.pid)
        commands = tuple(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes)
        started.program.process.send_signal(number)
        started.program.end()
        with suppress(AssertionError):
            _all_gone(processes)
        left = tuple(pid for pid in processes if alive(pid))
    assert not (data / "valkey").exists()
    return Start(said, commands, left)


def test_with_a_cache_configured_it_starts_only_our_own_processes(starts: tuple[Start, Start]) -> None:
    for start in starts:
        verbs = sorted(command.split(b"\0")[-2] for command in start.commands)
        assert verbs == [b"web", b"web", b"worker"]  # gunicorn's master and the process that serves


def test_none_is_left_after_sigterm_nor_when_it_is_killed(starts: tuple[Start, Start]) -> None:
    assert [start.left for start in starts] == [(), ()]


def test_a_later_start_shows_no_password_but_how_to_replace_it(starts: tuple[Start, Start]) -> None:
    first, later = (start.said for start in starts)
    assert PASSWORD.search(first)
    assert not PASSWORD.search(later)
    assert "operator passwd admin" in later
