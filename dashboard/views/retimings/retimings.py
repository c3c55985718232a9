"""Retimings: new TTLs for the keys of a selection. A dry run first, then exactly what it was about, both as jobs."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.retiming.change import BadChange, Change, Jitter
from dashboard.cache.retiming.tally import Done, Plan
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.cache.selecting.words import in_words
from dashboard.jobs import results
from dashboard.jobs.retime_job import PLAN, RETIME, arguments, task_of
from dashboard.store import jobs
from dashboard.store.jobs import Followed, Job
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, reason, requires
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.job_here import job_here
from dashboard.views.job_start import begin, require_typed
from dashboard.views.jobs import job_words
from dashboard.views.render import fragment, page, wants_fragment
from dashboard.views.retimings.bars import crowd, rate, sides, ttl_rows
from dashboard.views.retimings.form import DIRECTIONS, Typed, change_of, typed
from dashboard.views.selection_bar import selection_bar

blueprint = Blueprint("retimings", __name__, url_prefix="/caches/<cache>/retimings")

GOOD_SECONDS = 15 * 60.0
"""A dry run older than this is no picture of the keys any more, and has to be made again."""


@blueprint.get("/new")
@requires(Role.OPERATOR)
def new(cache: str) -> ResponseReturnValue:
    """The form, filled in from the query: a selection, and `jitter` (and `direction`) or `low` and `high`."""
    current_cache().require_writable()
    return _form(from_query(request.args), typed(request.args))


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Start the dry run, and lead to it. 422 with the form where it says nothing sensible."""
    current_cache().require_writable()
    form = typed(request.form)
    try:
        selection = from_query(request.form)
    except BadSelection as error:
        return _form(Selection(), form, BadField("pattern", str(error)), status=422)
    try:
        change = change_of(form)
    except BadField as error:
        return _form(selection, form, error, status=422)
    job = begin(PLAN, arguments(selection, change), reason())
    return _to(job)


@blueprint.get("/<int:job>")
@requires(Role.VIEWER)
def show(cache: str, job: int) -> ResponseReturnValue:
    """What a dry run says would happen, or what a retiming has done. As a fragment: what changes while it runs."""
    found = job_here(job, "retiming", PLAN, RETIME)
    context = _plan_context(found) if found.kind == PLAN else _done_context(found)
    if wants_fragment():
        return fragment("retimings/_live.html", **context)
    return page("retimings/page.html", screen="expiry", **context)


@blueprint.post("/<int:job>/execution")
@requires(Role.OPERATOR)
def execute(cache: str, job: int) -> ResponseReturnValue:
    """Do what a dry run was about: the same selection, the same change."""
    current_cache().require_writable()
    found = job_here(job, "retiming", PLAN, RETIME)
    if found.kind != PLAN:
        abort(409, "This is no dry run: it has been carried out.")
    already = jobs.follower(deck().store, found.id)
    if already is not None:
        return _already(already)
    selection, change = _task(found)
    obstacle = _obstacle(found, _plan(found))
    if obstacle:
        abort(409, obstacle)
    require_typed(current_cache())
    if selection.everything and request.form.get("everything", "") != "*":
        abort(400, "This is about every key: type * to say that you mean it.")
    try:
        return _to(begin(RETIME, arguments(selection, change), reason(), act="execute", follows=found.id))
    except Followed as second:  # somebody else, or a double click, was first by a moment
        return _already(second.job)


def _already(job: Job) -> ResponseReturnValue:
    flash("This dry run has been carried out already. Make a new one to move the keys again.", "warn")
    return _to(job)


def _form(selection: Selection, form: Typed, error: BadField | None = None, status: int = 200) -> Response:
    return page(
        "retimings/new.html",
        screen="expiry",
        status=status,
        selection=selection,
        words=in_words(selection),
        query=selection.to_query(),
        bar=selection_bar(selection),
        form=form,
        directions=DIRECTIONS,
        errors={error.name: error.sentence} if error else {},
    )


def _task(job: Job) -> tuple[Selection, Change]:
    try:
        return task_of(job.arguments)
    except (BadSelection, BadChange) as error:
        abort(409, f"Another version of Cachedeck made this: {error} Make a new dry run.")


def _plan(job: Job) -> Plan | None:
    found = results.snapshot(deck().store, job)
    return found if isinstance(found, Plan) else None


def _obstacle(job: Job, plan: Plan | None) -> str:
    """Why a dry run may not be carried out; "" where it may."""
    if job.open:
        return "The dry run has not ended: what it would do is not known yet."
    if job.state != "finished" or plan is None or not plan.progress.complete:
        return "The dry run did not get to its end, so what this would do is not known. Make it again."
    if time.time() - (job.ended_at or 0.0) > GOOD_SECONDS:
        return "The dry run is older than 15 min, and the keys have gone on living. Make it again."
    why_not = current_cache().capabilities().why_not("PEXPIRE")
    if why_not:
        return f"TTLs cannot be changed here. {why_not}."
    return "" if plan.changed.value else "There is nothing to change."


def _common(job: Job, selection: Selection, change: Change) -> dict[str, Any]:
    return {
        "job": job,
        "one": job_words.several([job])[0],
        "selection": selection,
        "words": in_words(selection),
        "query": selection.to_query(),
        "change": change,
        "again": {**selection.to_query(), **change.to_query()},
        "jitters": isinstance(change, Jitter),
        "here": url_for("retimings.show", cache=job.cache, job=job.id),
    }


def _plan_context(job: Job) -> dict[str, Any]:
    selection, change = _task(job)
    plan = _plan(job)
    executed = jobs.follower(deck().store, job.id)
    return {
        **_common(job, selection, change),
        "plan": plan,
        "done": None,
        "figures": plan,
        "sides": sides(plan.before, plan.after) if plan else None,
        "rate_before": rate(plan.before) if plan else None,
        "rate_after": rate(plan.after) if plan else None,
        "crowd_before": crowd(plan.before) if plan else "",
        "crowd_after": crowd(plan.after) if plan else "",
        "ttls": ttl_rows(plan) if plan else [],
        "executed": executed,
        "obstacle": "" if job.open or executed else _obstacle(job, plan),
        "good_until": (job.ended_at or time.time()) + GOOD_SECONDS,
        "atomic": current_cache().capabilities().can("EVAL"),
    }


def _done_context(job: Job) -> dict[str, Any]:
    selection, change = _task(job)
    found = results.snapshot(deck().store, job)
    done = found if isinstance(found, Done) else None
    planned = jobs.get(deck().store, job.follows or 0)
    plan = _plan(planned) if planned and planned.kind == PLAN and planned.cache == job.cache else None
    return {
        **_common(job, selection, change),
        "plan": plan,
        "planned": planned if plan else None,
        "done": done,
        "figures": done,
        "sides": sides(done.before, done.after) if done else None,
        "crowd_before": crowd(done.before) if done else "",
        "crowd_after": crowd(done.after) if done else "",
    }


def _to(job: Job) -> ResponseReturnValue:
    return redirect(url_for("retimings.show", cache=job.cache, job=job.id), 303)
