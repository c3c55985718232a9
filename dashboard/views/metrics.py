"""/metrics for Prometheus, by a token: a viewer's will do. A token of one cache is told of that cache only."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from dashboard import __version__
from dashboard.jobs.metrics import exposition
from dashboard.store.operators import Role
from dashboard.views.access import by_token
from dashboard.views.bearer import current_token
from dashboard.views.deck import deck

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@by_token(Role.VIEWER)
def show() -> ResponseReturnValue:
    only, accept = current_token().cache, request.headers.get("Accept", "")
    text, content_type = exposition(deck().store, deck().settings, __version__, only, accept)
    return Response(text, content_type=content_type)
