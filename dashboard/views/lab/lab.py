"""The Lab: caching patterns on the demo's traffic, what they do to it, and all of them compared.

Everything on it comes from the demo's bench by HTTP (dashboard/lab), and is there only where one is configured.
"""

from __future__ import annotations

import time

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from dashboard.lab.errors import LabError
from dashboard.store.operators import Role
from dashboard.views.access import requires
from dashboard.views.lab import charts as lab_charts
from dashboard.views.lab import looks as lab_looks
from dashboard.views.lab.page import page_context
from dashboard.views.render import fragment, page, wants_fragment

blueprint = Blueprint("lab", __name__, url_prefix="/lab")


@blueprint.get("")
@requires(Role.VIEWER)
def show() -> ResponseReturnValue:
    """The page; as a fragment, after a form was sent, all of it but the charts."""
    context = page_context()
    if wants_fragment():
        return fragment("lab/_sent.html", **context)
    return page("lab/page.html", screen="lab", **context)


@blueprint.get("/figures")
@requires(Role.VIEWER, background=True)
def figures() -> ResponseReturnValue:
    """The figures now; and forms and scenarios, where they are others than those on the page (`drawn`)."""
    context = page_context()
    known, drawn = context["state"] is not None, request.args.get("drawn")
    redraw = known and drawn is not None and drawn != context["drawn"]
    answer = fragment("lab/_polled.html", redraw=redraw, **context)
    if known and drawn is None:
        answer.headers["HX-Refresh"] = "true"  # the page was opened while the demo was away, and has no forms
    return answer


@blueprint.get("/samples")
@requires(Role.VIEWER, background=True)
def samples() -> ResponseReturnValue:
    """The charts as JSON; where the demo is away, a sentence that says so instead."""
    seen = lab_looks.seen()
    if isinstance(seen, LabError):
        return jsonify({"now": time.time(), "series": [], "trouble": seen.sentence})
    return jsonify({"now": time.time(), "series": lab_charts.drawn(seen.series)})
