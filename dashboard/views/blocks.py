"""Blocks of a page that are drawn each for itself: one that fails says so in its place, and the others stand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import current_app
from markupsafe import Markup

from dashboard.views.render import Problem

_log = logging.getLogger(__name__)


def block(template: str, context: Callable[[], dict[str, Any]]) -> Markup:
    """A template with what `context` gives; a problem in its place where either fails."""
    try:
        return draw(template, **context())
    except Exception:  # noqa: BLE001 (whatever it is, it is logged, and the rest of the page stands)
        _log.exception("%s cannot be drawn", template)
        problem = Problem("This part of the page cannot be drawn.", "The log of the web process says why.")
        return draw("_problem.html", problem=problem)


def draw(template: str, **context: Any) -> Markup:
    """A template of ours by itself, without the shell's context, which asks the server."""
    # Autoescaped as every template is: what comes out of it is markup.
    return Markup(current_app.jinja_env.get_template(template).render(context))  # noqa: S704
