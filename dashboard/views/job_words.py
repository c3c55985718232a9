"""A job as the screens draw it: its state in a word, what became of it in a sentence, and where its result is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from flask import current_app, url_for

from dashboard.cache.progress import Progress
from dashboard.jobs.kind import Kind
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.results import counts, progress
from dashboard.jobs.retime_job import PLAN, RETIME
from dashboard.store import jobs
from dashboard.store.jobs import Job
from dashboard.views.deck import deck
from dashboard.views.filters import duration, number, short

# Where a kind's result is drawn: endpoint, the link's words. The first is where its name leads. Each is given the
# job's number, and the query of its selection where it has one; one that does not exist is not drawn.
RESULTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "analysis": (("expiry.show", "Expiry"), ("memory.show", "Memory")),
    "retime.plan": (("retimings.show", "What it would do"),),
    "retime": (("retimings.show", "What it did"),),
    "saving": (("savings.show", "Result"),),
}

LEVELS: Mapping[str, str] = {
    "queued": "quiet",
    "running": "info",
    "finished": "ok",
    "failed": "bad",
    "cancelled": "quiet",
    "interrupted": "warn",
}

PATIENCE_SECONDS = 5.0
"""A worker takes a job within a quarter of a second; after so long the page says why this one waits."""

AFTERGLOW_SECONDS = 12.0
"""So long the strip shows how a job ended: whoever waited for it may be on another screen."""

NO_WORKER = "No worker is running. It begins when one is started: cachedeck worker."
ITS_TURN = "It waits until another job has ended."


@dataclass(frozen=True)
class Shown:
    """A job with its words. level: of its badge. note: what there is to say, "" while it runs well. links: (address,
    words) of its result. seconds: how long it ran so far. again: whether it may be started again."""

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
        word="cancelling" if job.cancelling else job.state,
        level=LEVELS[job.state],
        note=_note(job, seen, alive),
        links=_links(job),
        seconds=None if job.started_at is None else max(end - job.started_at, 0.0),
        again=kind is not None and kind.again and not job.open,
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
        if time.time() - job.created_at < PATIENCE_SECONDS:
            return "The worker begins with it in a moment."
        return ITS_TURN if alive else NO_WORKER
    if job.state == "running":
        return "It ends as soon as the server has answered." if job.cancelling else ""
    sentences = [job.error, job.advice, _reached(job, seen), *_missing(seen)]
    return " ".join(sentence for sentence in sentences if sentence)


def _reached(job: Job, seen: Progress | None) -> str:
    """How far it got: what it counted or changed where its kind tells that, else how many keys there were."""
    if seen is None or not (seen.examined or seen.ended):
        return "" if job.state == "finished" else "Nothing was examined."
    counted, took = counts(job), duration(seen.elapsed)
    if job.kind in (PLAN, RETIME) and {"changed", "found"} <= counted.keys():
        return _retimed(job, seen, counted)
    if seen.complete:
        if "keys" in counted and job.arguments.get("selection"):
            return f"{_keys(counted['keys'])} counted in {took}."
        return f"All {_keys(counted.get('keys', seen.examined))} in {took}."
    return f"{_examined(seen)} in {took}."


def _retimed(job: Job, seen: Progress, counted: Mapping[str, int]) -> str:
    """`12 400 of 215 839 keys moved in 262 ms.`; before the end of a dry run nobody knows of how many."""
    how = "moved" if "jitter" in job.arguments.get("change", {}) else "brought into the range"
    would = "would be " if job.kind == PLAN else ""
    changed, found, took = number(counted["changed"]), counted["found"], duration(seen.elapsed)
    if seen.complete:
        return f"{changed} of {_keys(found)} {would}{how}{'. Examined' if would else ''} in {took}."
    done = "" if would else f"{_keys(counted['changed'])} {how}. "
    return f"{done}{_examined(seen)} examined in {took}."


def _examined(seen: Progress) -> str:
    of_how_many = f" of {short(seen.total)}" if seen.total > seen.examined else ""  # DBSIZE may be denied
    return f"{short(seen.examined)}{of_how_many} keys"


def _keys(count: int) -> str:
    return f"{number(count)} {'key' if count == 1 else 'keys'}"


def _missing(seen: Progress | None) -> list[str]:
    return [f"{name} is missing: {why}" for name, why in seen.lost.items()] if seen else []


def _links(job: Job) -> tuple[tuple[str, str], ...]:
    if job.progress is None:
        return ()
    selection = job.arguments.get("selection", {})
    query = dict(selection) if isinstance(selection, Mapping) else {}
    return tuple(
        (url_for(endpoint, **{**query, "cache": job.cache, "job": job.id}), words)
        for endpoint, words in RESULTS.get(job.kind, ())
        if endpoint in current_app.view_functions
    )
