"""What the worker does every minute so that the store does not grow."""

from __future__ import annotations

import time

from huey import Huey, crontab

from dashboard.store import jobs, samples
from dashboard.store.engine import Store


def register(queue: Huey, store: Store) -> None:
    """Add the periodic tasks to a queue. Two workers may both run them: each is safe to repeat."""

    def compact_samples() -> None:
        samples.compact(store, time.time())

    def tend_jobs() -> None:
        jobs.bury(store)
        jobs.drop_old(store)

    queue.periodic_task(crontab(minute="*"), name="compact_samples")(compact_samples)
    queue.periodic_task(crontab(minute="*"), name="tend_jobs")(tend_jobs)
