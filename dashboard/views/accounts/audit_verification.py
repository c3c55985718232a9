"""Verifying the whole audit trail for whoever asks, without a thread of the web process for each.

A walk takes seconds for a trail of some 100 000 rows, so there is one at a time, its answer serves for
a minute, and whoever asks meanwhile gets the answer before, or none. `cachedeck audit verify` walks at once.
"""

from __future__ import annotations

import threading
import time

from flask import current_app

from dashboard.store import audit
from dashboard.store.audit import Verification
from dashboard.store.engine import Store

FRESH_SECONDS = 60.0

_EXTENSION = "cachedeck_verifications"


class BeingVerified(Exception):
    """Another request's walk is under way, and there is no answer yet."""

    def __init__(self) -> None:
        super().__init__("The trail is being verified for another request. Ask again in a moment.")


class Verifications:
    """The last answer, shared by the threads of this process."""

    def __init__(self) -> None:
        self._walking = threading.Lock()
        self._known: tuple[float, Verification] | None = None

    def of(self, store: Store) -> Verification:
        """What a walk found, now, lately, or before the one under way. Raises BeingVerified, StoreUnavailable."""
        known = self._known
        if known and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        if not self._walking.acquire(blocking=False):
            if known is None:
                raise BeingVerified
            return known[1]
        try:
            found = audit.verify(store)
            self._known = (time.monotonic(), found)
        finally:
            self._walking.release()
        return found


def verifications() -> Verifications:
    """Those of the current application."""
    found = current_app.extensions.setdefault(_EXTENSION, Verifications())
    assert isinstance(found, Verifications)  # noqa: S101  (narrows the type; nobody else writes it)
    return found
