"""One run of the driver, with or without a bench beside it, until it is stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dashboard.demo.visitors.line import Address, address
from dashboard.demo.visitors.open_loop import Driver, wait_for_shop
from dashboard.demo.visitors.tally import Tally
from dashboard.demo.visitors.traffic import Traffic

REPORT_SECONDS = 10.0

log = logging.getLogger("dashboard.demo")


def run(
    urls: str | Sequence[str],
    rate: float,
    stop: threading.Event,
    *,
    seed: int = 1,
    report_seconds: float = REPORT_SECONDS,
    bench_port: int | None = None,
    data: Path | None = None,
) -> None:
    """Drive the shop at `urls` (http://host:port, one a process) with `rate` requests a second until `stop` is set.

    Waits for a shop that is not up yet, goes on through its absences and says a line each `report_seconds`. With a
    `bench_port` the bench answers there. Returns within a moment of `stop`. Raises ValueError for a rate that is not
    positive or an address that is not http, OSError where the bench's port is taken.
    """
    shops = [address(url) for url in ([urls] if isinstance(urls, str) else urls)]
    if rate <= 0:
        raise ValueError("the rate must be above 0 requests a second")
    size = wait_for_shop(shops[0], stop)
    if size is None:
        return
    log.info("sending %g requests/s to %s", rate, urls if isinstance(urls, str) else " and ".join(urls))
    driver = Driver(shops, size, replace(Traffic(size.users, size.products), rate=rate), stop, seed=seed)
    driver.start()
    if bench_port is None:
        _report(driver, stop, report_seconds)
    else:
        _with_bench(driver, shops, stop, report_seconds, bench_port, data)
    driver.end()


def _report(driver: Driver, stop: threading.Event, report_seconds: float) -> None:
    began = time.monotonic()
    while not stop.wait(report_seconds):
        now = time.monotonic()
        log.info("%s", driver.ledger.take().line(now - began))
        began = now


def _with_bench(
    driver: Driver,
    shops: Sequence[Address],
    stop: threading.Event,
    report_seconds: float,
    port: int,
    data: Path | None,
) -> None:
    # Flask and the rest are loaded only where there is a bench.
    from dashboard.demo.bench.bench import Bench  # noqa: PLC0415
    from dashboard.demo.bench.recorder import Recorder  # noqa: PLC0415
    from dashboard.demo.bench.server import serve  # noqa: PLC0415
    from dashboard.demo.bench.shops import Shops  # noqa: PLC0415

    of_shop = Shops(shops)
    recorder = Recorder(driver.ledger, of_shop)
    bench = Bench(driver, of_shop, recorder, data)
    server = serve(bench, port)
    log.info("the bench is at http://%s:%s", server.host, server.port)
    recorder.start()
    bench.start()
    taken = recorder.taken
    while not stop.wait(report_seconds):
        blocks = [recorder.next_block(number, 0) for number in range(taken, recorder.taken)]
        known = [block for block in blocks if block is not None]
        taken += len(blocks)
        if known:
            line = Tally.together(block.tally for block in known).line(sum(block.seconds for block in known))
            log.info("%s", line)
    server.shutdown()
    bench.end()
    recorder.end()
