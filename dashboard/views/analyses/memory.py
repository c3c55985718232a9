"""Memory: which keys the memory is used for, and what could be done about it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.analysis.compare import Comparison, compare
from dashboard.cache.analysis.report import Report, Snapshot
from dashboard.cache.selecting.selection import from_query
from dashboard.jobs import results
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.analyses.analyses import Chosen, chosen, job_number, status_context
from dashboard.views.analyses.memory_figures import figures
from dashboard.views.analyses.words import complete
from dashboard.views.deck import deck
from dashboard.views.render import fragment, page, wants_fragment
from dashboard.views.selection_bar import selection_bar

blueprint = Blueprint("memory", __name__, url_prefix="/caches/<cache>")


@blueprint.get("/memory")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """The screen for the selection or the job that the URL says; as a fragment, what changes while a job runs."""
    current_cache()
    found = chosen(cache, from_query(request.args), job_number())
    context = status_context(cache, "memory", found)
    if found.snapshot:
        separator = deck().settings.namespace_separator.encode()
        rows, biggest = (request.args.get(name) == "all" for name in ("rows", "biggest"))
        report = found.snapshot.report
        context |= figures(cache, found.selection, report, separator, everything=rows, all_biggest=biggest)
        context["changed"] = _changed(cache, found)
    if wants_fragment():
        return fragment("memory/_live.html", **context)
    return page("memory/page.html", screen="memory", bar=selection_bar(found.selection), **context)


def _changed(cache: str, found: Chosen) -> tuple[Comparison, str] | None:
    """What has changed since the newest earlier result of the same selection, and where more of it stands.

    Of complete results only: one that broke off knows too little to say in a sentence what has gone.
    """
    if found.job is None or found.snapshot is None or not complete(found.job):
        return None
    for job in (one for one in found.kept if one.created_at < found.job.created_at and complete(one)):
        report = report_of(job)
        if report is not None and report.keys.value:
            there: dict[str, Any] = {"before": job.id, "after": found.job.id}
            return compare(report, found.snapshot.report), url_for("comparison.show", cache=cache, **there)
    return None


def report_of(job: Job) -> Report | None:
    """The last report of an analysis; None where there is none that can be read."""
    found = results.snapshot(deck().store, job)
    return found.report if isinstance(found, Snapshot) else None
