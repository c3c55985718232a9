"""Page, fragment or problem: the one place that decides what a browser gets.

A request by HTMX carries `HX-Request`; whoever asks for a fragment's address without it gets a page
that makes sense. A problem is drawn as a page for a page, and for HTMX as a fragment that lands in
the alerts of the page which is there, so that nothing it shows is lost.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_htmx import HTMX
from werkzeug.exceptions import HTTPException

from dashboard.cache import errors
from dashboard.cache.selecting.key_token import BadToken
from dashboard.cache.selecting.selection import BadSelection
from dashboard.jobs.kind import Refused
from dashboard.lab.errors import LabError
from dashboard.store.errors import StoreError
from dashboard.views.api import problems

API = ("/api/", "/metrics")
"""Here programs ask: a problem is JSON there, also where no route is."""

_log = logging.getLogger(__name__)
htmx = HTMX()


@dataclass(frozen=True)
class Problem:
    """What the templates of a problem draw: two sentences, and the HTTP status they are sent with."""

    sentence: str
    advice: str = ""
    status: int = 500


_STATUS: tuple[tuple[type[errors.CacheError], int], ...] = (
    (errors.ReadOnlyCache, 409),
    (errors.Denied, 409),
    (errors.WrongType, 409),
    (errors.TimedOut, 504),
    (errors.ServerError, 502),
)

_ADVICE = {
    400: "Nothing was changed.",
    403: "Ask an administrator for the role that this needs.",
    404: "It may have been removed or renamed meanwhile.",
    405: "This address is not meant to be opened like that.",
    413: "Send less at once.",
}


def wants_fragment() -> bool:
    """Whether HTMX asks for a part of a page (and not for a whole one, as a boosted link does)."""
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def page(template: str, *, screen: str, status: int = 200, **context: Any) -> Response:
    """A whole page; `screen` is the name by which the navigation marks it."""
    response = make_response(render_template(template, screen=screen, **context), status)
    response.headers["Vary"] = "HX-Request"
    return response


def fragment(template: str, *, status: int = 200, **context: Any) -> Response:
    """A part of a page, as drawn by one template."""
    response = make_response(render_template(template, **context), status)
    response.headers["Vary"] = "HX-Request"
    return response


def problem(what: Problem) -> Response:
    """The answer for something that went wrong, in the form that the request can show."""
    if request.path.startswith(API):
        return problems.answer(problems.problem(what.status, what.sentence, what.advice))
    if wants_fragment():
        response = make_response(render_template("_problem.html", problem=what), what.status)
        response.headers["HX-Retarget"] = "#alerts"
        response.headers["HX-Reswap"] = "innerHTML"
    else:
        response = make_response(render_template("problem/page.html", problem=what, screen=""), what.status)
    response.headers["Vary"] = "HX-Request"
    return response


def of_cache_error(error: errors.CacheError) -> Problem:
    """The problem that a cache's error is for the operator; for a block of a page that may fail alone."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 503)
    return Problem(error.sentence, error.advice, status)


def of_lab_error(error: LabError) -> Problem:
    """The same for an error of the demo."""
    return Problem(error.sentence, error.advice, error.status)


def init_app(app: Flask) -> None:
    htmx.init_app(app)
    app.register_error_handler(errors.CacheError, lambda error: problem(of_cache_error(error)))
    app.register_error_handler(Refused, lambda error: problem(Problem(error.sentence, error.advice, 409)))
    app.register_error_handler(LabError, lambda error: problem(of_lab_error(error)))
    app.register_error_handler(StoreError, lambda error: problem(Problem(error.sentence, error.advice, 503)))
    app.register_error_handler(BadSelection, lambda error: problem(Problem(str(error), status=400)))
    app.register_error_handler(BadToken, lambda error: problem(Problem(str(error), status=404)))
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _unexpected)


def _http_problem(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    sentence = error.description or error.name
    answer = problem(Problem(sentence, _ADVICE.get(status, ""), status))
    original = error.get_response()
    for header in ("Retry-After", "Allow", "WWW-Authenticate"):
        if header in original.headers:
            answer.headers[header] = original.headers[header]
    return answer


def _unexpected(error: Exception) -> ResponseReturnValue:
    """A defect of ours: the log gets the trace, the browser one sentence."""
    current_app.logger.exception("%s %s failed", request.method, request.path, exc_info=error)
    if current_app.config.get("PROPAGATE_EXCEPTIONS"):
        raise error
    return problem(Problem("Cachedeck failed to answer this.", "The log of the web process says why.", 500))
