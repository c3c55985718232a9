"""/api/v1: invalidations for programs. The rules are those of the pages (jobs/invalidating.py)."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.invalidation.task import Task
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.servers.connect import Cache
from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import AlreadyRun, NeedsApproval, NothingToDo, Standing
from dashboard.jobs.kind import Refused
from dashboard.store import invalidations, jobs
from dashboard.store.errors import StoreError
from dashboard.store.invalidations import Repeated
from dashboard.store.operators import Role
from dashboard.views.access import by_token
from dashboard.views.api import asked, waiting
from dashboard.views.api.asked import Repeatable
from dashboard.views.api.document import document
from dashboard.views.api.models import Execution, NewInvalidation, Undo
from dashboard.views.api.problems import Stopped, answer, code_of, of_refused, of_stopped, problem
from dashboard.views.api.told import told
from dashboard.views.bearer import current_token
from dashboard.views.deck import deck
from dashboard.views.render import of_cache_error

PLAN_SECONDS = 10.0  # after which a plan is stopped, and binds as the estimate that it is by then
STOP_SECONDS = 5.0
BUSY_SECONDS = 2

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.record
def _set_up(state: BlueprintSetupState) -> None:
    waiting.init_app(state.app.extensions)


@blueprint.get("/openapi.json")
@by_token(Role.VIEWER)
def openapi() -> ResponseReturnValue:
    """What this API is, for programs that write clients."""
    return {**document(), "servers": [{"url": f"{request.script_root}{blueprint.url_prefix}"}]}


@blueprint.post("/invalidations")
@by_token(Role.OPERATOR)
def create() -> ResponseReturnValue:
    """Plan an invalidation and, unless it is a dry run, carry it out at once. 201, with how it stands.

    Repeated with the same Idempotency-Key and body it is the same one, which goes on where it stood.
    """
    wanted, wait = asked.body(NewInvalidation), asked.wait()
    cache, task = asked.cache_of(wanted.cache), asked.task_of(wanted)
    asked.permit(task.selection)
    if not wanted.dry_run:
        cache.require_writable()
    with waiting.place() as may_wait:
        if not may_wait and not wanted.dry_run:
            raise Stopped(
                problem(503, "Too many requests are being waited for.", "Repeat it.", code="busy"), BUSY_SECONDS
            )
        number, repeated = _made(cache, task, wanted)
        _wait_for(number, wait if may_wait else 0.0)
    response = _answer(_standing(number), 201)
    response.headers["Location"] = url_for("api.show", number=number)
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return response


@blueprint.get("/invalidations/<int:number>")
@by_token(Role.VIEWER)
def show(number: int) -> ResponseReturnValue:
    """How an invalidation stands; `wait` holds the answer back until what goes on has ended."""
    wait = asked.wait()
    _permitted(number)
    _wait_in_place(number, wait)
    return _answer(_standing(number))


@blueprint.post("/invalidations/<int:number>/execution")
@by_token(Role.OPERATOR)
def execute(number: int) -> ResponseReturnValue:
    """Carry a plan out, once."""
    wanted, wait = asked.body(Execution), asked.wait()
    cache = _permitted(number)
    store, settings = deck().store, deck().settings
    invalidating.execute(store, settings, cache, number, asked.caller(), wanted.reason, wanted.despite_overlap)
    _wait_in_place(number, wait)
    return _answer(_standing(number), 202)


@blueprint.post("/invalidations/<int:number>/undo")
@by_token(Role.OPERATOR)
def undo(number: int) -> ResponseReturnValue:
    """Bring back what an invalidation has touched, or a part of it."""
    wanted, wait = asked.body(Undo), asked.wait()
    pattern = printable(asked.glob_of(wanted.pattern, "/pattern"))
    cache = _permitted(number)
    invalidating.undo(deck().store, deck().settings, cache, number, asked.caller(), wanted.reason, pattern)
    _wait_in_place(number, wait)
    return _answer(_standing(number), 202)


@blueprint.errorhandler(Stopped)
def _stopped(error: Stopped) -> ResponseReturnValue:
    return of_stopped(error)


@blueprint.errorhandler(Refused)
def _refused(error: Refused) -> ResponseReturnValue:
    return answer(of_refused(error))


@blueprint.errorhandler(CacheError)
def _cache_error(error: CacheError) -> ResponseReturnValue:
    drawn = of_cache_error(error)
    return answer(problem(drawn.status, drawn.sentence, drawn.advice, code=code_of(type(error))))


@blueprint.errorhandler(StoreError)
def _store_error(error: StoreError) -> ResponseReturnValue:
    return answer(problem(503, error.sentence, error.advice, code=code_of(type(error))))


# --- one invalidation from request to execution ---------------------------------------------------------------------


def _made(cache: Cache, task: Task, wanted: NewInvalidation) -> tuple[int, bool]:
    """(number, whether it was asked for before) of an invalidation that has gone as far as it may by itself."""
    repeatable = asked.repeatable(wanted)
    before = None
    if repeatable.key is not None:
        before = invalidations.asked_before(deck().store, current_token().id, repeatable.key)
    if before is None:
        try:
            return _begun(cache, task, wanted, repeatable), False
        except Repeated as error:  # by a moment
            before = error.invalidation
    if before.fingerprint != repeatable.fingerprint:
        raise Stopped(
            problem(
                422,
                "This Idempotency-Key was used for another request.",
                "Take a new key for a new request.",
                code="idempotency_key_reused",
                invalidation=before.number,
            )
        )
    if not wanted.dry_run:
        _execute_when_planned(cache, before.number, wanted)
    return before.number, True


def _begun(cache: Cache, task: Task, wanted: NewInvalidation, repeatable: Repeatable) -> int:
    """Raises Repeated."""
    wish = deck().store, deck().settings, cache, task, asked.caller(), wanted.reason
    key, fingerprint = repeatable.key, repeatable.fingerprint
    if task.selection.keys is not None and not wanted.dry_run:
        try:
            made, _ = invalidating.at_once(
                *wish, idempotency=key, fingerprint=fingerprint, despite_overlap=wanted.despite_overlap
            )
        except NeedsApproval as error:
            if error.number is not None:
                return error.number  # its plan waits
        else:
            return made.number
    made, _ = invalidating.make_plan(*wish, idempotency=key, fingerprint=fingerprint)
    if not wanted.dry_run:
        _execute_when_planned(cache, made.number, wanted)
    return made.number


def _execute_when_planned(cache: Cache, number: int, wanted: NewInvalidation) -> None:
    """Carry it out as soon as its plan says enough, if nobody has to approve it first and there is anything to do."""
    standing = _standing(number)
    if standing.run_job is not None:
        return
    if standing.plan_job is not None and standing.plan_job.open:
        _end_plan(standing.plan_job.id)
    store, settings = deck().store, deck().settings
    try:
        invalidating.execute(store, settings, cache, number, asked.caller(), despite_overlap=wanted.despite_overlap)
    except (NeedsApproval, NothingToDo, AlreadyRun):  # the last: the same request, sent twice at once
        return
    except Refused as error:
        raise Stopped(of_refused(error, number)) from error


def _end_plan(plan_job: int) -> None:
    """Return when a plan has ended; one that takes long is stopped."""
    store = deck().store
    waiting.until_ended(store, plan_job, PLAN_SECONDS)
    job = jobs.get(store, plan_job)
    if job is not None and job.open:
        jobs.request_cancel(store, plan_job)
        waiting.until_ended(store, plan_job, STOP_SECONDS)


# --- answers --------------------------------------------------------------------------------------------------------


def _permitted(number: int) -> Cache:
    """The cache of an invalidation, if this token may name its keys. Raises Stopped."""
    standing = _standing(number)
    cache = asked.cache_of(standing.invalidation.cache)
    asked.permit(standing.task.selection)
    return cache


def _standing(number: int) -> Standing:
    standing = invalidating.current(deck().store, deck().settings, number)
    if standing is None:
        raise Stopped(problem(404, f"There is no invalidation {number}.", "Old ones are forgotten."))
    return standing


def _wait_in_place(number: int, seconds: float) -> None:
    """Wait if there is a place for it; the answer says how far it has got in either case."""
    if seconds:
        with waiting.place() as may_wait:
            _wait_for(number, seconds if may_wait else 0.0)


def _wait_for(number: int, seconds: float) -> None:
    job = _standing(number).job
    if seconds and job is not None and job.open:
        waiting.until_ended(deck().store, job.id, seconds)


def _answer(standing: Standing, status: int = 200) -> Response:
    return Response(told(standing).model_dump_json(), status, mimetype="application/json")
