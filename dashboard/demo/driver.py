"""Sends the shop what its visitors would send: an open loop at a set rate, over keep-alive connections.

A slow answer does not slow the arrivals, and a latency counts from the moment its request was due. So a shop which
stalls is seen to stall (see Gil Tene, "How NOT to Measure Latency": coordinated omission).
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import threading
import time
from urllib.parse import urlsplit

from dashboard.demo.arrivals import Arrivals
from dashboard.demo.mix import Mix, Request
from dashboard.demo.tally import Ledger

THREADS = 8  # at most so many requests are under way; the others wait, and their latency grows
TIMEOUT_SECONDS = 2.0
RETRY_SECONDS = 0.5
GRACE_SECONDS = 0.5  # for requests under way when the run stops; a shop that hangs does not hold it up
REPORT_SECONDS = 10.0
NO_ANSWER = (OSError, http.client.HTTPException)

log = logging.getLogger("dashboard.demo")


def run(
    base_url: str,
    rate: float,
    stop: threading.Event,
    *,
    threads: int = THREADS,
    seed: int = 1,
    report_seconds: float = REPORT_SECONDS,
) -> None:
    """Drive the shop at `base_url` (http://host:port) with `rate` requests a second until `stop` is set.

    Waits for a shop that is not up yet, goes on through its absences and says a line each `report_seconds`.
    Returns within a moment of `stop`, leaving a request that is under way to end by itself. Raises ValueError for
    a rate that is not positive or an address that is not http.
    """
    host, port = _address(base_url)
    if rate <= 0:
        raise ValueError("the rate must be above 0 requests a second")
    known = _wait_for_shop(Line(host, port), stop)
    if known is None:
        return
    log.info("sending %g requests/s to %s", rate, base_url)
    driver = Driver(Mix(known[0], known[1], seed), rate, stop, seed)
    crew = [
        threading.Thread(target=driver.work, args=(Line(host, port),), name=f"visitor-{n}", daemon=True)
        for n in range(threads)
    ]
    for thread in crew:
        thread.start()
    began = time.monotonic()
    while not stop.wait(report_seconds):
        now = time.monotonic()
        log.info("%s", driver.ledger.take().line(now - began))
        began = now
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in crew:
        thread.join(max(0.0, deadline - time.monotonic()))


class Line:
    """One keep-alive connection to the shop, made when it is needed. For one thread."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)

    def send(self, request: Request) -> tuple[int, str | None, bytes]:
        """Status, `X-Cache` and body of the answer. Raises one of NO_ANSWER."""
        reused = self._connection.sock is not None
        try:
            return self._exchange(request)
        except (ConnectionError, http.client.RemoteDisconnected):
            # The other side may close an idle connection at any moment, which says nothing about the shop.
            if not reused:
                raise
            return self._exchange(request)

    def close(self) -> None:
        self._connection.close()

    def _exchange(self, request: Request) -> tuple[int, str | None, bytes]:
        headers = {"Cookie": f"sid={request.sid}"} if request.sid else {}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(request.method, request.path, request.body, headers)
            response = self._connection.getresponse()
            return response.status, response.headers["X-Cache"], response.read()
        except NO_ANSWER:
            self._connection.close()
            raise


class Driver:
    """What the threads of one run share."""

    def __init__(self, mix: Mix, rate: float, stop: threading.Event, seed: int) -> None:
        self.ledger = Ledger()
        self._mix = mix
        self._arrivals = Arrivals(rate, time.monotonic(), random.Random(seed))  # noqa: S311 - load, not secrets
        self._stop = stop
        self._taking = threading.Lock()
        self._away = False

    def work(self, line: Line) -> None:
        """Take the next request, wait until it is due, send it: until the run stops."""
        while not self._stop.is_set():
            with self._taking:
                due, dropped = self._arrivals.take(time.monotonic())
                request = self._mix.next()
            if dropped:
                self.ledger.dropped(dropped)
            if not self._stop.wait(max(0.0, due - time.monotonic())):
                self._send(line, request, due)
        line.close()

    def _send(self, line: Line, request: Request, due: float) -> None:
        try:
            status, source, _body = line.send(request)
        except NO_ANSWER as error:
            self.ledger.failed()
            self._note(away=True, message=f"the shop does not answer ({type(error).__name__}), trying again")
            self._stop.wait(RETRY_SECONDS)
            return
        self.ledger.answered(time.monotonic() - due, status, source)
        if self._away:
            self._note(away=False, message="the shop answers again")

    def _note(self, *, away: bool, message: str) -> None:
        with self._taking:
            if away == self._away or self._stop.is_set():
                return
            self._away = away
        log.warning(message)


def _wait_for_shop(line: Line, stop: threading.Event) -> tuple[int, int] | None:
    """How many users and products the shop has, once it answers; None where the run stopped before."""
    said = False
    while not stop.is_set():
        try:
            status, _source, body = line.send(Request("GET", "/", sid=""))
            if status == 200:
                shop = json.loads(body)
                line.close()
                return int(shop["users"]), int(shop["products"])
        except (*NO_ANSWER, ValueError, KeyError, TypeError):
            line.close()
        if not said:
            log.info("waiting for the shop")
            said = True
        stop.wait(RETRY_SECONDS)
    return None


def _address(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("the shop's address must be like http://127.0.0.1:8001")
    return parts.hostname, parts.port or 80
