"""What Cachedeck's own state tells of a cache: its samples as a picture, and the last analysis of all its keys."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from dashboard.cache.analysis.report import Report, Snapshot
from dashboard.cache.selecting.selection import BadSelection
from dashboard.cache.statistics.info import Reading, restored
from dashboard.cache.statistics.picture import FORGET_SECONDS, WINDOW_SECONDS, Picture, picture
from dashboard.cache.statistics.rates import Rates, rates
from dashboard.cache.tuning.effect import Evidence
from dashboard.jobs import analysis_job, snapshots
from dashboard.store import jobs, samples
from dashboard.store.engine import Store
from dashboard.store.jobs import Job
from dashboard.store.samples import Sample

# So many minutes of samples must be there before one a minute is enough to say what happened lately.
ENOUGH_MINUTES = 2


def gather(store: Store, cache: str, now: float, period: float) -> Picture:
    """The picture of a cache from its samples: the newest of each primary, and rates of the last minutes.

    One sample a minute is read, and those since the last full minute. Raises StoreUnavailable.
    """
    taken = samples.load(store, cache, now - FORGET_SECONDS, resolution=samples.MINUTE, now=now)
    if taken and taken[-1].at - taken[0].at < ENOUGH_MINUTES * 60:
        taken = samples.load(store, cache, taken[0].at - 60, resolution=samples.RAW, now=now)
    taken = taken or samples.latest(store, cache)
    latest: list[Reading] = []
    recent: dict[str, Rates] = {}
    earlier: dict[str, Rates] = {}
    for node, readings in by_node(taken).items():
        last = readings[-1]
        latest.append(last)
        start = _at(readings[:-1], last.at - WINDOW_SECONDS)
        if start is None:
            continue
        recent[node] = rates(start, last)
        before = _at([one for one in readings if one.at < start.at], start.at - WINDOW_SECONDS)
        if before is not None:
            earlier[node] = rates(before, start)
    return picture(now, period, latest, recent, earlier)


def evidence(store: Store, cache: str, period: float, now: float | None = None) -> Evidence:
    """The picture, with the last complete analysis of all keys where there is one. Raises StoreUnavailable."""
    now = time.time() if now is None else now
    seen = gather(store, cache, now, period)
    limits = {one.name: int(limit) for one in seen.spans if (limit := one.latest.get("memory_limit"))}
    job = last_analysis(store, cache)
    report = report_of(store, job) if job else None
    return Evidence(seen, report, job.ended_at if job and report else None, limits)


def last_analysis(store: Store, cache: str) -> Job | None:
    """The newest job that has analysed all keys of a cache to the end. Raises StoreUnavailable."""
    for job in jobs.newest(store, cache, analysis_job.NAME):
        try:
            whole = analysis_job.selection_of(job.arguments).everything
        except BadSelection:
            continue
        reached = snapshots.progress(job)
        if whole and job.state == "finished" and reached is not None and reached.complete:
            return job
    return None


def report_of(store: Store, job: Job) -> Report | None:
    """What an analysis has found; None where that cannot be read (any more). Raises StoreUnavailable."""
    snapshot = snapshots.of_kind(store, job, analysis_job.KIND)
    return snapshot.report if isinstance(snapshot, Snapshot) else None


def by_node(taken: Sequence[Sample]) -> Mapping[str, list[Reading]]:
    """Samples as readings, in their order, by node."""
    found: dict[str, list[Reading]] = defaultdict(list)
    for sample in taken:
        found[sample.node].append(restored(sample.at, sample.node, sample.values))
    return found


def _at(readings: Sequence[Reading], moment: float) -> Reading | None:
    """The reading nearest to a moment."""
    return min(readings, key=lambda one: abs(one.at - moment), default=None)
