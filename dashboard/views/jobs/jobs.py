"""Jobs: what runs on a cache and what has run, its pause, its end before the end, and the same once more."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.jobs import resuming
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.start import until, until_first_snapshot
from dashboard.store import jobs
from dashboard.store.jobs import Job, State
from dashboard.store.operators import Role
from dashboard.views.access import change, current_cache, may, reason, requires
from dashboard.views.deck import deck
from dashboard.views.job_start import begin, require_typed
from dashboard.views.jobs import job_words
from dashboard.views.next_address import safe_next
from dashboard.views.render import fragment, page, wants_fragment

blueprint = Blueprint("jobs", __name__, url_prefix="/caches/<cache>/jobs")

PAGE = 50
CANCEL_SECONDS = 0.6
"""The answer to a cancellation or pause waits so long for it: most jobs stand by then, and the page says so."""


@blueprint.get("")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """The jobs of this cache, the newest first; `kind` and `state` filter, `before=<id>` goes to older ones.

    As a fragment: the list alone, which the page asks for again and again.
    """
    found, query = _listed(current_cache().name)
    listed, older = found[:PAGE], ""
    if len(found) > PAGE:
        older = url_for("jobs.index", cache=cache, **query, before=listed[-1].id)
    context: dict[str, Any] = {
        "jobs": job_words.several(listed),
        "older": older,
        "query": query,
        "here": url_for("jobs.index", cache=cache, **query, before=request.args.get("before", type=int)),
        "is_first": "before" not in request.args,
    }
    if wants_fragment():
        return fragment("jobs/_list_answer.html", **context)
    kinds = [("", "any"), *((kind.name, kind.title) for kind in KINDS.values())]
    states = [("", "any"), *((state, state) for state in get_args(State))]
    return page("jobs/page.html", screen="jobs", kinds=kinds, states=states, **context)


@blueprint.get("/strip")
@requires(Role.VIEWER, background=True)
def strip(cache: str) -> ResponseReturnValue:
    """What the strip at the foot of every page shows now."""
    return _strip()


@blueprint.get("/<int:job>")
@requires(Role.VIEWER)
def show(cache: str, job: int) -> ResponseReturnValue:
    """One job: all there is to say about it. As a fragment: the part of it that changes while it runs."""
    context: dict[str, Any] = {"one": job_words.several([_job(job)])[0]}
    if wants_fragment():
        return fragment("jobs/_job.html", **context)
    return page("jobs/job.html", screen="jobs", **context)


@blueprint.post("/<int:job>/cancellation")
@requires(Role.OPERATOR)
def cancel(cache: str, job: int) -> ResponseReturnValue:
    """End a job before its end. What it has found and done by then stays."""
    found = _job(job)
    if not found.open and found.state != "paused":
        flash(f"Job {found.id} had ended already: it is {found.state}.", "warn")
        return _strip() if wants_fragment() else _back(found)
    with change(f"{found.kind}.cancel", _subject(found), {"state": found.state}, reason()) as attempt:
        asked = jobs.request_cancel(deck().store, found.id) or found
        ended = until(deck().store, asked, lambda seen: not seen.open, CANCEL_SECONDS)
        attempt.done(after={"state": "cancelling" if ended.open else ended.state})
    if wants_fragment():
        return _strip()
    # The sentence stays on the page while the job ends, so it says what is true before and after.
    flash(f"Asked job {ended.id} to stop." if ended.open else f"Job {ended.id} is {ended.state}.", "ok")
    return _back(ended)


@blueprint.post("/<int:job>/pause")
@requires(Role.OPERATOR)
def pause(cache: str, job: int) -> ResponseReturnValue:
    """Let a job stand, so that it can go on later. What it has done by then stays."""
    found = _job(job)
    if not resuming.resumes(found):
        abort(409, "Jobs of this kind cannot go on where they stood. This one can be cancelled.")
    if not found.open:
        flash(f"Job {found.id} does not run: it is {found.state}.", "warn")
        return _strip() if wants_fragment() else _back(found)
    with change(f"{found.kind}.pause", _subject(found), {"state": found.state}, reason()) as attempt:
        asked = jobs.request_pause(deck().store, found.id) or found
        stands = until(deck().store, asked, lambda seen: not seen.open, CANCEL_SECONDS)
        attempt.done(after={"state": "pausing" if stands.open else stands.state})
    if wants_fragment():
        return _strip()
    flash(f"Asked job {stands.id} to pause." if stands.open else f"Job {stands.id} is {stands.state}.", "ok")
    return _back(stands)


@blueprint.post("/<int:job>/resumption")
@requires(Role.OPERATOR)
def resume(cache: str, job: int) -> ResponseReturnValue:
    """Let a job go on where it stood: the same job, with what it has counted so far."""
    found = _job(job)
    kind, obstacle = KINDS.get(found.kind), resuming.why_not(deck().store, found)
    if obstacle or kind is None:
        abort(409, obstacle)
    if kind.changes:
        current_cache().require_writable()
        require_typed(current_cache())
    others = resuming.overlaps(deck().store, found)
    with change(f"{found.kind}.resume", _subject(found), {"state": found.state}, reason()) as attempt:
        resumed = resuming.resume(deck().store, found)
        attempt.done(after={"state": resumed.state})
    _say_resumed(resumed, others)
    return _back(until_first_snapshot(deck().store, resumed))


@blueprint.post("/<int:job>/restart")
@requires(Role.OPERATOR)
def restart(cache: str, job: int) -> ResponseReturnValue:
    """A new job with the arguments of one that has ended."""
    found = _job(job)
    kind = KINDS.get(found.kind)
    if kind is None or not kind.again:
        abort(409, "Jobs of this kind are not started again: begin where the first one was begun.")
    if found.open:
        abort(409, f"Job {found.id} has not ended. Cancel it first.")
    if kind.changes:
        require_typed(current_cache())
    made = begin(found.kind, found.arguments, reason(), act="restart")
    flash(f"Started again as job {made.id}.", "ok")
    return _back(made)


def _listed(cache: str) -> tuple[list[Job], dict[str, Any]]:
    """One more than a page shows, and the filters that make sense."""
    kind, state = request.args.get("kind", ""), request.args.get("state", "")
    chosen = next((one for one in jobs.STATES if one == state), None)
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 2**63:
        before = None
    found = jobs.newest(deck().store, cache, kind or None, PAGE + 1, before, chosen)
    query = {"kind": kind, "state": chosen or ""}
    return found, {name: value for name, value in query.items() if value}


def _job(job_id: int) -> Job:
    """A job of the URL's cache: one of another cache does not exist here. To change it wants the role of its kind."""
    found = jobs.get(deck().store, job_id)
    if found is None or found.cache != current_cache().name:
        abort(404, f"{current_cache().name} has no job {job_id}. Old ones are forgotten.")
    kind = KINDS.get(found.kind)
    if request.method == "POST" and kind and not may(kind.role):
        abort(403, f"This needs the role {kind.role.label}.")
    return found


def _subject(job: Job) -> str:
    kind = KINDS.get(job.kind)
    return f"job {job.id}: {kind.subject(job.arguments) if kind else job.kind}"


def _say_resumed(job: Job, others: list[Job]) -> None:
    if not others:
        flash(f"Job {job.id} goes on.", "ok")
        return
    names = " and ".join(f"job {other.id}" for other in others)
    works = "works" if len(others) == 1 else "work"
    flash(f"Job {job.id} goes on; {names} {works} on keys that it may select too.", "warn")


def _strip() -> ResponseReturnValue:
    return fragment("jobs/_strip_answer.html", strip_jobs=job_words.strip(current_cache().name))


def _back(job: Job) -> ResponseReturnValue:
    """To where the form came from, which draws this job; else to the list."""
    wanted = safe_next(request.form.get("next", ""), request.script_root)
    if not wanted:
        return redirect(url_for("jobs.index", cache=job.cache), 303)
    parts = urlsplit(wanted)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "job"]
    return redirect(f"{parts.path}?{urlencode([*query, ('job', job.id)])}", 303)
