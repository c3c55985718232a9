"""From a job's row to what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.jobs.kind import Kind
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.snapshots import counts, of_kind, progress, progress_of, text_of, told_of
from dashboard.store.engine import Store
from dashboard.store.jobs import Job

__all__ = ["counts", "progress", "progress_of", "snapshot", "text_of", "told_of"]


def snapshot(store: Store, job: Job, kinds: Mapping[str, Kind] = KINDS) -> Any | None:
    """The last snapshot of a job, of its kind's type, while it runs too. None where there is none.

    One that another version of Cachedeck wrote and this one cannot read counts as none. Raises StoreUnavailable.
    """
    kind = kinds.get(job.kind)
    return of_kind(store, job, kind) if kind else None
