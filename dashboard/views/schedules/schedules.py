"""Schedules: invalidations that are carried out later, once or again and again. Every change is audited."""

from __future__ import annotations

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.store import schedules
from dashboard.store.audit import JSON
from dashboard.store.operators import Role
from dashboard.store.schedules import MOST, Draft, Schedule, TooManySchedules, UnknownSchedule
from dashboard.views.access import address, change, current_cache, current_operator, reason, requires
from dashboard.views.deck import deck
from dashboard.views.filters import utc
from dashboard.views.invalidations.form import PER_CHOICES
from dashboard.views.job_start import require_typed
from dashboard.views.render import fragment, page, wants_fragment
from dashboard.views.schedules.form import Form, empty, read
from dashboard.views.schedules.lines import lines_of, next_time, task_of, told, when_of
from dashboard.views.selection_bar import selection_bar

blueprint = Blueprint("schedules", __name__, url_prefix="/caches/<cache>/schedules")


@blueprint.get("")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """All schedules of this cache: what comes next stands first."""
    name = current_cache().name
    return page("schedules/index.html", screen="invalidate", lines=lines_of(name), most=MOST)


@blueprint.get("/new")
@requires(Role.OPERATOR)
def new(cache: str) -> ResponseReturnValue:
    """The form, for the keys of the query."""
    current_cache()
    return _form(empty(request.args))


@blueprint.get("/times")
@requires(Role.OPERATOR)
def times(cache: str) -> ResponseReturnValue:
    """When an expression is due, as the form asks while one types."""
    current_cache()
    if not wants_fragment():
        return redirect(url_for("schedules.new", cache=cache), 303)
    return fragment("schedules/_times.html", told=told(request.args.get("cron", "")))


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Add a schedule. 422 with the form where it says nothing sensible."""
    current_cache().require_writable()
    form, wanted = read(request.form)
    if wanted is None:
        return _form(form, 422)
    require_typed(current_cache())
    draft = Draft(
        cache, wanted.task.to_query(), wanted.cron, wanted.next_at, current_operator().name, address(), reason()
    )
    try:
        with change("schedule.add", wanted.task.in_words, reason=reason()) as attempt:
            made = schedules.create(deck().store, draft)
            attempt.done(after={"schedule": made.id, "when": when_of(made)})
    except TooManySchedules as error:
        abort(409, f"{error.sentence} {error.advice}")
    flash(f"Scheduled. It is carried out next at {utc(made.next_at or 0)}.", "ok")
    return _back(cache)


@blueprint.post("/<int:schedule>/enabling")
@requires(Role.OPERATOR)
def enable(cache: str, schedule: int) -> ResponseReturnValue:
    """Let a schedule be carried out again: what it missed meanwhile is not made up for."""
    current_cache().require_writable()
    one = _schedule(schedule)
    require_typed(current_cache())
    next_at = next_time(one)
    if next_at is None:
        abort(409, "Its time is over. Add a new schedule.")
    with change("schedule.enable", _subject(one), _facts(one), reason()) as attempt:
        attempt.done(after=_facts(schedules.enable(deck().store, schedule, next_at)))
    flash(f"Enabled. It is carried out next at {utc(next_at)}.", "ok")
    return _back(cache)


@blueprint.post("/<int:schedule>/disabling")
@requires(Role.OPERATOR)
def disable(cache: str, schedule: int) -> ResponseReturnValue:
    """Let a schedule rest. What it began already goes on, and is paused or cancelled like any other."""
    one = _schedule(schedule)
    with change("schedule.disable", _subject(one), _facts(one), reason()) as attempt:
        attempt.done(after=_facts(schedules.disable(deck().store, schedule)))
    flash("Disabled: it is not carried out until it is enabled again.", "ok")
    return _back(cache)


@blueprint.post("/<int:schedule>/removal")
@requires(Role.OPERATOR)
def remove(cache: str, schedule: int) -> ResponseReturnValue:
    """Take a schedule away."""
    one = _schedule(schedule)
    with change("schedule.remove", _subject(one), _facts(one), reason()) as attempt:
        schedules.remove(deck().store, schedule)
        attempt.done(after={"removed": True})
    flash("Removed 1 schedule. No key was changed.", "ok")
    return _back(cache)


@blueprint.errorhandler(UnknownSchedule)
def _gone(error: UnknownSchedule) -> ResponseReturnValue:
    """Somebody removed it while it was looked at."""
    abort(404, error.sentence)


def _form(form: Form, status: int = 200) -> Response:
    return page(
        "schedules/new.html",
        screen="invalidate",
        status=status,
        form=form,
        bar=selection_bar(form.selection),
        per_choices=PER_CHOICES,
        told=told(form.when.cron),
        vault_hours=deck().settings.vault_hours if deck().settings.vault_mb else 0,
        largest=f"{deck().settings.vault_key_mb} MB",
    )


def _schedule(number: int) -> Schedule:
    """One of the URL's cache: those of other caches do not exist here."""
    found = schedules.get(deck().store, number)
    if found is None or found.cache != current_cache().name:
        abort(404, "There is no such schedule (any more).")
    return found


def _subject(one: Schedule) -> str:
    task = task_of(one)
    return f"schedule {one.id}: {task.in_words}" if task else f"schedule {one.id}"


def _facts(one: Schedule) -> dict[str, JSON]:
    return {"when": when_of(one), "enabled": one.enabled, "by": one.actor}


def _back(cache: str) -> ResponseReturnValue:
    return redirect(url_for("schedules.index", cache=cache), 303)
