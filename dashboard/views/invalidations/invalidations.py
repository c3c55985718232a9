"""Invalidations: a plan of which keys and how, its approval, its execution; invalidations/page.py has what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.invalidation.mode import BadMode
from dashboard.cache.invalidation.task import BadTell, Task, task_from_query
from dashboard.cache.selecting.selection import MOST_LISTED, BadSelection, Selection, from_query
from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import AlreadyRun, Caller, Standing
from dashboard.jobs.start import until_first_snapshot
from dashboard.store.audit import JSON
from dashboard.store.operators import Role
from dashboard.views.access import address, change, current_cache, current_operator, reason, requires
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.invalidations.form import FIELDS, task_of, typed
from dashboard.views.invalidations.lines import listed
from dashboard.views.invalidations.page import mark, page_context, predictions, standing_of
from dashboard.views.invalidations.room import make_room, room_for
from dashboard.views.job_start import require_typed
from dashboard.views.render import fragment, page, wants_fragment
from dashboard.views.selection_bar import selection_bar
from dashboard.views.ticked import ticked

blueprint = Blueprint("invalidations", __name__, url_prefix="/caches/<cache>/invalidations")

LONGEST_REQUEST = 8 * 1024 * 1024  # bytes of a pasted list: 50,000 names of some 150 bytes


@blueprint.url_value_preprocessor
def _take_long_lists(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Before anything reads the form, which the guard does."""
    if endpoint == "invalidations.create":
        request.max_content_length = request.max_form_memory_size = LONGEST_REQUEST


@blueprint.get("")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """The form, filled in from the query, and what was and is invalidated. As a fragment: the list alone."""
    current_cache()
    if wants_fragment():
        return fragment("invalidations/_list_answer.html", **listed(cache))
    return _index(from_query(request.args))


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Start a plan and lead to it: of a pattern, a pasted list (`keys`), or ticked rows (`key`, tokens)."""
    current_cache().require_writable()
    fields = {name: value for name, value in request.form.items() if value or name == "keys"}
    try:
        chosen = ticked()
        task = Task(chosen) if chosen else task_from_query(fields)
    except BadSelection as error:
        return _index(Selection(), {"listed" if "keys" in fields else "pattern": str(error)}, status=422)
    except (BadMode, BadTell) as error:
        abort(400, str(error))
    made, job = invalidating.make_plan(deck().store, deck().settings, current_cache(), task, caller("page"), reason())
    until_first_snapshot(deck().store, job)
    return to(cache, made.number)


@blueprint.get("/<int:number>")
@requires(Role.VIEWER)
def show(cache: str, number: int) -> ResponseReturnValue:
    """One invalidation from its plan to its undo. As a fragment: what changes while something goes on."""
    standing = standing_of(number)
    if wants_fragment():
        return fragment("invalidations/_live.html", **page_context(standing))
    return page("invalidations/page.html", screen="invalidate", **page_context(standing))


@blueprint.get("/<int:number>/predictions")
@requires(Role.VIEWER)
def predict(cache: str, number: int) -> ResponseReturnValue:
    """What each mode would do with the values that stand beside it, as the form asks while one types."""
    standing = standing_of(number)
    if not wants_fragment() or standing.plan is None:
        return to(cache, number)
    return fragment("invalidations/_effects.html", predictions=predictions(typed(request.args), standing.plan))


@blueprint.post("/<int:number>/task")
@requires(Role.OPERATOR)
def restate(cache: str, number: int) -> ResponseReturnValue:
    """Say anew how a plan is to be done, while it waits for its approval. The keys stay the same."""
    current_cache().require_writable()
    standing = standing_of(number)
    if standing.invalidation.approved_by:
        abort(409, f"Plan {number} is approved as it stands. Make a new plan to do it in another way.")
    try:
        _freeze(standing)
    except BadField as error:
        return _wrong(standing, error)
    flash("It is to be done like this now.", "ok")
    return to(cache, number)


@blueprint.post("/<int:number>/approval")
@requires(Role.OPERATOR)
def approve(cache: str, number: int) -> ResponseReturnValue:
    """Say that a plan of somebody else may be carried out as it stands. Refused where it was changed meanwhile."""
    current_cache().require_writable()
    standing = standing_of(number)
    if request.form.get("seen", "") != mark(standing.task):
        abort(409, "How it is to be done was changed while you looked at it. Look again, and approve it then.")
    invalidating.approve(deck().store, deck().settings, current_cache(), number, caller("page"), seen=standing.task)
    flash("Approved: an operator can carry it out now.", "ok")
    return to(cache, number)


@blueprint.post("/<int:number>/execution")
@requires(Role.OPERATOR)
def execute(cache: str, number: int) -> ResponseReturnValue:
    """Do what was planned, as the form says: the same keys. Once; whoever is second is led to the first."""
    current_cache().require_writable()
    standing = standing_of(number)
    require_typed(current_cache())
    if standing.task.selection.everything and request.form.get("everything", "") != "*":
        abort(400, "This is about every key: type * to say that you mean it.")
    try:
        _freeze(standing)
    except BadField as error:
        return _wrong(standing, error)
    _make_room(standing)
    job = invalidating.execute(
        deck().store,
        deck().settings,
        current_cache(),
        number,
        caller("page"),
        reason(),
        despite_overlap=_despite_overlap(),
    )
    until_first_snapshot(deck().store, job)
    return to(cache, number)


@blueprint.errorhandler(AlreadyRun)
def _already(error: AlreadyRun) -> ResponseReturnValue:
    flash("This plan has been carried out already: this is what came of it.", "warn")
    values = request.view_args or {}
    return to(values["cache"], values["number"])


def caller(source: str) -> Caller:
    """The operator of this request, in whose name the service acts."""
    return Caller(current_operator().name, address(), source)


def to(cache: str, number: int) -> ResponseReturnValue:
    return redirect(url_for("invalidations.show", cache=cache, number=number), 303)


def _freeze(standing: Standing) -> None:
    """Take over how the form says it is to be done, where it says so. Raises BadField, Refused."""
    if standing.invalidation.approved_by or not any(name in request.form for name in FIELDS):
        return  # what was approved is what is done
    if standing.plan is None or standing.run_job is not None:
        return  # the service says why it cannot be carried out
    form = typed(request.form)
    if not room_for(deck().settings, standing.plan).fits:
        choice = request.form.get("vault", "")
        if choice not in ("room", "no"):
            raise BadField("vault", "It does not fit into the vault: choose how it is to be done.")
        form = replace(form, vault=choice == "room")
    task = task_of(form, standing.task)
    if task != standing.task:
        invalidating.restate(
            deck().store, deck().settings, current_cache(), standing.invalidation.number, task, caller("page")
        )


def _make_room(standing: Standing) -> None:
    """Drop the oldest of the vault where that was chosen, and where nothing else stands in the way of the execution."""
    wanted = request.form.get("vault", "") == "room" and standing.state == "planned" and not standing.obstacle
    if not wanted or standing.plan is None or (standing.overlaps and not _despite_overlap()):
        return
    room = room_for(deck().settings, standing.plan)
    if not room.fits:
        with change("vault.drop", room.dropped) as attempt:
            attempt.done(after={"dropped": list[JSON](make_room(deck().settings, room))})


def _despite_overlap() -> bool:
    return request.form.get("despite_overlap", "") == "yes"


def _wrong(standing: Standing, error: BadField) -> Response:
    context = page_context(standing, typed(request.form), error)
    return page("invalidations/page.html", screen="invalidate", status=422, **context)


def _index(selection: Selection, errors: dict[str, str] | None = None, status: int = 200) -> Response:
    """A pattern stands in its field only where one was asked for: an empty field must never become every key."""
    sent = request.form if errors else request.args
    return page(
        "invalidations/index.html",
        screen="invalidate",
        status=status,
        selection=selection,
        query=selection.to_query(),
        pattern=sent.get("pattern", ""),
        listed=sent.get("keys", ""),
        most_listed=MOST_LISTED,
        bar=selection_bar(selection),
        errors=errors or {},
        **listed(current_cache().name),
    )
