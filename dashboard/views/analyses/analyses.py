"""Analyses: starting one, and which one a screen draws. Expiry and Memory are two views of the same result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.analysis.report import Snapshot
from dashboard.cache.errors import CacheError
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.cache.servers.extent import Extent, extent
from dashboard.jobs import results
from dashboard.store import jobs
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, reason, requires
from dashboard.views.analyses.words import complete, ending, silence, standing
from dashboard.views.deck import deck
from dashboard.views.job_start import begin
from dashboard.views.jobs import job_words

blueprint = Blueprint("analyses", __name__, url_prefix="/caches/<cache>")

KIND = "analysis"
SCREENS = ("expiry", "memory")
SHARES = (("0.25", "25 %"), ("0.5", "50 %"), ("1", "100 %"))
KEPT = 12  # earlier results that a screen lists
DAY = 86_400.0
"""So much older than one that broke off a complete result may be, and is drawn in its place all the same."""


@dataclass(frozen=True)
class Chosen:
    """The analysis that a screen draws, if there is one, and the other results of the same selection, newest first.

    selection: of the job where the URL names one, else the URL's. snapshot: None where there is nothing to draw.
    drawn: whose snapshot that is: the job's own, or an earlier one's while the job has none yet. newer: one that broke
    off after the job, which is drawn in its place because it is complete.
    """

    selection: Selection
    job: Job | None = None
    snapshot: Snapshot | None = None
    kept: tuple[Job, ...] = ()
    drawn: Job | None = None
    newer: Job | None = None

    @property
    def going(self) -> bool:
        return self.job is not None and self.job.open


@blueprint.post("/analyses")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Start an analysis of a selection, and lead to it on the screen that asked for it.

    Where one of the same selection is going on already, that one is shown: a second would tell nothing new
    and cost the server the same again.
    """
    selection = from_query(request.form)
    share, screen = request.form.get("share", _usual_share()), request.form.get("next", SCREENS[0])
    if share not in dict(_shares()):
        abort(400, "The share of the server's time is one of those that the page offers.")
    if screen not in SCREENS:
        abort(400, "An analysis is shown by Expiry or by Memory.")
    current_cache()
    job = next((one for one in jobs.running(deck().store, cache) if _is_of(one, selection)), None)
    if job is None:
        job = begin(KIND, _arguments(selection, share), reason())
    else:
        flash("These keys are being analysed already: this is that analysis.", "info")
    return redirect(url_for(f"{screen}.show", cache=cache, job=job.id, **_query(selection)), 303)


def _arguments(selection: Selection, share: str) -> dict[str, Any]:
    return {"selection": selection.to_query(), "share": float(share), "replicas": "replicas" in request.form}


def chosen(cache: str, selection: Selection, job_id: int | None) -> Chosen:
    """The analysis that the URL names, else the one of the same selection that says most of the keys as they are now.

    404 where the URL names a job that is none of this cache's analyses.
    """
    store = deck().store
    if job_id is not None:
        job = jobs.get(store, job_id)
        if job is None or job.cache != cache or job.kind != KIND:
            abort(404, f"No analysis of {cache} has the number {job_id}.")
        selection = selection_of(job) or selection
    of_these = [one for one in jobs.newest(store, cache, KIND) if _is_of(one, selection)]
    newer = None
    if job_id is None:
        job = _best(of_these)
        first = of_these[0] if of_these else None
        newer = first if job and first and first.id > job.id and not job.open else None
    kept = tuple(one for one in of_these if has_result(one) and (job is None or one.id != job.id))[:KEPT]
    drawn, snapshot = _drawn(job, kept)
    return Chosen(selection, job, snapshot, kept, drawn, newer)


def _best(found: Sequence[Job]) -> Job | None:
    """Of analyses, the newest first: one that goes on, else the newest that has something to show.

    One that broke off knows less than the complete result before it, and takes its place only if that is old.
    """
    shown = next((one for one in found if one.open or has_result(one)), None)
    if shown is None or shown.open or complete(shown):
        return shown
    whole = next((one for one in found if complete(one)), None)
    return whole if whole and shown.created_at - whole.created_at <= DAY else shown


def _drawn(job: Job | None, kept: Sequence[Job]) -> tuple[Job | None, Snapshot | None]:
    """Whose figures are drawn: the job's, or while it has none yet, those of the best result before it."""
    own = _snapshot(job) if job else None
    if job is None or not job.open or (own and own.progress.examined):
        return job, own
    earlier = _best([one for one in kept if one.id < job.id])
    found = _snapshot(earlier) if earlier else None
    return (earlier, found) if found else (job, own)


def has_result(job: Job) -> bool:
    """Whether there is a snapshot of it: progress is saved along with the first one."""
    return job.progress is not None


def _snapshot(job: Job) -> Snapshot | None:
    found = results.snapshot(deck().store, job)
    return found if isinstance(found, Snapshot) else None


def selection_of(job: Job) -> Selection | None:
    """Which keys an analysis was asked for; None where its arguments cannot be read (any more)."""
    try:
        return from_query(job.arguments.get("selection", {}))
    except (BadSelection, AttributeError, TypeError):
        return None


def _is_of(job: Job, selection: Selection) -> bool:
    return job.kind == KIND and selection_of(job) == selection


def job_number() -> int | None:
    """The job that the URL asks for; None where it names none."""
    return request.args.get("job", type=int)


def _query(selection: Selection) -> dict[str, Any]:
    return dict[str, Any](selection.to_query())


def _unfolded() -> dict[str, str]:
    """Which long lists the URL asks for as a whole."""
    return {name: "all" for name in ("rows", "biggest") if request.args.get(name) == "all"}


def status_context(cache: str, screen: str, found: Chosen) -> dict[str, Any]:
    """What analyses/_status.html draws: the job, what may be started, and where the page asks again while it runs."""
    job, drawn = found.job, found.snapshot
    own = drawn if found.drawn is job else None
    began = own.report.started_at if own else None
    query = {**_query(found.selection), **_unfolded()}
    here = url_for(f"{screen}.show", cache=cache, job=job.id if job else None, **query)
    return {
        "chosen": found,
        "job": job,
        "snapshot": drawn,
        "report": drawn.report if drawn else None,
        "own": own,
        "waits": job_words.several([job])[0].note if job and job.state == "queued" else "",
        "silent": silence(job, own.progress if own else None, began, time.time()) if job else 0.0,
        "standing": standing,
        "ending": ending,
        "unfolded": _unfolded(),
        "selection": found.selection,
        "query": found.selection.to_query(),
        "here": here,
        "next_screen": screen,
        "shares": _shares(),
        "share": _share_of(found.job),
        # A running analysis offers no start, and the server has enough to do.
        "extent": None if found.going else _extent(),
    }


def _shares() -> tuple[tuple[str, str], ...]:
    """What may be chosen: the usual shares, and the one of CACHEDECK_WALK_SHARE."""
    usual = _usual_share()
    return SHARES if usual in dict(SHARES) else (*SHARES, (usual, f"{float(usual) * 100:g} %"))


def _usual_share() -> str:
    return f"{deck().settings.walk_share:g}"


def _share_of(job: Job | None) -> str:
    wanted = str(job.arguments.get("share", "")).removesuffix(".0") if job else ""
    return wanted if wanted in dict(_shares()) else _usual_share()


def _extent() -> Extent | None:
    try:
        return extent(current_cache())
    except CacheError:
        return None  # the start form says less then; starting says what is wrong
