"""The entry, which leads to the first cache's overview, and the health check of the platform."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from dashboard.store.operators import Role
from dashboard.views.access import public, requires
from dashboard.views.deck import deck
from dashboard.views.render import page

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@requires(Role.VIEWER)
def show() -> ResponseReturnValue:
    """The first cache's overview; without a cache, how to configure one."""
    for name in deck().caches:
        return redirect(url_for("overview.show", cache=name), 303)
    return page("home/page.html", screen="")


@blueprint.get("/healthz")
@public
def health() -> ResponseReturnValue:
    """Whether the web process answers. It asks no cache: a cache that is down is no reason to restart us."""
    return {"status": "ok"}
