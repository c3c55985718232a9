"""Turns the knobs of a running shop. The pattern is exchanged between two changes, never in the midst of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dashboard.demo.knobs import Knobs
from dashboard.demo.patterns import Pattern

QUEUED = "write-behind"
DRAIN_SECONDS = 10.0


class StillQueued(Exception):
    """Changes wait in the queue and the database does not take them, so the pattern stays. Says how many."""


class Switchboard:
    """Holds the knobs of one process.

    `apply` is given the knobs each time that they are turned; `drain` waits at most so many seconds until the
    write-behind queue is empty and answers how many changes are left in it.
    """

    def __init__(
        self,
        knobs: Knobs,
        patterns: Mapping[str, Pattern],
        apply: Callable[[Knobs], None],
        drain: Callable[[float], int],
    ) -> None:
        self._knobs = knobs
        self._patterns = patterns
        self._apply = apply
        self._drain = drain
        self._turning = threading.Lock()
        self._gate = threading.Condition()
        self._is_shut = False
        self._under_way = 0
        apply(knobs)

    @property
    def knobs(self) -> Knobs:
        return self._knobs

    @property
    def pattern(self) -> Pattern:
        """For reads, which any pattern may answer at any time."""
        return self._patterns[self._knobs.pattern]

    @contextmanager
    def changing(self) -> Iterator[Pattern]:
        """The pattern for one change. It stays the shop's pattern until the block is over."""
        with self._gate:
            self._gate.wait_for(lambda: not self._is_shut)
            self._under_way += 1
        try:
            yield self.pattern
        finally:
            with self._gate:
                self._under_way -= 1
                self._gate.notify_all()

    def turn(self, wanted: object) -> Knobs:
        """Turn those that `wanted` names. Raises BadKnob, and StillQueued where the queue keeps the pattern."""
        with self._turning:
            turned = self._knobs.turned(wanted)
            if self._knobs.pattern == QUEUED != turned.pattern:
                with self._shut():
                    self._empty_queue()
                    self._knobs = turned
            else:
                self._knobs = turned
            self._apply(turned)
            return turned

    def _empty_queue(self) -> None:
        # Two patterns must not write the same row: the queue's change, older but later, would win or be lost.
        left = self._drain(DRAIN_SECONDS)
        if left:
            raise StillQueued(f"{left} changes still wait for the database: the pattern stays {QUEUED}")

    @contextmanager
    def _shut(self) -> Iterator[None]:
        with self._gate:
            self._is_shut = True
            self._gate.wait_for(lambda: self._under_way == 0)
        try:
            yield
        finally:
            with self._gate:
                self._is_shut = False
                self._gate.notify_all()
