"""What the page of one invalidation says, from its plan to its undo: figures and sentences for its templates."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from flask import abort, url_for

from dashboard.cache.invalidation.report import Plan, Undone
from dashboard.cache.invalidation.task import Outline, Task
from dashboard.cache.selecting.words import in_words
from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import Standing
from dashboard.jobs.resuming import why_not
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, current_operator, may
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.invalidations import words as words_of
from dashboard.views.invalidations.figures import expiry_columns, figures
from dashboard.views.invalidations.form import MODES, PER_CHOICES, Typed, mode_of, of_task
from dashboard.views.invalidations.room import room_for
from dashboard.views.jobs import job_words

LEVELS = {
    "planning": "info",
    "planned": "ok",
    "waits for approval": "warn",
    "expired": "quiet",
    "running": "info",
    "paused": "warn",
    "interrupted": "warn",
    "done": "ok",
    "failed": "bad",
    "cancelled": "quiet",
    "undoing": "info",
    "undone": "quiet",
}
WAITING_SECONDS = 3
"""A page on which nothing runs, but an approval is waited for, looks so often."""


@dataclass(frozen=True)
class Prediction:
    """What a mode would do. wrong: what is wrong with the value beside it, "" where nothing is."""

    sentence: str = ""
    wrong: str = ""


@dataclass(frozen=True)
class Undo:
    """One undo. pattern: printable. said: what has come of it, "" before its first figures."""

    job: Job
    shown: job_words.Shown
    found: Undone | None
    pattern: str
    said: str


def standing_of(number: int) -> Standing:
    """An invalidation of the URL's cache: one of another cache does not exist here."""
    name = current_cache().name
    found = invalidating.current(deck().store, deck().settings, number)
    if found is None or found.invalidation.cache != name:
        abort(404, f"{name} has no invalidation {number}. Old ones are forgotten.")
    return found


def mark(task: Task) -> str:
    """A mark of how a plan is to be done, so that an approval is of what was seen."""
    text = json.dumps(task.to_query(), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def predictions(form: Typed, plan: Plan) -> dict[str, Prediction]:
    """What each mode would do with the value that stands beside it in the form."""
    found = {}
    for name in MODES:
        try:
            found[name] = Prediction(words_of.predicted(mode_of(form, name), plan))
        except BadField as error:
            found[name] = Prediction(wrong=error.sentence)
    return found


def page_context(standing: Standing, form: Typed | None = None, error: BadField | None = None) -> dict[str, Any]:
    """Everything that the page draws. form, error: what was sent and refused."""
    made, task, plan = standing.invalidation, standing.task, standing.plan
    job = standing.job
    waits = standing.state == "waits for approval"
    return {
        "standing": standing,
        "number_of": made.number,
        "title": f"Invalidate: plan {made.number}" if standing.run_job is None else f"Invalidation {made.number}",
        "inv": made,
        "task": task,
        "selection": task.selection,
        "words": in_words(task.selection),
        "how_words": how(task),
        "query": task.selection.to_query(),
        "again": task.to_query(),
        "state": standing.state,
        "level": LEVELS[standing.state],
        "job": job,
        "one": job_words.several([job])[0] if job else None,
        "here": url_for("invalidations.show", cache=made.cache, number=made.number),
        "polls": 1 if job and job.open else WAITING_SECONDS if waits else 0,
        "plan": plan,
        "run_job": standing.run_job,
        "errors": {error.name: error.sentence} if error else {},
        **(_plan_context(standing, plan, form) if plan else {}),
        **(_run_context(standing) if standing.run_job else {}),
    }


def how(task: Task | Outline) -> str:
    """`removed at once, kept in the vault, invalidate is told`."""
    kept = ", kept in the vault" if task.vault else ", without undo"
    return f"{task.mode.in_words}{kept}{f', {task.tell.channel} is told' if task.tell else ''}"


def _plan_context(standing: Standing, plan: Plan, form: Typed | None) -> dict[str, Any]:
    made, waits = standing.invalidation, standing.state == "waits for approval"
    form = form or of_task(standing.task)
    return {
        "how_planned": words_of.planned(plan),
        "subject_said": words_of.subject(plan),
        "interval_of": words_of.interval(plan.report.keys),
        "planned_said": f"{words_of.about(plan.report.keys)}, {words_of.planned(plan)}",
        "effect_said": words_of.effect(plan.effect) if plan.report.keys.high else "",
        "basis_said": words_of.sentence(plan.effect.basis),
        "figures": figures(made.cache, plan),
        "form": form,
        "per_choices": PER_CHOICES,
        "predictions": predictions(form, plan),
        "room": room_for(deck().settings, plan),
        "obstacle": "" if waits else standing.obstacle,
        "exactly": _named_exactly(standing.task) if not plan.report.keys.high else None,
        "waits": waits,
        "approved": bool(made.approved_by),
        "executable": waits or (standing.state == "planned" and not standing.obstacle),
        "may_approve": may(Role.OPERATOR) and current_operator().name != made.actor,
        "may_restate": current_operator().name == made.actor,
        "task_mark": mark(standing.task),
        "overlaps": [_overlap(other) for other in standing.overlaps],
    }


def _named_exactly(task: Task) -> dict[str, str] | None:
    """The same task of the key that is named as the pattern is written; None where a name hardly looks like that."""
    pattern = task.selection.pattern
    if task.selection.keys is not None or not (b"[" in pattern or b"\\" in pattern):
        return None
    keys = replace(task.selection, pattern=b"*", keys=(pattern,))
    return replace(task, selection=keys).to_query()


def _overlap(other: Job) -> dict[str, str]:
    shown = job_words.several([other])[0]
    href = shown.links[0][0] if shown.links else url_for("jobs.show", cache=other.cache, job=other.id)
    return {"words": f"job {other.id}, {shown.title[:1].lower()}{shown.title[1:]} of {shown.subject}", "href": href}


def _run_context(standing: Standing) -> dict[str, Any]:
    task, done, run = standing.task, standing.done, standing.run_job
    assert run is not None  # noqa: S101  (narrows the type; the caller has looked)
    ended = not run.open
    entry = standing.entry if standing.entry and standing.entry.keys else None
    expiry = expiry_columns(done) if done else None
    return {
        "done": done,
        "done_said": words_of.done(done.counts, task.mode, ended) if done else "",
        "drift_said": words_of.drift(standing.plan.report.keys, done.counts.found, run.state == "finished")
        if done and standing.plan
        else "",
        "receivers_said": words_of.receivers(done.counts, task.tell.channel) if done and task.tell else "",
        "expiry": expiry[0] if expiry else None,
        "expiry_width": expiry[1] if expiry else 0.0,
        "expiry_said": expiry[2] if expiry else "",
        "undos": [_undo(job, found) for job, found in standing.undos],
        "entry": entry,
        "undoable": entry is not None and not run.open,
        "undo_gone": "" if entry or not task.vault else "The vault does not hold these keys any more.",
        "undo_most": _most_back(standing),
        "undo_pattern": "*",
        "resumable": standing.job is not None and not why_not(deck().store, standing.job),
    }


def _most_back(standing: Standing) -> int:
    """How many keys an undo may bring back. What was killed has counted less than it did; the vault has all of it."""
    kept, run, done = standing.entry.keys if standing.entry else 0, standing.run_job, standing.done
    if run is None or done is None or run.state == "interrupted":
        return kept
    return min(kept, done.counts.done + done.counts.unsure)


def _undo(job: Job, found: Undone | None) -> Undo:
    pattern = str(job.arguments.get("pattern", "*"))
    said = words_of.undone(found, not job.open) if found else ""
    return Undo(job, job_words.several([job])[0], found, pattern, said)
