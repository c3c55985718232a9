"""Sends the shop what its visitors would send: an open loop at a set rate, over keep-alive connections.

A slow answer does not slow the arrivals, and a latency counts from the moment its request was due. So a shop which
stalls is seen to stall (see Gil Tene, "How NOT to Measure Latency": coordinated omission).
"""

from __future__ import annotations

import json
import logging
import queue
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from dashboard.demo.visitors.arrivals import LATEST_SECONDS, Arrivals
from dashboard.demo.visitors.line import NO_ANSWER, Address, Line
from dashboard.demo.visitors.mix import Mix, Request
from dashboard.demo.visitors.tally import Ledger
from dashboard.demo.visitors.traffic import ShopSize, Traffic
from dashboard.demo.visitors.truth import Truth

CONNECTIONS = 64  # at most so many requests are under way; the others wait, and their latency grows
RETRY_SECONDS = 0.5
GRACE_SECONDS = 0.5  # for requests under way when the run stops; a shop that hangs does not hold it up
AWAY_SECONDS = 0.5  # without any answer
NOTICE_SECONDS = 0.25  # until a stop is noticed

log = logging.getLogger("dashboard.demo")


@dataclass(frozen=True)
class _Due:
    """A request, for the shop process of that number, and when it is due by the monotonic clock."""

    at: float
    request: Request
    shop: int


class Driver:
    """One thread says which request is due when, others send them, in turn to each of `shops`.

    `ledger` counts the answers, `truth` knows what was acknowledged. Nothing is sent before `start`, nor while paused.
    """

    def __init__(
        self,
        shops: Sequence[Address],
        size: ShopSize,
        traffic: Traffic,
        stop: threading.Event,
        *,
        seed: int = 1,
        connections: int = CONNECTIONS,
    ) -> None:
        self.size = size
        self.ledger = Ledger()
        self.truth = Truth()
        self._shops = shops
        self._traffic = traffic
        self._stop = stop
        self._connections = connections
        self._turning = threading.Condition()
        self._paused = False
        self._waiting: queue.SimpleQueue[_Due | None] = queue.SimpleQueue()
        self._counting = threading.Condition()
        self._under_way = 0
        self._noting = threading.Lock()
        self._away = False
        self._last_answer = time.monotonic()
        self._crew: list[threading.Thread] = []
        self._begin(seed)

    @property
    def traffic(self) -> Traffic:
        return self._traffic

    def start(self) -> None:
        self._crew = [threading.Thread(target=self._dispatch, name="arrivals", daemon=True)]
        self._crew += [
            threading.Thread(target=self._visit, name=f"visitor-{number}", daemon=True)
            for number in range(self._connections)
        ]
        for thread in self._crew:
            thread.start()

    def end(self) -> None:
        """After `stop` was set: leave requests that are under way to end by themselves, if they take long."""
        for _ in range(self._connections):
            self._waiting.put(None)
        deadline = time.monotonic() + GRACE_SECONDS
        for thread in self._crew:
            thread.join(max(0.0, deadline - time.monotonic()))

    def turn(self, traffic: Traffic) -> None:
        """Go on with another traffic from this moment."""
        with self._turning:
            rows = ("users", "products", "skew")
            redrawn = any(getattr(traffic, name) != getattr(self._traffic, name) for name in rows)
            self._traffic = traffic
            self._mix.turn(traffic, redraw=redrawn)
            self._arrivals.turn(traffic.rate, traffic.burst_factor, time.monotonic())
            self._changed()

    def restart(self, seed: int, traffic: Traffic) -> None:
        """Begin a series of requests of which any two with the same seed and traffic are the same."""
        with self._turning:
            self._traffic = traffic
            self._begin(seed)
            self._paused = False
            self._changed()

    def pause(self) -> None:
        """Send nothing until `resume` or `restart`. Requests under way go on."""
        with self._turning:
            self._paused = True
            self._changed()

    def is_quiet(self, seconds: float) -> bool:
        """Wait until nothing waits or is under way, at most so long; whether it came to that. Pause before."""
        with self._counting:
            return self._counting.wait_for(lambda: self._under_way == 0, seconds)

    def resume(self) -> None:
        with self._turning:
            self._paused = False
            self._arrivals.turn(self._traffic.rate, self._traffic.burst_factor, time.monotonic())
            self._changed()

    def _begin(self, seed: int) -> None:
        traffic = self._traffic
        self._mix = Mix(self.size, traffic, seed)
        source = random.Random(seed)  # noqa: S311 - load, not secrets
        self._arrivals = Arrivals(traffic.rate, time.monotonic(), source, traffic.burst_factor)
        self._turns = cycle(range(len(self._shops)))
        self._edition = 0

    def _changed(self) -> None:
        self._edition += 1
        self._turning.notify_all()

    def _dispatch(self) -> None:
        while not self._stop.is_set():
            with self._turning:
                if self._paused:
                    self._turning.wait(NOTICE_SECONDS)
                    continue
                at, dropped = self._arrivals.take(time.monotonic())
                if dropped:
                    self.ledger.dropped(dropped)
                if self._wait_until(at):
                    with self._counting:
                        self._under_way += 1
                    self._waiting.put(_Due(at, self._mix.next(), next(self._turns)))

    def _wait_until(self, at: float) -> bool:
        """Whether the moment came; False where the traffic was turned or the run stopped before."""
        edition = self._edition
        while (rest := at - time.monotonic()) > 0:
            self._turning.wait(min(rest, NOTICE_SECONDS))
            if self._edition != edition or self._stop.is_set():
                return False
        return True

    def _visit(self) -> None:
        lines = [Line(shop) for shop in self._shops]
        while (due := self._waiting.get()) is not None and not self._stop.is_set():
            if time.monotonic() - due.at > LATEST_SECONDS:
                self.ledger.dropped(1)
            else:
                self._send(lines[due.shop], due)
            with self._counting:
                self._under_way -= 1
                self._counting.notify_all()
        for line in lines:
            line.close()

    def _send(self, line: Line, due: _Due) -> None:
        request = due.request
        before = self.truth.newest(request.row) if request.row else 0
        try:
            reply = line.send(request)
        except NO_ANSWER as error:
            self.ledger.failed()
            # One slow answer among many does not make the shop away.
            if time.monotonic() - self._last_answer > AWAY_SECONDS:
                self._note(away=True, message=f"the shop does not answer ({type(error).__name__}), trying again")
            self._stop.wait(RETRY_SECONDS)
            return
        ended = self._last_answer = time.monotonic()
        if request.row and reply.status == 200 and (version := _version(reply.body)) is not None:
            # An acknowledgement counts from here on: what begins later has to see it.
            if request.body is not None:
                self.truth.acknowledged(request.row, version, before)
            else:
                self.ledger.judged(stale=version < before)
        self.ledger.answered(ended - due.at, reply.status, reply.source)
        if self._away:
            self._note(away=False, message="the shop answers again")

    def _note(self, *, away: bool, message: str) -> None:
        with self._noting:
            if away == self._away or self._stop.is_set():
                return
            self._away = away
        log.warning(message)


def _version(body: bytes) -> int | None:
    """What the answer says its row's version is; None where it says none."""
    try:
        said = json.loads(body)["version"]
    except (ValueError, KeyError, TypeError):
        return None
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def answers(shop: Address) -> ShopSize | None:
    """How many rows the shop has; None where it does not answer."""
    line = Line(shop)
    try:
        reply = line.send(Request("GET", "/", sid=""))
        found = json.loads(reply.body)
        return ShopSize(int(found["users"]), int(found["products"])) if reply.status == 200 else None
    except (*NO_ANSWER, ValueError, KeyError, TypeError):
        return None
    finally:
        line.close()


def wait_for_shop(shop: Address, stop: threading.Event) -> ShopSize | None:
    """How many rows the shop has, once it answers; None where the run stopped before."""
    said = False
    while not stop.is_set():
        if size := answers(shop):
            return size
        if not said:
            log.info("waiting for the shop")
            said = True
        stop.wait(RETRY_SECONDS)
    return None
