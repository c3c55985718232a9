"""Holding an answer back until a job has ended, for a bounded time and in a bounded number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import current_app

from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.views.deck import deck

_EXTENSION = "cachedeck_api_waits"
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.25  # seconds between two looks: what is over at once is told at once


def init_app(extensions: dict[str, Any]) -> None:
    """Give an application (its extensions) the places; how many there are is in its settings."""
    extensions[_EXTENSION] = Places()


class Places:
    """Half of the web process's threads may wait; the pages have the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, threads: int) -> bool:
        with self._lock:
            free = self._taken < max(1, threads // 2)
            self._taken += free
            return free

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1


@contextmanager
def place() -> Iterator[bool]:
    """Whether this request may wait; if so nobody else takes its place until the block ends."""
    places: Places = current_app.extensions[_EXTENSION]
    taken = places.take(deck().settings.web_threads)
    try:
        yield taken
    finally:
        if taken:
            places.give_back()


def until_ended(store: Store, job_id: int, seconds: float) -> None:
    """Return when a job is not open any more, or after so many seconds."""
    deadline, pause = time.monotonic() + seconds, FIRST_LOOK
    while True:
        job = jobs.get(store, job_id)
        left = deadline - time.monotonic()
        if job is None or not job.open or left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_LOOK)
