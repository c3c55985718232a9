"""Which cliffs of an analysis have been retimed since, so that they are not offered for retiming once more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.cache.analysis.report import Cliff
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.jobs.retime_job import RETIME
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job

ROUNDED = 0.01  # seconds; the link from a cliff to its keys has milliseconds


@dataclass(frozen=True)
class Retimed:
    """A retiming that has gone over a cliff. whole: whether it ran to its end; at: when that was, or when it began."""

    job: Job
    at: float
    whole: bool


@dataclass(frozen=True)
class _Done:
    job: Job
    selection: Selection


def since(store: Store, cache: str, at: float) -> tuple[_Done, ...]:
    """The retimings of a cache that ended after `at` (epoch seconds) or still run, the newest first."""
    found = (one for one in jobs.newest(store, cache, RETIME) if one.progress and (one.ended_at or at + 1) > at)
    return tuple(_Done(job, selection) for job in found if (selection := _selection(job)) is not None)


def retimed(done: Iterable[_Done], cliff: Cliff, analysed: Selection) -> Retimed | None:
    """The newest of them that covers all of the cliff's keys, of an analysis of `analysed`; None where none does."""
    for one in done:
        if _covers(one, cliff, analysed):
            job = one.job
            return Retimed(job, job.ended_at or job.started_at or job.created_at, job.state == "finished")
    return None


def _selection(job: Job) -> Selection | None:
    try:
        return from_query(job.arguments.get("selection", {}))
    except (BadSelection, AttributeError, TypeError):
        return None  # another version has written it


def _covers(done: _Done, cliff: Cliff, analysed: Selection) -> bool:
    chosen = done.selection
    wanted = cliff.pattern or analysed.to_query().get("pattern", "*")
    return (
        _takes_pattern(chosen.to_query().get("pattern", "*"), wanted)
        and chosen.type in ("", analysed.type)
        and chosen.size in ("", analysed.size)
        and _takes_time(done, cliff)
    )


def _takes_pattern(taken: str, wanted: str) -> bool:
    """Whether one pattern certainly takes all that another takes: the same, or "sess:*" for "sess:web:*"."""
    if taken in ("*", wanted):
        return True
    start = taken.removesuffix("*")
    return start != taken and not set(start) & set("*?[\\") and wanted.startswith(start)


def _takes_time(done: _Done, cliff: Cliff) -> bool:
    kind, least, most = done.selection.ttl_bounds
    if kind == "none":
        return False
    if not kind:
        return True
    began = done.job.started_at or done.job.created_at if kind == "left" else 0.0
    first, last = began + least / 1000, began + (most + 1) / 1000
    return first <= cliff.at + ROUNDED and cliff.at + cliff.seconds <= last + ROUNDED
