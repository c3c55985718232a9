"""`cachedeck web`: limits, signals and what it says, on the real process."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from dashboard.store import operators
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.programs import (
    CACHEDECK,
    Running,
    alive,
    descendants,
    environment,
    running,
    status,
    wait_until,
)
from tests.servers import HOST, Server, free_port

PASSWORD = "correct horse battery"


class Web:
    def __init__(self, program: Running, port: int, prefix: str = "") -> None:
        self.program = program
        self.port = port
        self.url = f"http://{HOST}:{port}{prefix}"


def _web(data: Path, prefix: str = "") -> Iterator[Web]:
    port = free_port()
    settings = environment(data, CACHEDECK_PORT=str(port), CACHEDECK_URL_PREFIX=prefix)
    with running([*CACHEDECK, "web"], settings) as program:
        program.has_said("Serving at")
        yield Web(program, port, prefix)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process that the tests of this file share and none of them stops."""
    yield from _web(tmp_path_factory.mktemp("web"))


@pytest.fixture
def own_web(tmp_path: Path) -> Iterator[Web]:
    """A web process for one test, which may stop it."""
    yield from _web(tmp_path)


def test_it_says_its_address(web: Web) -> None:
    assert f"Serving at {web.url}/" in web.program.output()


def test_it_serves_the_login_page(web: Web) -> None:
    assert status(f"{web.url}/login") == 200


def test_it_reads_a_request_line_of_100_kb(web: Web) -> None:
    assert status(f"{web.url}/login?x={'k' * 100_000}") == 200


def test_it_reads_a_header_of_60_kb(web: Web) -> None:
    assert status(f"{web.url}/login", {"HX-Current-URL": f"{web.url}/{'k' * 60_000}"}) == 200


def test_its_log_holds_no_addresses(web: Web) -> None:
    status(f"{web.url}/login?q=what-somebody-searched")
    status(f"{web.url}/no-such-page?q=what-somebody-searched")
    assert "what-somebody-searched" not in web.program.output()


def test_it_starts_one_process_for_the_application(web: Web) -> None:
    assert len(descendants(web.program.pid)) == 1


def test_it_lives_under_a_prefix(tmp_path: Path) -> None:
    for web in _web(tmp_path, "/ops/cache"):
        with closing(http.client.HTTPConnection(HOST, web.port, timeout=120)) as connection:
            connection.request("GET", "/ops/cache/login")
            page = connection.getresponse().read().decode()
        assert f"Serving at {web.url}/" in web.program.output()
        assert 'href="/ops/cache/static/' in page
        assert 'href="/static/' not in page


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running([*CACHEDECK, "web"], environment(tmp_path, CACHEDECK_PORT=str(port))) as program:
            assert program.end() == 1
    assert program.output().strip() == (
        f"Port {port} of {HOST} is taken by another program. Stop it, or set CACHEDECK_PORT."
    )


def test_sigterm_ends_it_though_connections_are_open(own_web: Web) -> None:
    with closing(http.client.HTTPConnection(HOST, own_web.port, timeout=120)) as connection:
        connection.request("GET", "/login")
        connection.getresponse().read()
        with socket.create_connection((HOST, own_web.port)):
            processes = descendants(own_web.program.pid)
            own_web.program.process.send_signal(signal.SIGTERM)
            assert own_web.program.end() == 0
    assert processes
    assert not [pid for pid in processes if alive(pid)]
    assert "Traceback" not in own_web.program.output()


def test_its_worker_does_not_outlive_it(own_web: Web) -> None:
    (worker,) = descendants(own_web.program.pid)
    os.kill(own_web.program.pid, signal.SIGKILL)
    wait_until(lambda: not alive(worker), "gunicorn's worker to end")


def _narrow(port: int, receives: int) -> socket.socket:
    """A connection whose receiving end holds only so many bytes (the kernel doubles them)."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    found.settimeout(120)
    found.connect((HOST, port))
    return found


class Stream:
    """An open console, as a browser has it; `text` is the last of what it has been sent."""

    REMEMBERED = 100_000

    def __init__(self, port: int, cookie: str, last_id: str = "", receives: int = 0) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=120)
        if receives:
            self._connection.sock = _narrow(port, receives)
        headers = {"Cookie": cookie, **({"Last-Event-ID": last_id} if last_id else {})}
        self._connection.request("GET", "/caches/shop/events/stream?channel=inv", headers=headers)
        self.answer = self._connection.getresponse()
        assert self.answer.status == 200
        self.text = ""

    def read_until(self, words: str) -> None:
        while words not in self.text:
            line = self.answer.readline().decode()
            assert line, f"it has ended without {words!r}: {self.text}"
            self._take(line)

    def read_until_told_of(self, events: int) -> None:
        """Until all of them are shown, or counted as left out or as lost."""
        while sum((self.shown, self.skipped, self.lost)) < events:
            line = self.answer.readline().decode()
            assert line, "it has ended before"
            self._take(line)

    def _take(self, line: str) -> None:
        self.text = (self.text + line)[-self.REMEMBERED :]

    @property
    def shown(self) -> int:
        return self._figure("shown")

    @property
    def skipped(self) -> int:
        return self._figure("more than can be shown")

    @property
    def lost(self) -> int:
        return self._figure("lost")

    def _figure(self, words: str) -> int:
        """Of the last counts that were told."""
        told = self.text[self.text.rfind('hx-target="#event-counts"') :]
        found = re.findall(rf'class="n">([^<]*)</span> {words}', told)
        return int(re.sub(r"\D", "", found[0])) if found else 0

    def ended(self) -> bool:
        """Wait for its end, which has to be a proper one."""
        return self.answer.read() is not None

    @property
    def last_id(self) -> str:
        return str(re.findall(r"^id: (\S+)$", self.text, re.MULTILINE)[-1])

    def close(self) -> None:
        self._connection.close()


def _signed_in(web: Web) -> str:
    """The cookie of a viewer."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with browser.open(f"{web.url}/login", timeout=120) as answer:
        token = re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', answer.read().decode())[0]
    form = urllib.parse.urlencode({"name": "vera", "password": PASSWORD, "csrf_token": token, "next": ""})
    request = urllib.request.Request(f"{web.url}/login", form.encode(), {"Referer": f"{web.url}/login"})
    with browser.open(request, timeout=120):
        return "; ".join(f"{one.name}={one.value}" for one in jar)


@contextmanager
def _watched_web(data: Path, port: int, server: Server) -> Iterator[Web]:
    env = environment(data, CACHEDECK_PORT=str(port), CACHEDECK_CACHES=f"shop={server.url}")
    with running([*CACHEDECK, "web"], env) as program:
        program.has_said("Serving at")
        yield Web(program, port)


def _add_viewer(data: Path) -> None:
    with closing(open_store(f"sqlite:///{data / 'cachedeck.db'}")) as store:
        operators.add(store, "vera", PASSWORD, Role.VIEWER)


FLOOD = """
for n = ARGV[1], ARGV[2] do redis.call('PUBLISH', 'inv', string.rep(string.char(255), 500)) end
redis.call('PUBLISH', 'inv', ARGV[2])
"""


def test_a_slow_browser_loses_visibly_what_a_fast_one_beside_it_is_told(tmp_path: Path, valkey: Server) -> None:
    _add_viewer(tmp_path)
    rounds, each, port = 25, 400, free_port()
    with valkey.client() as client, ExitStack() as stack:
        web = stack.enter_context(_watched_web(tmp_path, port, valkey))
        cookie = _signed_in(web)
        fast, slow = (stack.enter_context(closing(Stream(port, cookie, receives=16_384))) for _ in range(2))
        for stream in (fast, slow):
            stream.read_until("heard from")
        assert client.pubsub_numsub("inv")[0][1] == 1, "one connection for both"
        for start in range(0, rounds * each, each):
            # Bytes that are no text are long when they are drawn: the slow one's connection is soon full.
            client.eval(FLOOD, 0, start + 1, start + each)
            fast.read_until(f">{start + each}<")
        for stream in (fast, slow):
            stream.read_until_told_of(rounds * (each + 1))
    assert slow.lost > 0, "the slow one has lost some, and says so"
    assert fast.lost == 0, "the fast one has lost nothing"


def test_open_streams_end_with_it_and_go_on_after_it_has_come_back(tmp_path: Path, valkey: Server) -> None:
    _add_viewer(tmp_path)
    port = free_port()
    with valkey.client() as client, ExitStack() as stack:
        with _watched_web(tmp_path, port, valkey) as web:
            cookie = _signed_in(web)
            streams = [stack.enter_context(closing(Stream(port, cookie))) for _ in range(20)]
            wait_until(lambda: client.pubsub_numsub("inv")[0][1] == 1, "it listens")
            client.publish("inv", "before")
            for stream in streams:
                stream.read_until(">before<")
            web.program.process.send_signal(signal.SIGTERM)
            assert all(stream.ended() for stream in streams)
            assert web.program.end() == 0
            assert "Traceback" not in web.program.output()
            assert "Worker" not in web.program.output()  # gunicorn says so of one that it had to kill
        client.publish("inv", "while nobody listens")
        with _watched_web(tmp_path, port, valkey):
            back = stack.enter_context(closing(Stream(port, cookie, streams[0].last_id)))
            back.read_until("Cachedeck itself did not listen")
            wait_until(lambda: client.pubsub_numsub("inv")[0][1] == 1, "it listens again")
            client.publish("inv", "after")
            back.read_until(">after<")
    assert "while nobody listens" not in back.text
