"""`python -m dashboard.demo drive` with a bench, on a real shop and a real cache."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.demo.fake_shop import fake_shop
from tests.programs import Running, environment, running, status, wait_until
from tests.servers import HOST, Server, free_port

DEMO = (sys.executable, "-m", "dashboard.demo")


@contextmanager
def _driving(data: Path, shop_url: str, *options: str) -> Iterator[tuple[Running, str]]:
    """The program, and the URL of its bench, which answers."""
    port = free_port()
    command = [*DEMO, "drive", "--url", shop_url, "--rate", "100", "--bench-port", str(port), *options]
    with running(command, environment(data)) as program:
        program.has_said("the bench is at")
        yield program, f"http://{HOST}:{port}/bench"


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _tell(method: str, url: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@pytest.fixture
def shop_url(made_database: Path, tmp_path: Path, valkey: Server) -> Iterator[str]:
    """Of a real shop with few rows."""
    shutil.copy(made_database, tmp_path / "shop.db")
    url = f"http://{HOST}:{(port := free_port())}"
    command = [*DEMO, "serve", "--data", str(tmp_path), "--port", str(port)]
    with running(command, environment(tmp_path, DEMO_CACHE_URL=valkey.url)) as program:
        wait_until(lambda: program.process.poll() is not None or status(f"{url}/") == 200, "the shop")
        yield url


def test_the_bench_exchanges_patterns_under_load_and_nothing_is_stale_lost_or_an_error(
    shop_url: str, tmp_path: Path
) -> None:
    with _driving(tmp_path, shop_url) as (_program, bench):
        _tell("PUT", f"{bench}/traffic", {"write_share": 0.4, "users": 20, "products": 20})
        for pattern in ("write-behind", "write-through", "read-through", "cache-aside"):
            said = _tell("PUT", f"{bench}/knobs", {"pattern": pattern})
            assert said["knobs"]["pattern"] == pattern
            until = said["at"] + 3
            wait_until(lambda until=until: _get(bench)["at"] > until, "some traffic")  # type: ignore[misc]
            assert _get(bench)["now"]["requests"] > 0
        wait_until(lambda: _get(bench)["now"]["lost"] is not None, "the database to be asked")
        said = _get(bench)["now"]
        assert (said["stale_total"], said["lost"], said["errors"]) == (0, 0, 0)


def test_a_flush_empties_the_cache_and_an_outage_reaches_no_user(shop_url: str, tmp_path: Path, valkey: Server) -> None:
    with _driving(tmp_path, shop_url) as (_program, bench), valkey.client() as client:
        wait_until(lambda: len(client.keys("api:*")) > 100, "a warm cache")
        removed = len(client.keys("api:*"))
        _tell("POST", f"{bench}/scenario", {"name": "deploy-flush"})
        wait_until(lambda: len(client.keys("api:*")) < removed, "it to be emptied")
        _tell("POST", f"{bench}/scenario", {"name": "outage"})
        wait_until(lambda: (_get(bench)["now"]["hit_ratio"] or 0) < 0.05, "nobody to be answered from the cache")
        assert _get(bench)["now"]["errors"] == 0
        _tell("POST", f"{bench}/scenario", {"name": "steady"})
        wait_until(lambda: (_get(bench)["now"]["hit_ratio"] or 0) > 0.2, "the cache to answer again")
        assert _get(bench)["now"]["errors"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_whatever_is_under_way(tmp_path: Path, number: signal.Signals) -> None:
    with fake_shop() as shop, _driving(tmp_path, shop.url, "--data", str(tmp_path / "bench")) as (program, bench):
        _tell("POST", f"{bench}/comparison", {"seconds": 600})
        wait_until(lambda: (_get(bench)["comparison"] or {}).get("progress", 0) > 0, "a comparison")
        program.process.send_signal(number)
        assert program.end() == 0
        assert "Traceback" not in program.output()
        assert shop.turned[-1]["pattern"] == "cache-aside"


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with fake_shop() as shop:
        command = [*DEMO, "drive", "--url", shop.url, "--bench-port", str(shop.port)]
        with running(command, environment(tmp_path)) as program:
            assert program.end() == 1
        assert "the bench cannot answer on port" in program.output()
        assert "Traceback" not in program.output()
