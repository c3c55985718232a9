"""The demo as it was seen last, shared by all who watch: a hundred pages ask it no more often than one."""

from __future__ import annotations

from flask import abort, current_app

from dashboard.lab.client import Bench
from dashboard.lab.errors import DemoAway, LabError
from dashboard.lab.state import State
from dashboard.views.deck import deck
from dashboard.views.kept_looks import KeptLooks

FRESH_SECONDS = 0.9  # half of a poll

_EXTENSION = "cachedeck_lab"

Seen = State | LabError


def bench() -> Bench:
    """The demo's bench; 404 where none is configured."""
    url = deck().settings.demo_url
    if not url:
        abort(404, "No demo is configured: CACHEDECK_DEMO_URL names one.")
    return Bench(url)


def seen() -> Seen:
    """What it tells, or why it tells nothing."""
    found = _looks().latest(bench(), _look, FRESH_SECONDS)
    return DemoAway("The demo is being asked.", "This takes two seconds at most.") if found is None else found


def keep(state: State) -> None:
    """What it has told in answer to a change, so that the page after it shows the change."""
    _looks().keep(bench(), state)


def _look(at: Bench) -> Seen:
    try:
        return at.look()
    except LabError as error:
        return error


def _looks() -> KeptLooks[Seen]:
    found = current_app.extensions.setdefault(_EXTENSION, KeptLooks[Seen]())
    assert isinstance(found, KeptLooks)  # noqa: S101  (narrows the type; nobody else writes it)
    return found
