"""Problems of the API: one shape for all, application/problem+json (RFC 9457), whoever finds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

from flask import Response
from pydantic import ValidationError

from dashboard.jobs import invalidating
from dashboard.jobs.kind import Refused
from dashboard.views.api.models import FieldError, Problem

TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[Refused], int], ...] = (
    (invalidating.NoSuchInvalidation, 404),
    (invalidating.NotYours, 403),
)  # every other refusal is a conflict with how things stand: 409


class Stopped(Exception):
    """A request ends with this problem. retry_after: seconds."""

    def __init__(self, problem: Problem, retry_after: int | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after = retry_after


def problem(
    status: int,
    detail: str,
    advice: str = "",
    *,
    code: str = "",
    errors: Sequence[FieldError] = (),
    allowed: Sequence[str] = (),
    invalidation: int | None = None,
    jobs: Sequence[int] = (),
) -> Problem:
    """A problem; its title is that of the status, and so is its code where none is given: not_found, bad_request."""
    title = HTTPStatus(status).phrase
    return Problem(
        type="about:blank",
        title=title,
        status=status,
        code=code or _snake(title),
        detail=detail,
        advice=advice,
        errors=list(errors),
        allowed=list(allowed),
        invalidation=invalidation,
        jobs=list(jobs),
    )


def answer(what: Problem) -> Response:
    return Response(what.model_dump_json(), what.status, content_type=TYPE)


def of_stopped(error: Stopped) -> Response:
    response = answer(error.problem)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def of_refused(error: Refused, number: int | None = None) -> Problem:
    """What the rules refuse. number: the invalidation that stands all the same."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 409)
    jobs = list(error.jobs) if isinstance(error, invalidating.Overlaps) else []
    if isinstance(error, invalidating.AlreadyRun | invalidating.Busy) and error.job:
        jobs = [error.job]
    return problem(
        status,
        error.sentence,
        error.advice,
        code=code_of(type(error)),
        invalidation=number,
        jobs=[job.id for job in jobs],
    )


def of_validation(error: ValidationError, what: str = "The body") -> Problem:
    """What pydantic found. No value that was sent is repeated: it may be anything."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in found):
        return problem(400, "The body is no JSON.", code="no_json")
    errors = [FieldError(pointer=_pointer(one["loc"]), detail=one["msg"]) for one in found[:20]]
    return problem(422, f"{what} is not understood.", "See errors, and openapi.json.", code="invalid", errors=errors)


def invalid(detail: str, pointer: str = "") -> Stopped:
    """Something that the models alone cannot see."""
    return Stopped(problem(422, detail, code="invalid", errors=[FieldError(pointer=pointer, detail=detail)]))


def _pointer(place: Sequence[int | str]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def code_of(kind: type[Exception]) -> str:
    return _snake(kind.__name__)


def _snake(name: str) -> str:
    """NeedsApproval and Needs Approval: needs_approval."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[ \-']+", "_", name).lower()
