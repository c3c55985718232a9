"""Messages to the applications: who could hear one, who received it, and who has acknowledged it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.listeners.client_list import Client
from dashboard.cache.messages import words as publishing_words
from dashboard.cache.messages.acknowledging import MOST_KEPT
from dashboard.cache.messages.audience import Audience, audience
from dashboard.cache.messages.draft import CHANNEL_LIMIT, MOST_BYTES, BadDraft
from dashboard.cache.messages.publishing import Publication
from dashboard.jobs import results
from dashboard.jobs.caller import Caller
from dashboard.jobs.kind import Work
from dashboard.jobs.publish_job import NAME
from dashboard.jobs.publishing import publish_aside
from dashboard.jobs.start import until_first_snapshot
from dashboard.store import jobs
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.views.access import address, current_cache, current_operator, reason, requires
from dashboard.views.deck import deck
from dashboard.views.job_here import job_here
from dashboard.views.job_start import require_typed
from dashboard.views.jobs import job_words
from dashboard.views.listening.message_form import WAITS, Typed, channel_of, draft_of, typed
from dashboard.views.render import Problem, fragment, of_cache_error, page, wants_fragment

blueprint = Blueprint("messages", __name__, url_prefix="/caches/<cache>/messages")

LISTED = 10
NAMED = 50  # clients that the form names
LONGEST_REQUEST = 3 * MOST_BYTES + 1024 * 1024  # a byte takes three where the browser has to encode it


@dataclass(frozen=True)
class Hearers:
    """Who could hear a message of the form's channel. lines: sentences; clients: the first of them by name."""

    lines: tuple[str, ...] = ()
    found: Audience | None = None
    clients: tuple[Client, ...] = ()
    problem: Problem | None = None


@blueprint.url_value_preprocessor
def _take_large_messages(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Before anything reads the form, which the guard does."""
    if endpoint == "messages.create":
        request.max_content_length = request.max_form_memory_size = LONGEST_REQUEST


@blueprint.get("/new")
@requires(Role.OPERATOR)
def new(cache: str) -> ResponseReturnValue:
    """The form, filled in from the query. As a fragment: who could hear a message of the channel in its fields."""
    form = typed(request.args)
    if wants_fragment():
        return fragment("messages/_audience.html", hearers=_hearers(form), form=form)
    return _form(form)


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Publish what the form says, and lead to what becomes of it."""
    current_cache().require_writable()
    form = typed(request.form)
    try:
        draft = draft_of(form)
    except BadDraft as error:
        return _form(form, error, status=422)
    require_typed(current_cache(), "applications' copies")
    work = Work(current_cache(), deck().settings, deck().store)
    caller = Caller(current_operator().name, address(), "page")
    job = until_first_snapshot(deck().store, publish_aside(work, draft, float(form.wait), caller, reason()))
    return redirect(url_for("messages.show", cache=cache, job=job.id), 303)


@blueprint.get("/<int:job>")
@requires(Role.OPERATOR)
def show(cache: str, job: int) -> ResponseReturnValue:
    """What became of a message; as a fragment, what changes while acknowledgements are waited for."""
    context = _context(job_here(job, "message", NAME))
    if wants_fragment():
        return fragment("messages/_live.html", **context)
    return page("messages/page.html", screen="events", tab="publish", **context)


def _context(job: Job) -> dict[str, Any]:
    seen = results.snapshot(deck().store, job)
    context: dict[str, Any] = {
        "job": job,
        "one": job_words.several([job])[0],
        "here": url_for("messages.show", cache=job.cache, job=job.id),
        "channel": str(job.arguments.get("channel", "")),
        "sharded": job.arguments.get("sharded") is True,
        "what": str(job.arguments.get("what", "")),
        "sent": None,
        "answer": "It is being published." if job.open else "It was not published.",
    }
    if not isinstance(seen, Publication):
        return context
    return context | {
        "sent": seen,
        "answer": publishing_words.answer(seen),
        "received": publishing_words.received_note(seen),
        "besides": list(publishing_words.came_besides(seen)),
        "before": list(publishing_words.audience_lines(seen.before)),
        "unknown": publishing_words.UNKNOWN,
        "most": MOST_KEPT,
    }


def _form(form: Typed, error: BadDraft | None = None, status: int = 200) -> Response:
    why_not, sharded = _allowed()
    found = jobs.newest(deck().store, current_cache().name, NAME, LISTED)
    return page(
        "messages/new.html",
        screen="events",
        status=status,
        tab="publish",
        form=form,
        errors={error.field: str(error)} if error else {},
        why_not=why_not,
        has_sharded=sharded,
        hearers=_hearers(form),
        waits=WAITS,
        channel_limit=CHANNEL_LIMIT,
        sent=[(one, _said(one.job)) for one in job_words.several(found)],
    )


def _allowed() -> tuple[str, bool]:
    """Why nothing can be published here, "" where it can; and whether there are sharded channels."""
    cache = current_cache()
    if cache.target.read_only:
        return f"Cachedeck holds {cache.name} read-only, so nothing is published from here.", False
    try:
        can = cache.capabilities()
    except CacheError:
        return "", False  # the audience says why, and to try does no harm
    why_not = can.why_not("PUBLISH")
    return (f"It cannot be published here. {why_not}." if why_not else ""), can.can("SPUBLISH")


def _hearers(form: Typed) -> Hearers:
    channel = channel_of(form)
    if not 0 < len(channel) <= CHANNEL_LIMIT:
        return Hearers(("Name a channel to see who could hear it.",))
    try:
        found, clients = audience(current_cache(), channel, sharded=form.sharded)
    except CacheError as error:
        return Hearers(problem=of_cache_error(error))
    return Hearers(tuple(publishing_words.audience_lines(found)), found, clients[:NAMED])


def _said(job: Job) -> str:
    seen = results.snapshot(deck().store, job)
    return publishing_words.answer(seen) if isinstance(seen, Publication) else ""
