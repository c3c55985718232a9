"""Jobs that may change the same keys: their selections are compared, exactly where these are patterns or lists."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from dashboard.cache.invalidation.mode import BadMode
from dashboard.cache.invalidation.task import BadTell, task_from_query
from dashboard.cache.selecting.glob import may_match, may_overlap
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.jobs.kinds import KINDS
from dashboard.store import invalidations
from dashboard.store.engine import Store
from dashboard.store.jobs import Job


@cache
def changing() -> frozenset[str]:
    """The kinds of jobs that change keys."""
    return frozenset(name for name, kind in KINDS.items() if kind.changes)


def overlapping(
    found: Iterable[Job], selection: Selection, besides: int | None = None, store: Store | None = None
) -> list[Job]:
    """Those of some jobs that may change a key of the selection; not those about the invalidation `besides`.

    store: where long lists are read; without it, and where this version cannot read a selection, a job counts, too.
    """
    return [job for job in found if (job.about is None or job.about != besides) and _may_share(job, selection, store)]


def may_share(one: Selection, other: Selection) -> bool:
    """Whether a key could be in both. Two types have no key in common; TTLs and sizes change, and are not compared."""
    if one.type and other.type and one.type.lower() != other.type.lower():
        return False
    if one.keys is not None and other.keys is not None:
        return not set(one.keys).isdisjoint(other.keys)
    if one.keys is not None:
        return any(may_match(other.pattern, key) for key in one.keys)
    if other.keys is not None:
        return may_share(other, one)
    return may_overlap(one.pattern, other.pattern)


def selection_of(job: Job, store: Store | None = None) -> Selection | None:
    """The keys that a job is about; None where this version cannot read that. store: as of overlapping()."""
    given = job.arguments
    try:
        if store is not None and job.about is not None and "listed" in given.get("task", ()):
            made = invalidations.get(store, job.about)
            return task_from_query(made.task).selection if made else None
        return task_from_query(given["task"]).selection if "task" in given else from_query(given["selection"])
    except (BadSelection, BadMode, BadTell, KeyError, TypeError, AttributeError):
        return None


def _may_share(job: Job, selection: Selection, store: Store | None) -> bool:
    theirs = selection_of(job, store)
    if theirs is None or not may_share(theirs, selection):
        return theirs is None
    try:
        part = Selection(from_printable(str(job.arguments.get("pattern", "*"))))  # of an undo: only these come back
    except BadSelection:
        return True
    return may_share(part, selection)
