"""What the Lab screen is drawn from: the demo as it was seen last, or why it was not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue

from dashboard.lab.errors import LabError
from dashboard.lab.state import State
from dashboard.views.lab import comparison as lab_comparison
from dashboard.views.lab import form as lab_form
from dashboard.views.lab import looks as lab_looks
from dashboard.views.lab import tiles as lab_tiles
from dashboard.views.lab import words as lab_words
from dashboard.views.lab.charts import IDS, SPAN_SECONDS
from dashboard.views.render import of_lab_error

LENGTHS = (10, 30, 60, 120, 300)
"""Seconds of each pattern in a comparison, as they are offered."""
USUAL_LENGTH = 60
EVERY_SECONDS = 2
NOT_KNOWN = "What the demo does is not known now. This page asks again by itself."


def page_context() -> dict[str, Any]:
    """For page and fragments alike. `state` is None where `problem` says why."""
    seen = lab_looks.seen()
    common = {"charts": IDS, "span": SPAN_SECONDS, "every": EVERY_SECONDS}
    if isinstance(seen, LabError):
        return {**common, "state": None, "problem": of_lab_error(seen), "answer": NOT_KNOWN, "drawn": ""}
    return {**common, **_of(seen)}


def _of(state: State) -> dict[str, Any]:
    done = state.comparison
    preventions = lab_words.offered(state.preventions, lab_words.PREVENTIONS)
    return {
        "state": state,
        "problem": None,
        "answer": lab_words.answer(state),
        "tiles": lab_tiles.tiles(state),
        "patterns": lab_words.offered(state.patterns, lab_words.PATTERNS),
        "preventions": preventions,
        "switches": lab_words.SWITCHES,
        "drawn": fingerprint(state),
        "comparing": bool(done and done.running),
        "figures": lab_comparison.figures(done.rows) if done else (),
        "told": lab_comparison.told,
        "stale_share": lab_comparison.stale_share,
        "label": lab_words.label,
        "shown": lab_form.shown,
        "prevention_options": [("", "as it is set"), *((one.name, one.label) for one in preventions)],
        "lengths": [(str(one), f"{one} s each") for one in LENGTHS],
        "usual_length": str(USUAL_LENGTH),
    }


def fingerprint(state: State) -> str:
    """Of all that forms and scenarios are drawn from: a page whose own is another one draws them anew."""
    comparing = bool(state.comparison and state.comparison.running)
    # Without its times: they are told by our clock, and where the demo has another, no two looks agree on them.
    plays = (state.scenario.name, state.scenario.sentence, state.scenario.ends is not None)
    told = (state.knobs, state.traffic, plays, state.patterns, state.preventions, state.scenarios, comparing)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def seen_now() -> State:
    """The demo as it is, for what is about to change it. Raises LabError."""
    found = lab_looks.seen()
    if isinstance(found, LabError):
        raise found
    return found


def changed(state: State, sentence: str, level: str = "ok") -> ResponseReturnValue:
    """Back to the screen, which shows `state` and says what was done."""
    lab_looks.keep(state)
    return unchanged(sentence, level)


def unchanged(sentence: str, level: str = "info") -> ResponseReturnValue:
    flash(sentence, level)
    return redirect(url_for("lab.show"), 303)


def some(plain: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `plain` whose names are in `names`."""
    return {name: value for name, value in plain.items() if name in names}
