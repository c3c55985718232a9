"""Cuts the run into blocks of a second, and keeps those of the last ten minutes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard.demo.bench.blocks import Block, Figures, figures, growth
from dashboard.demo.bench.shops import CacheSize, Shops, ShopTrouble, Standing
from dashboard.demo.knobs import Knobs
from dashboard.demo.visitors.tally import Ledger

BLOCK_SECONDS = 1.0
NOW_SECONDS = 10.0
POINT_SECONDS = 2.0
KEPT_SECONDS = 600.0


@dataclass(frozen=True)
class Point:
    """Of the series: figures of POINT_SECONDS up to `at`."""

    at: float
    figures: Figures


class Recorder:
    """Takes a block from the driver's ledger and the shop's counters each `period` seconds, in a thread of its own.

    `knobs` are those of the shop when it last answered, `stale_total` all stale reads so far.
    """

    def __init__(
        self, ledger: Ledger, shops: Shops, period: float = BLOCK_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._shops = shops
        self._period = period
        self._clock = clock
        self._news = threading.Condition()
        self._blocks: deque[Block] = deque(maxlen=round(KEPT_SECONDS / period))
        self._points: deque[Point] = deque(maxlen=round(KEPT_SECONDS / max(POINT_SECONDS, period)))
        self._unpointed: list[Block] = []
        self._taken = 0
        self.stale_total = 0
        self._standings: list[Standing] | None = None
        self.knobs: dict[str, Any] = Knobs().to_plain()
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        with self._news:
            self._news.notify_all()

    @property
    def shop_answers(self) -> bool:
        """Whether the shop answered when the last block was taken."""
        return self._standings is not None

    @property
    def cache(self) -> CacheSize | None:
        """What the shop said last of its cache."""
        standings = self._standings
        return standings[0].cache if standings else None

    def now(self) -> Figures:
        """Of the last NOW_SECONDS."""
        with self._news:
            return figures(list(self._blocks)[-round(NOW_SECONDS / self._period) :])

    def points(self) -> list[Point]:
        with self._news:
            return list(self._points)

    @property
    def taken(self) -> int:
        """How many blocks were taken so far: the number of the next one."""
        return self._taken

    def next_block(self, number: int, seconds: float) -> Block | None:
        """The block of that number; None where it has not come within so many seconds, or is no longer kept."""
        with self._news:
            self._news.wait_for(lambda: self._taken > number or self._ended.is_set(), seconds)
            back = self._taken - number
            return self._blocks[-back] if 0 < back <= len(self._blocks) else None

    def _run(self) -> None:
        self._take()
        due = time.monotonic()
        while True:
            due = max(due + self._period, time.monotonic())
            if self._ended.wait(due - time.monotonic()):
                return
            self._take()

    def _take(self) -> None:
        before = self._standings
        try:
            after: list[Standing] | None = self._shops.standings()
            self.knobs = self._shops.knobs()
        except ShopTrouble:
            after = None
        tally, moment = self._ledger.take(), time.monotonic()
        block = Block(
            at=self._clock(),
            seconds=max(moment - self._began, 1e-9),
            tally=tally,
            growth=growth(before, after) if before and after else None,
            queued=max((one.queued for one in after or ()), default=0),
            lag_seconds=max((one.lag_seconds for one in after or ()), default=0.0),
            dead=max((one.dead for one in after or ()), default=0),
        )
        self._began = moment
        self.stale_total += tally.stale
        with self._news:
            self._standings = after
            self._blocks.append(block)
            self._taken += 1
            self._point(block)
            self._news.notify_all()

    def _point(self, block: Block) -> None:
        self._unpointed.append(block)
        if len(self._unpointed) * self._period >= POINT_SECONDS:
            self._points.append(Point(block.at, figures(self._unpointed)))
            self._unpointed = []
