"""A bench over a fake shop, answering by HTTP."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.demo.bench.bench import Bench
from dashboard.demo.bench.recorder import Recorder
from dashboard.demo.bench.server import HOST, serve
from dashboard.demo.visitors.open_loop import Driver
from dashboard.demo.visitors.traffic import ShopSize, Traffic
from tests.demo.fake_shop import PRODUCTS, USERS, FakeShop, fake_shop
from tests.programs import wait_until
from tests.servers import free_port

SIZE = ShopSize(USERS, PRODUCTS)


@dataclass
class Running:
    """A running bench and what it runs on."""

    port: int
    shop: FakeShop
    driver: Driver
    recorder: Recorder

    def ask(
        self, method: str, path: str = "/bench", body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer."""
        data = None if body is None else json.dumps(body).encode()
        told = {"Content-Type": "application/json"} if data is not None else {}
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}{path}", data, {**told, **(headers or {})}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def state(self) -> dict[str, Any]:
        return self.ask("GET")[1]


@contextmanager
def driver_and_recorder(shop: FakeShop, rate: float = 100.0) -> Iterator[tuple[Driver, Recorder]]:
    """With blocks of a tenth of a second."""
    stop = threading.Event()
    driver = Driver([shop.address], SIZE, Traffic(USERS, PRODUCTS, rate=rate), stop, connections=8)
    recorder = Recorder(driver.ledger, shop.client(), period=0.1)
    driver.start()
    recorder.start()
    try:
        yield driver, recorder
    finally:
        stop.set()
        recorder.end()
        driver.end()


@contextmanager
def benching(data: Path | None = None) -> Iterator[Running]:
    with fake_shop() as shop, driver_and_recorder(shop) as (driver, recorder):
        bench = Bench(driver, shop.client(), recorder, data)
        port = free_port()
        server = serve(bench, port)
        bench.start()
        try:
            wait_until(lambda: recorder.taken > 3, "the first blocks")
            yield Running(port, shop, driver, recorder)
        finally:
            server.shutdown()
            server.server_close()
            bench.end()
