"""A circuit breaker: what does not answer is left alone for a while, then tried by one call before all come back.

closed: calls go through, and one failure opens it. open: none go through, until its rest is over. half-open: one call
is the probe and goes through; its success closes the breaker, its failure opens it for a rest twice as long.
(Nygard, "Release It!", 2nd edition, 2018, chapter 5.) Elsewhere several failures are waited for; here a failure costs
a time-out, the database can answer everything, and a needless rest costs little.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]

REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 8.0


class Breaker:
    """Thread-safe. `clock` gives seconds that never go back.

    Who wants to call asks for a `permit`, and must `report` afterwards what became of it. Reports of calls that
    began before the last change of state say nothing about now, and are passed over.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._era = 0  # grows with each change of state; a permit is the era in which it was given
        self._rest = REST_SECONDS
        self._rests_until = 0.0

    @property
    def state(self) -> State:
        return self._state

    def permit(self) -> int | None:
        """A permit for one call; None: not now."""
        with self._lock:
            if self._state == "closed":
                return self._era
            if self._state == "half-open" or self._clock() < self._rests_until:
                return None
            self._turn("half-open")
            return self._era

    def report(self, permit: int, *, failed: bool) -> State | None:
        """What became of a call. Answers "open" where this gave up what had worked, "closed" where it works again."""
        with self._lock:
            before = self._state
            if permit != self._era or (not failed and before == "closed"):
                return None
            if not failed:
                self._turn("closed")
                return "closed"
            self._rest = REST_SECONDS if before == "closed" else min(self._rest * 2, LONGEST_REST_SECONDS)
            self._rests_until = self._clock() + self._rest
            self._turn("open")
            return "open" if before == "closed" else None

    def _turn(self, state: State) -> None:
        self._state = state
        self._era += 1
