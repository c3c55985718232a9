"""Watches for stampedes. Keyspace notifications are on meanwhile, so admins start them, and see beforehand what that
costs."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.notifications.cost import expected, in_words
from dashboard.cache.stampedes import words as stampede_words
from dashboard.cache.stampedes.count import THRESHOLD
from dashboard.cache.stampedes.run import Watch
from dashboard.jobs import results
from dashboard.jobs.event_traffic import traffic
from dashboard.jobs.stampede_watch_job import LEAST_MISSES, LENGTHS, MOST_MISSES, NAME, arguments, flags_for
from dashboard.store import jobs, trials
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import address, current_cache, current_operator, may, reason, requires
from dashboard.views.deck import deck
from dashboard.views.job_here import job_here
from dashboard.views.job_start import begin, require_typed
from dashboard.views.jobs import job_words
from dashboard.views.listening.stampede_figures import figures
from dashboard.views.render import fragment, page, wants_fragment
from dashboard.views.switches import Switches, switches

blueprint = Blueprint("stampedes", __name__, url_prefix="/caches/<cache>/stampedes")

LISTED = 20


@blueprint.get("")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """The form, with what a watch would cost, and what was seen before."""
    found = jobs.newest(deck().store, current_cache().name, NAME, LISTED)
    here = switches(flags_for) if may(Role.ADMIN) else None
    return page(
        "stampedes/page.html",
        screen="events",
        tab="stampedes",
        lengths=LENGTHS,
        threshold=THRESHOLD,
        least=LEAST_MISSES,
        most=MOST_MISSES,
        cost=_expected(here) if here else "",
        switches=here,
        monitor_denied=_monitor_denied() if here and not here.problem else "",
        open_job=next((job for job in found if job.open), None),
        watched=[(one, _said(one.job)) for one in job_words.several(found)],
    )


@blueprint.post("")
@requires(Role.ADMIN)
def create(cache: str) -> ResponseReturnValue:
    """Start one of `seconds`, alerting from `threshold` misses on, and lead to it; to the one that goes on where there
    is one. reads=yes: commands are sampled."""
    seconds, threshold = request.form.get("seconds", type=int), request.form.get("threshold", type=int)
    if seconds not in LENGTHS:
        abort(400, f"seconds is one of {', '.join(map(str, LENGTHS))}.")
    if threshold is None or not LEAST_MISSES <= threshold <= MOST_MISSES:
        abort(400, f"threshold is a number of misses from {LEAST_MISSES} to {MOST_MISSES}.")
    going = next((job for job in jobs.newest(deck().store, current_cache().name, NAME, 1) if job.open), None)
    if going is not None:
        flash("This watch goes on already.", "warn")
        return _to(going)
    current_cache().require_writable()
    require_typed(current_cache(), "settings")
    reads, on = (request.form.get(name) == "yes" for name in ("reads", "on"))
    given = arguments(seconds, current_operator().name, address(), threshold, reads=reads, on=on)
    return _to(begin(NAME, given, reason()))


@blueprint.get("/<int:job>")
@requires(Role.VIEWER)
def show(cache: str, job: int) -> ResponseReturnValue:
    """What was seen; as a fragment, what changes while it is watched."""
    context = _context(job_here(job, "watch", NAME))
    if wants_fragment():
        return fragment("stampedes/_live.html", **context)
    return page("stampedes/watch.html", screen="events", tab="stampedes", **context)


def _context(job: Job) -> dict[str, Any]:
    found = results.snapshot(deck().store, job)
    context: dict[str, Any] = {
        "job": job,
        "one": job_words.several([job])[0],
        "here": url_for("stampedes.show", cache=job.cache, job=job.id),
        "watch": None,
        "answer": "The worker begins with it in a moment." if job.open else "Nothing was watched.",
    }
    if not isinstance(found, Watch):
        return context
    switch = trials.get(deck().store, found.trial) if found.trial is not None else None
    return context | {"switch": switch, "notes": found.notes} | figures(job, found)


def _expected(here: Switches) -> str:
    """By what happened in the last minutes; "" where that is not known."""
    lately = traffic(deck().store, current_cache().name, time.time(), deck().settings.sample_seconds)
    found = expected(here.flags, lately)
    if found is None:
        return ""
    cost, _, unknown = found
    return in_words(cost) + (f", and what the flags {unknown} tell, which is not known" if unknown else "")


def _monitor_denied() -> str:
    try:
        return current_cache().capabilities().why_not("MONITOR")
    except CacheError as error:
        return error.sentence


def _said(job: Job) -> str:
    found = results.snapshot(deck().store, job)
    return stampede_words.answer(found.found, ended=not job.open) if isinstance(found, Watch) else ""


def _to(job: Job) -> ResponseReturnValue:
    return redirect(url_for("stampedes.show", cache=job.cache, job=job.id), 303)
