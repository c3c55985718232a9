"""`cachedeck web`: limits, signals and what it says, on the real process."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

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
from tests.servers import HOST, free_port


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
