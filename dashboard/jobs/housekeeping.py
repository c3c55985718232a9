"""What the worker does every minute so that the store does not grow."""

from __future__ import annotations

import time

from huey import Huey, crontab

from dashboard.store import command_samples, invalidations, jobs, samples
from dashboard.store.engine import Store
from dashboard.store.vault import Vault


def register(queue: Huey, store: Store, vault: Vault) -> None:
    """Add the periodic tasks to a queue. Two workers may both run them: each is safe to repeat."""

    def compact_samples() -> None:
        samples.compact(store, time.time())
        command_samples.compact(store, time.time())

    def tend_jobs() -> None:
        jobs.bury(store)
        invalidations.drop_old(store, keep=vault.numbers())
        jobs.drop_old(store)

    def tend_vault() -> None:
        vault.drop_expired(time.time())

    queue.periodic_task(crontab(minute="*"), name="compact_samples")(compact_samples)
    queue.periodic_task(crontab(minute="*"), name="tend_jobs")(tend_jobs)
    queue.periodic_task(crontab(minute="*"), name="tend_vault")(tend_vault)
