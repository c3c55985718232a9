"""What findings know of a cache besides its samples: the last analysis, open trials, and how long commands take."""

from __future__ import annotations

import time
import weakref
from dataclasses import replace

from dashboard.cache.statistics.picture import WINDOW_SECONDS, Analysed, Known, OpenTrial, Picture, Stampeded
from dashboard.jobs import seeing, snapshots, stampede_watch_job
from dashboard.jobs.latency import p99_ms
from dashboard.store import jobs, trials
from dashboard.store.engine import Store
from dashboard.store.jobs import Job
from dashboard.store.trials import Trial

P99_SECONDS = 15.0
"""What commands cost is sampled no more often, and pages ask every two seconds."""
STAMPEDED_SECONDS = 3600.0
"""What a watch saw longer ago says nothing about now."""


class _Remembered:
    """Of one store: what is costly to read and seldom changes, by cache."""

    def __init__(self) -> None:
        self.analysed: dict[str, tuple[int, Analysed | None]] = {}
        self.p99: dict[str, tuple[float, float | None]] = {}


_remembered: weakref.WeakKeyDictionary[Store, _Remembered] = weakref.WeakKeyDictionary()


def with_known(store: Store, cache: str, seen: Picture) -> Picture:
    """The picture with all that is known. Raises StoreUnavailable."""
    kept = _remembered.setdefault(store, _Remembered())
    return replace(
        seen,
        known=Known(
            _analysed(store, cache, kept),
            tuple(_open(one) for one in trials.open_on(store, [cache])),
            _p99(store, cache, kept),
            _stampeded(store, cache, seen.now),
        ),
    )


def _analysed(store: Store, cache: str, kept: _Remembered) -> Analysed | None:
    job = seeing.last_analysis(store, cache)
    if job is None:
        return None
    known = kept.analysed.get(cache)
    if known is None or known[0] != job.id:
        known = kept.analysed[cache] = (job.id, _weighed(store, job))
    return known[1]


def _weighed(store: Store, job: Job) -> Analysed | None:
    """None where it was not told how large keys are."""
    report = seeing.report_of(store, job)
    if report is None or report.memory is None or report.without_ttl_memory is None:
        return None
    return Analysed(report.memory.value, report.without_ttl_memory.value, job.ended_at or 0.0)


def _open(trial: Trial) -> OpenTrial:
    what = ", ".join(f"{name}={value}" for name, value in trial.wanted.items())
    return OpenTrial(trial.number, what, trial.ends_at, trial.state == "stuck")


def _p99(store: Store, cache: str, kept: _Remembered) -> float | None:
    now = time.monotonic()
    at, value = kept.p99.get(cache, (float("-inf"), None))
    if now - at >= P99_SECONDS:
        value = p99_ms(store, cache, WINDOW_SECONDS)
        kept.p99[cache] = (now, value)
    return value


def _stampeded(store: Store, cache: str, now: float) -> Stampeded | None:
    job = next(iter(jobs.newest(store, cache, stampede_watch_job.NAME, 1)), None)
    if job is None or now - (at := job.ended_at or now) > STAMPEDED_SECONDS:
        return None
    return Stampeded(snapshots.counts(job).get("alerts", 0), at)
