"""Comparison: what has changed between two analyses of the same keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.analysis.compare import Comparison, Difference, compare
from dashboard.cache.selecting.fold import pattern_of
from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.cache.selecting.selection import Selection, from_query
from dashboard.store import jobs
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.analyses.analyses import KIND, has_result, selection_of
from dashboard.views.analyses.memory import report_of
from dashboard.views.analyses.words import complete, ending, standing
from dashboard.views.deck import deck
from dashboard.views.filters import utc
from dashboard.views.render import page

MOST_LINES = 100  # namespaces; what comes after them changed least

blueprint = Blueprint("comparison", __name__, url_prefix="/caches/<cache>")


@dataclass(frozen=True)
class Line:
    """One difference. left, width: of its bar, in per cent, from the middle to the left where it is negative."""

    difference: Difference
    href: str
    left: float
    width: float
    word: str


@blueprint.get("/comparison")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """The jobs `before` and `after`, in whichever order; without them the two newest complete ones of the selection."""
    current_cache()
    given = [_asked(cache, name) for name in ("before", "after")]
    named = next((job for job in given if job), None)
    selection = (selection_of(named) if named else None) or from_query(request.args)
    kept = [job for job in jobs.newest(deck().store, cache, KIND) if has_result(job) and selection_of(job) == selection]
    if any(job and selection_of(job) != selection for job in given):
        abort(400, "These are analyses of different keys: only two of the same selection can be compared.")
    before, after = _pair(given, kept)
    context: dict[str, Any] = {
        "selection": selection,
        "query": selection.to_query(),
        "before": before,
        "after": after,
        "choices": [(str(job.id), f"{utc(job.created_at)}, by {job.actor}, {standing(job)}") for job in kept],
        "broken": [(job, ending(job)) for job in (before, after) if job and not complete(job)],
        "compared": None,
    }
    if before and after:
        reports = report_of(before), report_of(after)
        if reports[0] is not None and reports[1] is not None:
            context |= _figures(cache, selection, compare(reports[0], reports[1]))
    return page("comparison/page.html", screen="memory", **context)


def _asked(cache: str, name: str) -> Job | None:
    """The job that the URL names; 404 where this cache has no such result."""
    if not request.args.get(name):
        return None
    number = request.args.get(name, type=int)
    job = jobs.get(deck().store, number) if number is not None else None
    if job is None or job.cache != cache or job.kind != KIND:
        abort(404, f"No analysis of {cache} has the number {request.args[name][:20]}. Old ones are forgotten.")
    return job


def _pair(given: list[Job | None], kept: list[Job]) -> tuple[Job | None, Job | None]:
    """(before, after) in the order of time; what is not asked for is the newest other one, complete if there is one."""
    found = [job for job in given if job]
    others = [job for job in kept if job.id not in {one.id for one in found}]
    others.sort(key=complete, reverse=True)  # stable: the newest stay first
    found = sorted((found + others)[:2], key=lambda job: job.created_at)
    return (found[0], found[1]) if len(found) == 2 else (None, found[0] if found else None)


def _figures(cache: str, selection: Selection, compared: Comparison) -> dict[str, Any]:
    # By size and not by certainty: what is missing in one result is uncertain, and may be the largest change of all.
    changed = sorted((one for one in compared.namespaces if not one.unchanged), key=_size, reverse=True)
    return {
        "compared": compared,
        "sized": compared.whole.memory is not None,
        "whole": _lines(cache, selection, [compared.whole, compared.without_ttl]),
        "namespaces": _lines(cache, selection, changed[:MOST_LINES], linked=True),
        "more": max(len(changed) - MOST_LINES, 0),
        "same": len(compared.namespaces) - len(changed),
        "types": _lines(cache, selection, compared.types),
        "ttl": _lines(cache, selection, [one for one in compared.ttl if one.keys.before.value or one.keys.after.value]),
    }


def _lines(
    cache: str, selection: Selection, found: list[Difference] | tuple[Difference, ...], *, linked: bool = False
) -> tuple[Line, ...]:
    deltas = [(one.memory or one.keys).delta.value for one in found]
    longest = max([abs(delta) for delta in deltas] + [1.0])
    lines = []
    for one, delta in zip(found, deltas, strict=True):
        width = round(50 * abs(delta) / longest, 2)
        href = _memory_of(cache, selection, one.name) if linked else ""
        lines.append(Line(one, href, 50 - width if delta < 0 else 50.0, width, _word(one)))
    return tuple(lines)


def _size(one: Difference) -> tuple[float, float]:
    return abs(one.memory.delta.value) if one.memory else 0.0, abs(one.keys.delta.value)


def _memory_of(cache: str, selection: Selection, name: str) -> str:
    pattern = printable(pattern_of(from_printable(name)))
    return url_for("keys.index", cache=cache, **{**dict[str, Any](selection.to_query()), "pattern": pattern})


def _word(one: Difference) -> str:
    if one.kind in ("new", "gone"):
        return one.kind
    if one.unchanged:
        return "the same"
    if not one.certain and one.kind == "both":
        return "no certain change"
    if one.kind == "unlisted":
        return "not listed before" if one.keys.before.value == 0 else "not listed now"
    known = one.memory if one.memory and one.memory.certain else one.keys
    return "less" if known.delta.value < 0 else "more"
