"""Savings whose results are kept, made without measuring anything: for the screen that draws one.

Analyses are kept by tests/snapshots.py.
"""

from __future__ import annotations

from sqlalchemy import update

from dashboard.cache.estimate import exactly
from dashboard.cache.progress import Progress
from dashboard.cache.saving import Saving, SavingSnapshot, Way
from dashboard.jobs.results import progress_of, text_of
from dashboard.jobs.saving_job import KIND, arguments
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job
from dashboard.store.schema import JobRow

SAVES = Saving(
    "api:name:*",
    exactly(1_000_000),
    sampled=5_000,
    mean=20,
    strings=Way(500_000, 5_000),
    hashes=Way(200_000, 50, 50),
    by="Valkey 9.1.2, libc",
    managed="Redis 7.2.4, jemalloc-5.3.0",
)
"""5 000 of a million keys: 100 bytes as strings, 40 in hashes."""


def keep_saving(store: Store, found: Saving, *, cache: str = "main", state: str = "finished") -> Job:
    """A saving as a worker leaves it in the store.

    It is put together under another cache's name, so that a worker which runs just now does not take it.
    """
    apart = f"apart from {cache}"
    given = {**arguments(found.namespace, found.keys), "analysis": 1}
    job = jobs.create(store, apart, KIND.name, given, "otto", "127.0.0.1")
    jobs.claim(store, "worker", [apart])
    progress = Progress(found.sampled, found.sampled, 3.0, ended=state == "finished")
    jobs.save(store, job.id, "worker", progress_of(progress), text_of(KIND, SavingSnapshot(progress, found)))
    if state != "running":
        jobs.end(store, job.id, "worker", state)  # type: ignore[arg-type]
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(cache=cache))
    kept = jobs.get(store, job.id)
    assert kept
    return kept
