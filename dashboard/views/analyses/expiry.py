"""Expiry: how long keys still live, what expires when, where too much of it expires at once, and what the rules say."""

from __future__ import annotations

import time

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from dashboard.cache.selecting.selection import from_query
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.analyses.analyses import chosen, job_number, status_context
from dashboard.views.analyses.expiry_figures import figures
from dashboard.views.render import fragment, page, wants_fragment
from dashboard.views.selection_bar import selection_bar

blueprint = Blueprint("expiry", __name__, url_prefix="/caches/<cache>")


@blueprint.get("/expiry")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """The screen for the selection or the job that the URL says; as a fragment, what changes while a job runs."""
    current_cache()
    found = chosen(cache, from_query(request.args), job_number())
    context = status_context(cache, "expiry", found)
    if found.snapshot:
        context |= figures(cache, found.selection, found.snapshot.report, time.time())
    if wants_fragment():
        return fragment("expiry/_live.html", **context)
    return page("expiry/page.html", screen="expiry", bar=selection_bar(found.selection), **context)
