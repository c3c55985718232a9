"""What the worker does every minute so that the store does not grow."""

from __future__ import annotations

import time

from huey import Huey, crontab

from dashboard.store import samples
from dashboard.store.engine import Store


def register(queue: Huey, store: Store) -> None:
    """Add the periodic tasks to a queue. Two workers may both run them: each is safe to repeat."""

    def compact_samples() -> None:
        samples.compact(store, time.time())

    queue.periodic_task(crontab(minute="*"), name="compact_samples")(compact_samples)
