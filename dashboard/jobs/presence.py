"""A thread of the worker that says that it lives, for whoever asks for something that a worker has to do."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from dashboard.store import workers
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError


class Presence:
    """Says so every few seconds until it is stopped. `start` and `stop` once each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._worker = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Say that this worker is stopped, if that takes no longer than so many seconds."""
        self._stop.set()
        self._thread.join(seconds)

    def _follow(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            pause = workers.BEAT_SECONDS
            self._say(workers.beat)
        self._say(workers.leave)

    def _say(self, what: Callable[[Store, str], None]) -> None:
        try:
            what(self._store, self._worker)
        except StoreError:
            return  # the log has it
