"""Measurements of regret: are evicted keys asked for again? Keyspace notifications are on meanwhile, so admins start
them, and see beforehand what that costs."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.estimate import exactly
from dashboard.cache.eviction import trace_words as eviction_trace_words
from dashboard.cache.eviction import words as eviction_words
from dashboard.cache.eviction.regret import Trace
from dashboard.cache.eviction.regret_count import FOLLOWED_SECONDS
from dashboard.cache.eviction.trace_words import Cost
from dashboard.cache.notifications.keyevents import FLAGS
from dashboard.cache.notifications.primary_listener import gap_in_words
from dashboard.cache.wording import percent
from dashboard.jobs import results
from dashboard.jobs.eviction_trace_job import LENGTHS, NAME, arguments
from dashboard.jobs.seeing import gather
from dashboard.store import jobs, trials
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.store.trials import Trial
from dashboard.views.access import address, current_cache, current_operator, may, reason, requires
from dashboard.views.bars import columns
from dashboard.views.deck import deck
from dashboard.views.job_here import job_here
from dashboard.views.job_start import begin, require_typed
from dashboard.views.jobs import job_words
from dashboard.views.render import fragment, page, wants_fragment
from dashboard.views.switches import switches

blueprint = Blueprint("eviction_traces", __name__, url_prefix="/caches/<cache>/eviction-traces")

LISTED = 20


@blueprint.get("")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """The form, with what a measurement would cost, and what was measured before."""
    found = jobs.newest(deck().store, current_cache().name, NAME, LISTED)
    seen = gather(deck().store, cache, time.time(), deck().settings.sample_seconds)
    return page(
        "eviction_traces/page.html",
        screen="eviction",
        tab="pressure",
        lengths=LENGTHS,
        follows=FOLLOWED_SECONDS,
        cost=_words(eviction_trace_words.expected(seen)),
        switches=switches(lambda _: FLAGS) if may(Role.ADMIN) else None,
        open_job=next((job for job in found if job.open), None),
        measured=[(one, _said(results.snapshot(deck().store, one.job), one.job)) for one in job_words.several(found)],
    )


@blueprint.post("")
@requires(Role.ADMIN)
def create(cache: str) -> ResponseReturnValue:
    """Start one of `seconds`, and lead to it; to the one that goes on where there is one."""
    seconds = request.form.get("seconds", type=int)
    if seconds not in LENGTHS:
        abort(400, f"seconds is one of {', '.join(map(str, LENGTHS))}.")
    going = next((job for job in jobs.newest(deck().store, current_cache().name, NAME, 1) if job.open), None)
    if going is not None:
        flash("This measurement goes on already.", "warn")
        return _to(going)
    current_cache().require_writable()
    require_typed(current_cache(), "settings")
    on = request.form.get("on") == "yes"
    job = begin(NAME, arguments(seconds, current_operator().name, address(), on=on), reason())
    return _to(job)


@blueprint.get("/<int:job>")
@requires(Role.VIEWER)
def show(cache: str, job: int) -> ResponseReturnValue:
    """What was measured; as a fragment, what changes while it is."""
    context = _context(job_here(job, "measurement", NAME))
    if wants_fragment():
        return fragment("eviction_traces/_live.html", **context)
    return page("eviction_traces/trace.html", screen="eviction", tab="pressure", **context)


def _context(job: Job) -> dict[str, Any]:
    trace = results.snapshot(deck().store, job)
    context: dict[str, Any] = {
        "job": job,
        "one": job_words.several([job])[0],
        "here": url_for("eviction_traces.show", cache=job.cache, job=job.id),
        "trace": None,
        "answer": "The worker begins with it in a moment." if job.open else "Nothing was measured.",
    }
    if not isinstance(trace, Trace):
        return context
    spent = eviction_trace_words.spent(trace)
    told = trace.regret
    return context | {
        "trace": trace,
        "answer": eviction_words.regretted(told, going_on=job.open),
        "followed": eviction_words.followed(told),
        "verdict": eviction_words.verdict(told.share) if told.within == FOLLOWED_SECONDS else "",
        "unheard": eviction_trace_words.unheard(trace),
        "gaps": [gap_in_words(one) for one in trace.gaps],
        "confirmed": eviction_trace_words.confirmed(trace.confirmed) if trace.confirmed else "",
        "spent": _words(spent),
        "events_a_second": spent.events if spent else None,
        "bytes_a_second": spent.bytes if spent else None,
        "core_share": spent.share if spent else None,
        "chart": _chart(trace),
        "points": eviction_trace_words.curve(told.curve),
        "switch": _switch(trace),
        "notes": trace.notes,
    }


def _chart(trace: Trace) -> Any:
    """The share that was asked for again within 1, 2, ... seconds, in per cent."""
    shares = trace.regret.curve
    words = [f"within {second} s: {percent(share)}" for second, share in enumerate(shares, 1)]
    return columns([exactly(100 * one) for one in shares], words) if shares else None


def _switch(trace: Trace) -> Trial | None:
    """What keeps notifications on; None where they were on already."""
    return trials.get(deck().store, trace.trial) if trace.trial is not None else None


def _words(cost: Cost | None) -> str:
    return eviction_trace_words.in_words(cost) if cost else ""


def _said(trace: object, job: Job) -> str:
    return eviction_words.regretted(trace.regret, going_on=job.open) if isinstance(trace, Trace) else ""


def _to(job: Job) -> ResponseReturnValue:
    return redirect(url_for("eviction_traces.show", cache=job.cache, job=job.id), 303)
