"""Savings: what a namespace of small strings would take in hashes, measured on a sample."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.estimate import NOTHING
from dashboard.cache.saving.report import SavingSnapshot
from dashboard.cache.saving.words import basis, held, losses, verdict, verdict_of_timed
from dashboard.cache.selecting.fold import pattern_of
from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.jobs import results
from dashboard.jobs.analysis_job import NAME as ANALYSIS
from dashboard.jobs.saving_job import NAME, arguments, namespace_of
from dashboard.store.operators import Role
from dashboard.views.access import reason, requires
from dashboard.views.analyses.memory import report_of
from dashboard.views.deck import deck
from dashboard.views.job_here import job_here
from dashboard.views.job_start import begin
from dashboard.views.render import fragment, page, wants_fragment

blueprint = Blueprint("savings", __name__, url_prefix="/caches/<cache>/savings")


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Measure a namespace of the analysis that the form names. Nothing is changed on the cache."""
    name = request.form.get("namespace", "")
    job = job_here(request.form.get("analysis", type=int), "analysis", ANALYSIS)
    report = report_of(job)
    row = next((row for row in report.namespaces if row.name == name), None) if report else None
    if row is None:
        abort(409, "This analysis does not list that namespace (any more). Analyse again, and start from there.")
    strings = next((group.keys for group in row.types if group.name == "string"), NOTHING)
    made = begin(NAME, {**arguments(name, strings), "analysis": job.id}, reason())
    return redirect(url_for("savings.show", cache=cache, job=made.id), 303)


@blueprint.get("/<int:job>")
@requires(Role.VIEWER)
def show(cache: str, job: int) -> ResponseReturnValue:
    """What was measured; as a fragment, what changes while it is being measured."""
    found = job_here(job, "measurement", NAME)
    snapshot = results.snapshot(deck().store, found)
    saving, progress = (snapshot.saving, snapshot.progress) if isinstance(snapshot, SavingSnapshot) else (None, None)
    name = namespace_of(found.arguments)
    context: dict[str, Any] = {
        "job": found,
        "name": name,
        "pattern": printable(pattern_of(from_printable(name))),
        "saving": saving,
        "progress": progress,
        "analysis": found.arguments.get("analysis"),
        "here": url_for("savings.show", cache=cache, job=found.id),
    }
    if saving:
        context |= {
            "verdict": verdict(saving)
            if found.open or not saving.stage
            else f"Not measured to the end: {found.state}.",
            "verdict_of_timed": verdict_of_timed(saving),
            "losses": losses(saving),
            "basis": basis(saving),
            "ways": [
                (label, way, saving.per_key(way), saving.share(way), saving.gain(way), _width(saving, way), words)
                for label, way, words in (
                    ("Strings, as they are", saving.strings, "" if not saving.strings else "one key each"),
                    (f"Hashes of {saving.fields} fields", saving.hashes, held(saving.hashes)),
                    ("Hashes, a TTL on each field", saving.timed, held(saving.timed)),
                )
                if way
            ],
        }
    if wants_fragment():
        return fragment("savings/_live.html", **context)
    return page("savings/page.html", screen="memory", **context)


def _width(saving: Any, way: Any) -> float:
    """Of a bar, in per cent of the longest."""
    longest = max(one.bytes for one in (saving.strings, saving.hashes, saving.timed) if one)
    return round(100 * max(way.bytes, 0) / longest, 2) if longest > 0 else 0.0
