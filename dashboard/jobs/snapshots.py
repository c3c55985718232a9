"""Snapshots as JSON and back, for who knows the kind of a job. For who does not: results.py, which knows them all."""

from __future__ import annotations

import json
import logging
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dashboard.cache.walking.progress import Progress
from dashboard.jobs.kind import HasProgress, Kind
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job

_log = logging.getLogger(__name__)
_PROGRESS = TypeAdapter(Progress)
_COUNTS = TypeAdapter(dict[str, int])
_COUNTED = "counted"  # beside the fields of a progress


def of_kind(store: Store, job: Job, kind: Kind) -> Any | None:
    """The last snapshot of a job of this kind, while it runs too. None where there is none, or none that can be read.

    Raises StoreUnavailable.
    """
    text = jobs.result_text(store, job.id)
    if text is None:
        return None
    try:
        return kind.adapter.validate_json(text)
    except ValidationError:
        _log.warning("the snapshot of job %d (%s) cannot be read: another version wrote it", job.id, job.kind)
        return None


def text_of(kind: Kind, snapshot: Any) -> str:
    """A snapshot as the JSON that `snapshot` reads.

    By json and not by the adapter's own dump_json, which writes null for the infinite end of an interval.
    """
    return json.dumps(kind.adapter.dump_python(snapshot, mode="json"), separators=(",", ":"))


def progress(job: Job) -> Progress | None:
    """How far a job has got; None before its first snapshot."""
    if job.progress is None:
        return None
    try:
        return _PROGRESS.validate_python(job.progress)
    except ValidationError:
        return None


def progress_of(progress: Progress) -> dict[str, Any]:
    """A progress as the JSON that `progress` reads."""
    return dict(_PROGRESS.dump_python(progress, mode="json"))


def told_of(kind: Kind, snapshot: HasProgress) -> dict[str, Any]:
    """The progress of a snapshot with what its kind counts, as the JSON that `progress` and `counts` read."""
    return {**progress_of(snapshot.progress), _COUNTED: dict(kind.counts(snapshot))}


def counts(job: Job) -> dict[str, int]:
    """What the last snapshot of a job counted (Kind.counts); empty where that is not known."""
    try:
        return _COUNTS.validate_python((job.progress or {}).get(_COUNTED, {}))
    except ValidationError:
        return {}
