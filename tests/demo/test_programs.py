"""`python -m dashboard.demo serve` and `drive`, really started."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashboard.demo.driver import run
from tests.programs import Running, alive, descendants, environment, running, status, wait_until
from tests.servers import HOST, Server, free_port
from tests.servers import running as server_running

DEMO = (sys.executable, "-m", "dashboard.demo")


@pytest.fixture
def data(made_database: Path, tmp_path: Path) -> Path:
    """A data folder with a small database in it, so that nothing has to be made."""
    shutil.copy(made_database, tmp_path / "shop.db")
    return tmp_path


@contextmanager
def _shop(data: Path, cache_url: str, port: int, *options: str) -> Iterator[Running]:
    command = [*DEMO, "serve", "--data", str(data), "--port", str(port), *options]
    with running(command, environment(data, DEMO_CACHE_URL=cache_url)) as program:
        wait_until(lambda: program.process.poll() is not None or status(f"http://{HOST}:{port}/") == 200, "the shop")
        yield program


@contextmanager
def _driving(port: int, rate: float = 300, report_seconds: float = 0.2) -> Iterator[threading.Event]:
    """The driver in a thread; when the block ends it must end as well."""
    stop = threading.Event()
    thread = threading.Thread(
        target=run, args=(f"http://{HOST}:{port}", rate, stop), kwargs={"report_seconds": report_seconds}
    )
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(120)
    assert not thread.is_alive()


def _reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "req/s" in record.getMessage()]


def test_visitors_fill_the_cache_and_the_driver_says_so(
    data: Path, valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dashboard.demo")
    port = free_port()
    with _shop(data, valkey.url, port) as shop, valkey.client() as client:
        with _driving(port):
            wait_until(lambda: len(client.keys("api:*")) > 100, "keys")
            wait_until(lambda: any("hit ratio" in line and "errors 0" in line for line in _reports(caplog)), "a report")
        assert {b"string", b"hash", b"set"} <= {client.type(key) for key in client.keys("*")}
        shop.process.send_signal(signal.SIGTERM)
        assert shop.end() == 0
    assert shop.output() == f"the shop is at http://{HOST}:{port}\n"


def test_a_database_that_is_made_anew_does_not_find_what_the_cache_held_of_the_one_before(
    tmp_path: Path, valkey: Server
) -> None:
    size, port = ("--users", "30", "--products", "40"), free_port()
    with valkey.client() as client:
        client.hset("api:user:1", mapping={"document": "{}", "version": 9000})
        client.set("somebodys", "key")
        with _shop(tmp_path, valkey.url, port, *size) as shop:
            assert not client.exists("api:user:1")
            assert client.get("somebodys") == b"key"
        assert "removed what the cache held of an earlier database: 1 keys" in shop.output()
        client.hset("api:user:1", mapping={"document": "{}", "version": 9000})
        with _shop(tmp_path, valkey.url, port, *size):
            assert client.exists("api:user:1"), "of the same database it is good"


def test_a_new_database_is_served_though_the_cache_is_away(tmp_path: Path) -> None:
    with _shop(tmp_path, f"redis://{HOST}:{free_port()}", free_port(), "--users", "30", "--products", "40") as shop:
        assert shop.process.poll() is None
    assert "the cache does not answer: what it holds of an earlier database" in shop.output()


def test_the_driver_waits_for_the_shop_and_goes_on_after_its_absence(
    data: Path, valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dashboard.demo")
    port = free_port()

    def said(text: str) -> bool:
        return any(text in record.getMessage() for record in caplog.records)

    with _driving(port):
        wait_until(lambda: said("waiting for the shop"), "it to wait")
        with _shop(data, valkey.url, port):
            wait_until(lambda: bool(_reports(caplog)), "a report")
        wait_until(lambda: said("the shop does not answer"), "a word about the absence")
        with _shop(data, valkey.url, port):
            wait_until(lambda: said("the shop answers again"), "it to go on")


def test_the_driver_sees_no_error_while_the_cache_is_away(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dashboard.demo")
    port = free_port()
    with server_running() as cache, _shop(data, cache.url, port) as shop, _driving(port, rate=100):
        wait_until(lambda: bool(_reports(caplog)), "a report")
        cache.stop()
        shop.has_said("the cache is away")
        reports = len(_reports(caplog))
        wait_until(lambda: len(_reports(caplog)) > reports + 3, "reports without a cache")
        cache.restart()
        shop.has_said("the cache answers again")
        assert all("errors 0" in line for line in _reports(caplog))
        cache.stop()


def test_the_driver_program_stops_at_once_on_a_signal(data: Path, valkey: Server) -> None:
    port = free_port()
    for number in (signal.SIGTERM, signal.SIGINT):
        with _shop(data, valkey.url, port):
            command = [*DEMO, "drive", "--url", f"http://{HOST}:{port}", "--rate", "50"]
            with running(command, environment(data)) as driver:
                driver.has_said("sending 50 requests/s")
                driver.process.send_signal(number)
                assert driver.end() == 0
                assert "Traceback" not in driver.output()


def test_the_driver_program_stops_while_it_waits(tmp_path: Path) -> None:
    command = [*DEMO, "drive", "--url", f"http://{HOST}:{free_port()}"]
    with running(command, environment(tmp_path)) as driver:
        driver.has_said("waiting for the shop")
        driver.process.send_signal(signal.SIGTERM)
        assert driver.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_shop_program_leaves_no_process_behind(data: Path, valkey: Server, number: signal.Signals) -> None:
    port = free_port()
    with _shop(data, valkey.url, port) as shop, _driving(port):
        processes = [shop.pid, *descendants(shop.pid)]
        shop.process.send_signal(number)
        assert shop.end() == 0
        wait_until(lambda: not any(alive(pid) for pid in processes), "every process to be gone")
        assert "Traceback" not in shop.output()


def test_a_signal_ends_the_first_start_at_once(tmp_path: Path, valkey: Server) -> None:
    command = [*DEMO, "serve", "--data", str(tmp_path), "--port", str(free_port())]
    with running(command, environment(tmp_path, DEMO_CACHE_URL=valkey.url)) as shop:
        shop.has_said("making the shop: 100,000 users, 20,000 products")
        shop.process.send_signal(signal.SIGTERM)
        assert shop.end() == 0
        assert "Traceback" not in shop.output()
    assert not (tmp_path / "shop.db").exists()


def test_the_shop_needs_a_cache_by_the_environment(tmp_path: Path) -> None:
    with running([*DEMO, "serve", "--data", str(tmp_path)], environment(tmp_path)) as shop:
        assert shop.end() == 2
    assert "set DEMO_CACHE_URL" in shop.output()


@pytest.mark.parametrize("url", ["memcached://127.0.0.1", "redis://:s3cret@[127.0.0.1", "redis://h:s3cret@x:pass/0"])
def test_a_bad_cache_url_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    with running([*DEMO, "serve", "--data", str(tmp_path)], environment(tmp_path, DEMO_CACHE_URL=url)) as shop:
        assert shop.end() == 2
    assert "DEMO_CACHE_URL: the cache's URL must be redis://" in shop.output()
    assert "s3cret" not in shop.output()
    assert "Traceback" not in shop.output()


def test_no_password_is_in_a_process_list_or_the_log(data: Path) -> None:
    port = free_port()
    with server_running("--requirepass", "s3cret-of-the-cache") as cache:
        url = f"redis://:s3cret-of-the-cache@{HOST}:{cache.port}"
        with _shop(data, url, port) as shop:
            cache.stop()
            assert status(f"http://{HOST}:{port}/users/42") == 200
            for pid in (shop.pid, *descendants(shop.pid)):
                assert b"s3cret" not in Path(f"/proc/{pid}/cmdline").read_bytes()
            shop.has_said("the cache is away")
    assert "s3cret" not in shop.output()


def test_jitter_is_an_option(data: Path, valkey: Server) -> None:
    port = free_port()
    with _shop(data, valkey.url, port, "--jitter"), valkey.client() as client:
        for user in range(1, 40):
            assert status(f"http://{HOST}:{port}/users/{user}") == 200
        left = [client.pttl(f"api:user:{user}") / 1000 for user in range(1, 40)]
    assert max(left) > 3600
    assert max(left) - min(left) > 300


def test_a_bad_rate_or_address_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for options in (["--rate", "0"], ["--url", "redis://127.0.0.1"]):
        with running([*DEMO, "drive", *options], environment(tmp_path)) as driver:
            assert driver.end() == 2
        assert "Traceback" not in driver.output()
