"""Asking for a job, and waiting for the first it has to say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job

FIRST_SECONDS = 0.7
"""An answer waits so long for a job's first snapshot, so that the page which follows has figures within the second."""

_LOOK_SECONDS = 0.03


def start(
    store: Store,
    cache: str,
    kind: str,
    arguments: Mapping[str, Any],
    actor: str,
    address: str,
    reason: str = "",
    *,
    follows: int | None = None,
) -> Job:
    """Ask for a job of a kind on a cache, in the name of `actor`: some worker begins within a moment.

    The jobs table is the queue: what was asked for and what is to be done cannot disagree. Raises TypeError for
    arguments that are no JSON, Followed where the job that it `follows` has a follower, StoreUnavailable.
    """
    return jobs.create(store, cache, kind, arguments, actor, address, reason, follows=follows)


def until_first_snapshot(store: Store, job: Job, seconds: float = FIRST_SECONDS) -> Job:
    """The job as it is once it has a snapshot or has ended, or after so many seconds. Raises StoreUnavailable."""
    return until(store, job, lambda seen: seen.progress is not None or not seen.open, seconds)


def until(store: Store, job: Job, met: Callable[[Job], bool], seconds: float) -> Job:
    """The job as it is once it meets a condition, or after so many seconds. Raises StoreUnavailable."""
    deadline = time.monotonic() + seconds
    while not met(job) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        job = jobs.get(store, job.id) or job
    return job
