"""A job as the screens draw it: its state in a word, what became of it in a sentence, and where its result is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, url_for

from dashboard.cache.walking.progress import Progress
from dashboard.cache.wording import number_of
from dashboard.jobs import invalidation_job, publish_job, stampede_watch_job
from dashboard.jobs.kind import Kind
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.results import counts, progress
from dashboard.jobs.resuming import resumes
from dashboard.jobs.retime_job import PLAN, RETIME
from dashboard.store import jobs
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import may, role_of
from dashboard.views.deck import deck
from dashboard.views.filters import duration, number, short

# Where a kind's result is drawn: endpoint, the link's words. The first is where its name leads. Each is given the
# job's number, and the query of its selection where it has one, or the number of the invalidation that it is about;
# one that does not exist, or that the reader may not open, is not drawn.
RESULTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "analysis": (("expiry.show", "Expiry"), ("memory.show", "Memory")),
    "retime.plan": (("retimings.show", "What it would do"),),
    "retime": (("retimings.show", "What it did"),),
    "saving": (("savings.show", "Result"),),
    "eviction_trace": (("eviction_traces.show", "Regret"),),
    "stampede_watch": (("stampedes.show", "Stampedes"),),
    publish_job.NAME: (("messages.show", "Who received it"),),
    invalidation_job.PLAN: (("invalidations.show", "What it would do"),),
    invalidation_job.RUN: (("invalidations.show", "What it did"),),
    invalidation_job.UNDO: (("invalidations.show", "What came back"),),
}

LEVELS: Mapping[str, str] = {
    "queued": "quiet",
    "running": "info",
    "paused": "warn",
    "finished": "ok",
    "failed": "bad",
    "cancelled": "quiet",
    "interrupted": "warn",
}

INVALIDATING = (invalidation_job.PLAN, invalidation_job.RUN, invalidation_job.UNDO)

PATIENCE_SECONDS = 5.0
"""A worker takes a job within a quarter of a second; after so long the page says why this one waits."""

AFTERGLOW_SECONDS = 12.0
"""So long the strip shows how a job ended: whoever waited for it may be on another screen."""

NO_WORKER = "No worker is running. It begins when one is started: cachedeck worker."
ITS_TURN = "It waits until another job has ended."


@dataclass(frozen=True)
class Shown:
    """A job with its words. level: of its badge. note: what there is to say, "" while it runs well. links: (address,
    words) of its result. seconds: how long it ran so far. again: whether it may be started again. resumes: whether its
    kind can go on where it stood."""

    job: Job
    kind: Kind | None
    title: str
    subject: str
    progress: Progress | None
    word: str
    level: str
    note: str
    links: tuple[tuple[str, str], ...]
    seconds: float | None
    again: bool
    resumes: bool

    @property
    def cancellable(self) -> bool:
        return (self.job.open or self.job.state == "paused") and not self.job.cancelling

    @property
    def pausable(self) -> bool:
        return self.resumes and self.job.open and not (self.job.cancelling or self.job.pausing)

    @property
    def resumable(self) -> bool:
        """Whether it may go on, as far as its own state says."""
        return self.resumes and self.job.resumable


def shown(job: Job, alive: int) -> Shown:
    """`alive`: how many jobs run just now, on any cache (jobs.alive)."""
    kind, seen = KINDS.get(job.kind), progress(job)
    end = job.ended_at or time.time()
    return Shown(
        job=job,
        kind=kind,
        title=kind.title if kind else job.kind,
        subject=kind.subject(job.arguments) if kind else "",
        progress=seen,
        word="cancelling" if job.cancelling else "pausing" if job.pausing else job.state,
        level=LEVELS[job.state],
        note=_note(job, seen, alive),
        links=_links(job),
        seconds=None if job.started_at is None else max(end - job.started_at, 0.0),
        again=kind is not None and kind.again and not job.open,
        resumes=resumes(job),
    )


def several(found: list[Job]) -> list[Shown]:
    """All of them, at the price of at most one query."""
    alive = jobs.alive(deck().store) if any(job.state == "queued" for job in found) else 0
    return [shown(job, alive) for job in found]


def strip(cache: str) -> list[Shown]:
    """What the strip of a cache's pages shows: what runs, what waits, and what has just ended. At most two queries."""
    found = jobs.running(deck().store, cache, ended_since=time.time() - AFTERGLOW_SECONDS)
    order: dict[str, int] = {"running": 0, "queued": 1}
    return several(sorted(found, key=lambda job: (order.get(job.state, 2), -job.id if not job.open else job.id)))


def _note(job: Job, seen: Progress | None, alive: int) -> str:
    if job.state == "queued":
        if time.time() - job.queued_at < PATIENCE_SECONDS:
            return "The worker begins with it in a moment."
        return ITS_TURN if alive else NO_WORKER
    if job.state == "running":
        stops = "ends" if job.cancelling else "pauses" if job.pausing else ""
        return f"It {stops} as soon as the server has answered." if stops else ""
    sentences = [job.error, job.advice, _reached(job, seen), *_missing(seen)]
    return " ".join(sentence for sentence in sentences if sentence)


def _reached(job: Job, seen: Progress | None) -> str:
    """How far it got: what it counted or changed where its kind tells that, else how many keys there were."""
    if seen is None or not (seen.examined or seen.ended):
        return "" if job.state == "finished" else "Nothing was examined."
    counted, took = counts(job), duration(seen.elapsed)
    if seen.unit == "seconds":
        return _listened(job, counted, took)
    if job.kind in (PLAN, RETIME) and {"changed", "found"} <= counted.keys():
        return _retimed(job, seen, counted)
    if job.kind in INVALIDATING and counted:
        return _invalidated(job, seen, counted)
    if seen.complete:
        if "keys" in counted and job.arguments.get("selection"):
            return f"{_keys(counted['keys'])} counted in {took}."
        return f"All {_keys(counted.get('keys', seen.examined))} in {took}."
    return f"{_examined(seen)} in {took}."


def _listened(job: Job, counted: Mapping[str, int], took: str) -> str:
    """What was heard in the time for which a job has listened."""
    if job.kind == publish_job.NAME:
        return _published(counted)
    if job.kind == stampede_watch_job.NAME:
        alerts, misses = counted.get("alerts", 0), counted.get("misses", 0)
        return f"{number_of(alerts, 'alert')} from {number_of(misses, 'miss', 'misses')} in {took}."
    return f"{number(counted.get('evictions', 0))} evictions heard of in {took}."


def _published(counted: Mapping[str, int]) -> str:
    """`3 receivers, 2 acknowledgements.`; whether anybody was asked for one, the counts tell."""
    acks = f", {number_of(counted['acks'], 'acknowledgement')}" if "acks" in counted else ""
    return f"{number_of(counted.get('receivers', 0), 'receiver')}{acks}."


def _retimed(job: Job, seen: Progress, counted: Mapping[str, int]) -> str:
    """`12 400 of 215 839 keys moved in 262 ms.`; before the end of a dry run nobody knows of how many."""
    how = "moved" if "jitter" in job.arguments.get("change", {}) else "brought into the range"
    would = "would be " if job.kind == PLAN else ""
    changed, found, took = number(counted["changed"]), counted["found"], duration(seen.elapsed)
    if seen.complete:
        return f"{changed} of {_keys(found)} {would}{how}{'. Examined' if would else ''} in {took}."
    done = "" if would else f"{_keys(counted['changed'])} {how}. "
    return f"{done}{_examined(seen)} examined in {took}."


def _invalidated(job: Job, seen: Progress, counted: Mapping[str, int]) -> str:
    """`10 230 keys removed in 2.1 s.`, `10 212 keys found in 2.1 s.`, `18 of 20 keys back in 3 ms.`"""
    took = duration(seen.elapsed)
    if job.kind == invalidation_job.PLAN:
        found = counted.get("found", 0)
        if seen.complete:
            return f"{_keys(found)} found in {took}."
        return f"About {_keys(found)}, estimated from {_examined(seen)} in {took}."
    if job.kind == invalidation_job.UNDO:
        newer = counted.get("newer", 0)
        left = f" {_keys(newer)} written since, left as {'it is' if newer == 1 else 'they are'}." if newer else ""
        return f"{_keys(counted.get('back', 0))} back in {took}.{left}"
    done, found = counted.get("done", 0), counted.get("found", 0)
    lowers = job.arguments.get("task", {}).get("mode") in ("gently", "stale")
    how = "given a shorter TTL" if lowers else "removed"
    of = f"{number(done)} of {_keys(found)}" if seen.complete and done != found else _keys(done)
    walked = "" if seen.complete else f" {_examined(seen)} examined."
    unsure = counted.get("unsure", 0)
    doubt = f" Of {_keys(unsure)} that is not known: a server did not answer." if unsure else ""
    return f"{of} {how} in {took}.{walked}{doubt}"


def _examined(seen: Progress) -> str:
    of_how_many = f" of {short(seen.total)}" if seen.total > seen.examined else ""  # DBSIZE may be denied
    return f"{short(seen.examined)}{of_how_many} keys"


def _keys(count: int) -> str:
    return f"{number(count)} {'key' if count == 1 else 'keys'}"


def _missing(seen: Progress | None) -> list[str]:
    return [f"{name} is missing: {why}" for name, why in seen.lost.items()] if seen else []


def _links(job: Job) -> tuple[tuple[str, str], ...]:
    if job.progress is None and job.about is None:
        return ()
    selection = job.arguments.get("selection", {})
    query = dict(selection) if isinstance(selection, Mapping) else {}
    leads: dict[str, Any] = {**query, "job": job.id} if job.about is None else {"number": job.about}
    return tuple(
        (url_for(endpoint, **{**leads, "cache": job.cache}), words)
        for endpoint, words in RESULTS.get(job.kind, ())
        if endpoint in current_app.view_functions and may(role_of(current_app, endpoint) or Role.VIEWER)
    )
