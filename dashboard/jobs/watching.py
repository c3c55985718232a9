"""A thread of the worker that looks at something again and again, whatever goes wrong, until it is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from dashboard.store.errors import StoreError

LOOK_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
"""Until the next look after one that failed."""

_log = logging.getLogger(__name__)


class Watching:
    """Calls `look` with the epoch second each LOOK_SECONDS. `start` and `stop` once each. what: for the log."""

    def __init__(self, what: str, look: Callable[[float], None]) -> None:
        self._what = what
        self._look = look
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=what, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Ask it to end, and wait so long; whether it did (it may be waiting for a server that does not answer)."""
        self._stop.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _follow(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            pause = LOOK_SECONDS
            try:
                self._look(time.time())
            except StoreError:
                pause = TROUBLE_SECONDS  # the log has it
            except Exception:  # noqa: BLE001 (a defect of ours: it is logged, and the next look may well succeed)
                _log.exception("%s cannot be looked after", self._what)
                pause = TROUBLE_SECONDS
