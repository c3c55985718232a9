"""The kinds "retime.plan", a dry run, and "retime", which does exactly what its dry run was about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from dashboard.cache.retiming.change import BadChange, Change, change_from_query
from dashboard.cache.retiming.run import Options, plan, retime
from dashboard.cache.retiming.tally import Done, Plan
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.cache.selecting.words import in_words
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.watch import Limits
from dashboard.jobs.kind import Arguments, Kind, Refused, Work
from dashboard.settings import Settings
from dashboard.store.audit import JSON

PLAN, RETIME = "retime.plan", "retime"


def arguments(selection: Selection, change: Change) -> dict[str, Any]:
    """What a job of these kinds is given."""
    return {"selection": selection.to_query(), "change": change.to_query()}


def task_of(given: Arguments) -> tuple[Selection, Change]:
    """Which keys, and what with them. Raises BadSelection, BadChange for what another version has written."""
    return from_query(given.get("selection", {})), change_from_query(given.get("change", {}))


def _start_plan(work: Work, given: Arguments) -> Iterator[Plan]:
    selection, change = _task(given)
    yield from plan(work.cache, selection, change, _options(work.settings))


def _start_retime(work: Work, given: Arguments) -> Iterator[Done]:
    selection, change = _task(given)
    yield from retime(work.cache, selection, change, _options(work.settings))


def _task(given: Arguments) -> tuple[Selection, Change]:
    try:
        return task_of(given)
    except (BadSelection, BadChange) as error:
        raise Refused(str(error), "Start a new dry run.") from error


def _options(settings: Settings) -> Options:
    budget = Budget(hold_ms=settings.walk_hold_ms, share=settings.walk_share, watched=True)
    return Options(budget, Limits(settings.walk_latency_ms, settings.walk_memory_mb * 1024 * 1024))


def _subject(given: Arguments) -> str:
    try:
        selection, change = task_of(given)
    except (BadSelection, BadChange):
        return "keys that this version of Cachedeck cannot select"
    return f"{in_words(selection)}, {change.in_words}"


def _after(done: Done | None) -> JSON:
    """What was done, in numbers, for the audit trail."""
    if done is None:
        return {"changed": 0}
    counts = {"changed": done.changed, "unchanged": done.unchanged, "without_ttl": done.without, "gone": done.gone}
    return {**counts, "refused": done.refused, "unsure": done.unsure}


def _planned(plan: Plan) -> dict[str, int]:
    return {"changed": round(plan.changed.value), "found": round(plan.found.value)}


def _changed(done: Done) -> dict[str, int]:
    return {"changed": done.changed, "found": done.found}


KINDS = (
    Kind(PLAN, "Dry run of a retiming", _start_plan, TypeAdapter(Plan), subject=_subject, counts=_planned),
    # Not started again with a click: what was moved once would be moved twice.
    Kind(
        RETIME,
        "Retiming",
        _start_retime,
        TypeAdapter(Done),
        subject=_subject,
        audits="keys.retime",
        after=_after,
        again=False,
        counts=_changed,
    ),
)
