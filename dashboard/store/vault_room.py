"""How much may still be put into a vault, without measuring all of it each time.

All writers of a process share one account for a folder. Until it measures again, a process takes an eighth of the room
there was: so many processes may write at the same time without exceeding the limit. Near it each append measures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MEASURE_SECONDS = 1.0
MEASURE_SHARE = 0.1
"""How long a measurement of what the vault holds is good for: longer where measuring would take more of the time."""

SHARE = 8

_rooms: dict[Path, Room] = {}


class Room:
    """The account of one folder. `measure` tells how many bytes are in it."""

    def __init__(self, measure: Callable[[], int]) -> None:
        self._measure = measure
        self._lock = threading.Lock()
        self._most, self._room, self._share, self._measured_at = 0, 0, 0, float("-inf")
        self._good_for = 0.0
        self._pending = 0  # taken, and perhaps not in the folder yet when that is measured

    @contextmanager
    def taking(self, size: int, most: int) -> Iterator[bool]:
        """Whether `size` bytes fit within `most`: they count as taken, and are written in this block."""
        fits = self._take(size, most)
        try:
            yield fits
        finally:
            if fits:
                with self._lock:
                    self._pending -= size

    def _take(self, size: int, most: int) -> bool:
        with self._lock:
            stale = time.monotonic() - self._measured_at > self._good_for or most != self._most
            if stale or size > self._share:
                begun = time.monotonic()
                self._most, self._room = most, most - self._measure() - self._pending
                self._measured_at = time.monotonic()
                self._good_for = max(MEASURE_SECONDS, (self._measured_at - begun) / MEASURE_SHARE)
                self._share = self._room // SHARE
            if size > self._room:
                return False
            self._room -= size
            self._share -= size
            self._pending += size
            return True


def room_of(folder: Path, measure: Callable[[], int]) -> Room:
    """The one account of a folder in this process."""
    return _rooms.setdefault(folder.absolute(), Room(measure))
