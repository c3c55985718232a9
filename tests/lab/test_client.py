"""The client in front of a bench, of programs that are none, and of nobody."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from dashboard.lab import client as lab_client
from dashboard.lab.client import LARGEST_BODY
from dashboard.lab.client import Bench as Client
from dashboard.lab.errors import DemoAway, DemoRefused, DemoStrange, LabError
from tests.lab.bench import Bench, serving
from tests.programs import wait_until
from tests.servers import HOST, free_port

PATIENT = 60.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def asking(bench: Bench) -> Iterator[Client]:
    with serving(bench) as url:
        yield Client(url, PATIENT, PATIENT)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a program that takes one request and does with the connection what it likes."""
    over = threading.Event()
    with closing(socket.create_server((HOST, 0))) as listener:
        listener.settimeout(PATIENT)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with closing(connection):
                    connection.recv(65536)
                    answer(connection)
                    over.wait(PATIENT)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)

    return answer


def ok(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def test_it_looks(asking: Client, bench: Bench) -> None:
    assert asking.look().knobs.pattern == "cache-aside"
    assert bench.asked == []


def test_every_change_is_sent_as_json_and_answered_with_the_new_state(asking: Client, bench: Bench) -> None:
    assert asking.turn({"pattern": "write-behind"}).knobs.pattern == "write-behind"
    assert asking.drive({"rate": 20.0}).traffic.rate == 20.0
    assert asking.play("outage").scenario.name == "outage"
    begun = asking.compare(30, 7, "mutex").comparison
    assert begun
    assert begun.running
    ended = asking.cancel().comparison
    assert ended
    assert ended.state == "cancelled"
    assert bench.asked == [
        ("PUT", "/bench/knobs", {"pattern": "write-behind"}),
        ("PUT", "/bench/traffic", {"rate": 20.0}),
        ("POST", "/bench/scenario", {"name": "outage"}),
        ("POST", "/bench/comparison", {"seconds": 30, "seed": 7, "prevention": "mutex"}),
        ("DELETE", "/bench/comparison", None),
    ]


def test_without_a_prevention_a_comparison_asks_for_none(asking: Client, bench: Bench) -> None:
    asking.compare(10, 1)
    assert bench.asked == [("POST", "/bench/comparison", {"seconds": 10, "seed": 1})]


@pytest.mark.parametrize("status", [400, 409])
def test_a_refusal_is_told_in_the_demos_own_words(asking: Client, bench: Bench, status: int) -> None:
    bench.refusal = status, "latency_ms must be a number from 0 to 1000"
    with pytest.raises(DemoRefused) as caught:
        asking.turn({"latency_ms": -1})
    assert caught.value.sentence == "The demo will not: latency_ms must be a number from 0 to 1000."
    assert caught.value.advice == "Nothing was changed."


def test_where_nobody_listens_the_demo_is_away() -> None:
    with pytest.raises(DemoAway, match=r"^The demo does not answer\.$"):
        Client(f"http://{HOST}:{free_port()}").look()


def test_one_that_hangs_is_waited_for_so_long_and_no_longer() -> None:
    with answering(lambda _: None) as url, pytest.raises(DemoAway, match="in time"):
        Client(url, 0.1).look()


def test_after_a_change_that_was_not_answered_nobody_knows(bench: Bench) -> None:
    with answering(lambda _: None) as url, pytest.raises(DemoAway) as caught:
        Client(url, PATIENT, 0.1).play("outage")
    assert "may still do" in caught.value.advice


def test_one_that_answers_in_drops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_client, "_PORTION", 1)

    def drip(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                connection.sendall(b" ")
                time.sleep(0.02)

    with answering(drip) as url, pytest.raises(DemoAway, match="in time"):
        Client(url, 0.3).look()


def test_one_that_ends_in_the_midst_of_its_answer_is_away() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"
    for text in (b"", cut):
        with answering(saying(text)) as url, pytest.raises(DemoAway):
            Client(url, PATIENT).look()


STRANGE = {
    "no HTTP": b"-ERR unknown command\r\n" * 3,
    "a web page": ok(b"<html>"),
    "JSON that is no bench": ok(b"{}"),
    "JSON that is no object": ok(b"[1]"),
    "another status": ok(json.dumps(Bench().body()).encode(), b"404 Not Found"),
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "deeper than any": ok(b"[" * 200_000),
    "a number of a million digits": ok(b'{"knobs": ' + b"9" * 900_000 + b"}"),
    "bytes": ok(bytes(range(256))),
    "a refusal that says nothing": ok(b"{}", b"400 Bad Request"),
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_what_is_no_bench_is_told_as_such(text: bytes) -> None:
    with answering(saying(text)) as url, pytest.raises(DemoStrange) as caught:
        Client(url, PATIENT).look()
    assert "CACHEDECK_DEMO_URL" in caught.value.advice


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                sent += connection.send(b" " * 65536)

    with answering(flood) as url, pytest.raises(DemoStrange, match="longer"):
        Client(url, PATIENT).look()
    assert sent < 40 * LARGEST_BODY


def test_it_follows_no_redirect_and_no_proxy(monkeypatch: pytest.MonkeyPatch, asking: Client) -> None:
    monkeypatch.setenv("http_proxy", f"http://{HOST}:{free_port()}")
    assert asking.look().shop == "up"


def test_a_bench_below_a_path_is_asked_there() -> None:
    heard = []

    def note(connection: socket.socket) -> None:
        heard.append(True)
        saying(ok(json.dumps(Bench().body()).encode()))(connection)

    with answering(note) as url:
        assert Client(f"{url}/a/b", PATIENT).look().shop == "up"
    wait_until(lambda: heard == [True], "the request")


def test_every_error_has_a_sentence_and_an_advice() -> None:
    for kind in (DemoAway, DemoRefused, DemoStrange):
        error: LabError = kind("Something happened.")
        assert error.sentence.endswith(".")
        assert error.advice.endswith(".")
        assert 400 <= error.status < 600
