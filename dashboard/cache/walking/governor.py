"""How gentle a walk is: how large the next batch may be, and how long the server rests before it. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass

FIRST_COUNT = 100  # a page of keys; the first call cannot know yet what a batch costs
MOST_COUNT = 20_000  # beyond it a call's cost is all in the keys, so nothing is gained
LEAST_COUNT = 1
FAILED = 8  # how many times smaller a batch is after one that was not answered in time
GROWTH = 2.0  # how far one batch may differ from the one before: a single slow call proves little
AIM = 0.7  # of the time that a call may take: keys differ, and a batch of dear ones should keep within it too
CREDIT = 0.002  # seconds: how late a call may be and the next one still be sent as if it had been on time
FORGETTING = 0.3  # how much the last call tells of what a key costs, where it was cheaper than those before


@dataclass(frozen=True)
class Budget:
    """What a walk may take of each primary.

    hold_ms: one call. share: of the server's time, 0 to 1. seconds: of our time in all, None for no end.
    abreast: whether primaries are asked side by side. ahead: whether the next call is sent before the last one's
    keys are dealt with, so that neither side waits for the other; a walk that is left early has asked once too
    often then. patience: for how many seconds a primary that fails is tried again. watched: whether the server's
    own latency and memory are looked at meanwhile, and the walk ends where they get worse (watch.py).
    """

    hold_ms: float = 1.0
    share: float = 0.5
    seconds: float | None = None
    first_count: int = FIRST_COUNT
    abreast: bool = True
    ahead: bool = False
    patience: float = 0.0
    watched: bool = False


class Rest:
    """Until when (perf_counter) a server rests. Who shares it takes turns with it and keeps one share together."""

    def __init__(self) -> None:
        self.due = 0.0


Rests = dict[str, Rest]
"""By the names of servers."""


def rest_of(rests: Rests, name: str) -> Rest:
    return rests.setdefault(name, Rest())


class Governor:
    """Of one primary: chooses the size of the next batch and the rest before it from what the last ones took.

    A call's time as seen from here contains the network and our own parsing. What the network takes (`round_trip`,
    seconds, where it is known) is left out, or a far server would be asked for ten keys at a time; of the rest the
    server is held for less than measured, so the error is on the gentle side.
    """

    def __init__(self, budget: Budget, round_trip: float = 0.0, rest: Rest | None = None) -> None:
        self._budget = budget
        self.round_trip = round_trip
        self.count = budget.first_count
        self._began: float | None = None
        self._cost = 0.0  # seconds of the server for one key
        self._rest = rest or Rest()
        self.calls = 0
        self.busy = 0.0
        self.longest = 0.0

    def begun(self) -> None:
        """A call is sent now. Being a little late is made up for: the share is one of the whole time."""
        self._began = max(self._rest.due, time.perf_counter() - CREDIT)

    def measured(self, seconds: float, count: int, ended: float | None = None, held: float | None = None) -> None:
        """A call for `count` keys took `seconds` and ended at `ended` (perf_counter), just now by default.

        held: the part of it for which the server was held, where that is known. A machine of ours that is
        starved makes calls long which cost the server little.
        """
        held = max(seconds - self.round_trip if held is None else held, 1e-6)
        self.calls += 1
        self.busy += held
        self.longest = max(self.longest, held)
        cost = held / count
        self._cost = max(cost, self._cost + FORGETTING * (cost - self._cost))
        wanted = AIM * self._budget.hold_ms / 1000 / self._cost
        self.count = int(min(max(wanted, count / GROWTH, LEAST_COUNT), count * GROWTH, MOST_COUNT))
        ended = time.perf_counter() if ended is None else ended
        began = ended - seconds if self._began is None else self._began
        self._rest.due = max(self._rest.due, began) + held / self._budget.share

    def failed(self, seconds: float) -> None:
        """A call was not answered in so many seconds: it may have held the server for as long as that."""
        self.calls += 1
        self.busy += seconds
        self.longest = max(self.longest, seconds)
        self.count = max(self.count // FAILED, LEAST_COUNT)
        self._began = None

    def wait(self) -> float:
        """Seconds until the next call keeps the share; what happens meanwhile counts as rest."""
        return max(self._rest.due - time.perf_counter(), 0.0)
