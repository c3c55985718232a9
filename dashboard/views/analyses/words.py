"""How an analysis has ended, or why it does not begin, in words: for its status, lists of results, and pickers."""

from __future__ import annotations

from dashboard.cache.walking.progress import Progress
from dashboard.jobs import results
from dashboard.store.jobs import Job

SILENT_SECONDS = 3.0
"""A snapshot is saved twice a second; after so long without one, what it said of the time left is no news."""

_ENDS = {"failed": "failed", "cancelled": "was cancelled", "interrupted": "was interrupted"}


def complete(job: Job) -> bool:
    """Whether its figures are counts of all keys: it ended well, and no primary is missing."""
    seen = results.progress(job)
    return job.state == "finished" and seen is not None and seen.complete


def standing(job: Job) -> str:
    """What a list of results says of one: "exact", "cancelled at 7 %", "without 1 of 3 primaries"."""
    seen = results.progress(job)
    if job.state == "finished":
        if seen is None or seen.complete:
            return "exact" if seen else "without a result"
        return f"without {len(seen.lost)} of {seen.primaries} primaries" if seen.lost else "incomplete"
    return f"{job.state}{_reached(seen)}"


def ending(job: Job) -> str:
    """The same as the end of a sentence: "was cancelled at 7 %"."""
    said = _ENDS.get(job.state)
    return f"{said}{_reached(results.progress(job))}" if said else f"is {standing(job)}"


def _reached(seen: Progress | None) -> str:
    if seen is None or not seen.examined:
        return " before its first figures"
    return f" at {_percent(seen)}" if seen.total_known and seen.total else ""


def _percent(seen: Progress) -> str:
    # `share` says 1 of a walk that ended, also where a part of it was lost.
    part = min(seen.examined / seen.total, 1.0)
    return "under 1\u202f%" if part < 0.01 else f"{int(100 * part)}\u202f%"


def silence(job: Job, seen: Progress | None, began: float | None, now: float) -> float:
    """Seconds for which nothing was heard of a job that runs; 0 where that is not remarkable.

    began: when its walk began by the report, which is somewhat later than the job. All in epoch seconds.
    """
    if job.state != "running" or job.started_at is None:
        return 0.0
    last = max(job.started_at, began or 0.0) + (seen.elapsed if seen else 0.0)
    return now - last if now - last > SILENT_SECONDS else 0.0
