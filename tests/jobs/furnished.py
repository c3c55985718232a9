"""Rows of jobs in every state, written directly: no worker, however quick, can take them first."""

from __future__ import annotations

import json
import time

from dashboard.cache.progress import Progress
from dashboard.jobs.results import progress_of
from dashboard.store.engine import Store
from dashboard.store.jobs import INTERRUPTED, STATES, State
from dashboard.store.schema import JobRow

HOUR = 3600.0


def furnish_jobs(store: Store, cache: str) -> None:
    """One job of each state but "queued"; the one that runs has a worker that will seem to live for an hour."""
    with store.write() as session:
        for state in STATES:
            if state != "queued":
                session.add(_row(cache, state, time.time()))


def _row(cache: str, state: State, now: float) -> JobRow:
    ended = state == "finished"
    progress = Progress(1_000_000 if ended else 3_241_077, 1_000_000 if ended else 10_100_000, 12.5, 5.9, 8112, 0.93)
    errors = {"failed": f"{cache} cannot be reached.", "interrupted": INTERRUPTED}
    return JobRow(
        cache=cache,
        kind="analysis",
        arguments=json.dumps({"selection": {"pattern": "api:search:*"}, "share": 0.5, "replicas": False}),
        actor="otto",
        address="127.0.0.1",
        reason="",
        state=state,
        owner="nobody",
        cancelling=False,
        created_at=now - 100,
        started_at=now - 99,
        heartbeat_at=now + HOUR,
        ended_at=None if state == "running" else now - 80,
        progress=json.dumps(progress_of(progress)),
        error=errors.get(state, ""),
        advice="",
    )
