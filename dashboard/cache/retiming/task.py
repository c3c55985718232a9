"""What the two ways of retiming a batch, by a script and by plain commands, are given and give."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.cache.errors import CacheError
from dashboard.cache.retiming.change import Change
from dashboard.cache.retiming.tally import Acted
from dashboard.cache.selecting.selection import Selection


@dataclass(frozen=True)
class Task:
    """Which keys, what with them, and whether in earnest. origin: seconds since 1970 from which the slots count."""

    selection: Selection
    change: Change
    acts: bool
    origin: float


@dataclass(frozen=True)
class Batch:
    """SCAN's next cursor, how many keys it gave, what was done with them, and what ended the batch before its end.

    unsure: keys that were sent to be changed and of which no answer came. held: seconds of the server, where told.
    """

    cursor: int
    scanned: int
    acted: Acted
    error: CacheError | None = None
    held: float | None = None
    unsure: int = 0
