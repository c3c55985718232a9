"""Previews of changes of settings: what the address asks for, and nothing is changed."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.jobs import tuning
from dashboard.jobs.tuning_refused import NothingToChange
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.deck import deck
from dashboard.views.eviction.editor import HAD, touched
from dashboard.views.eviction.preview_page import preview_page, replicas_of, returns_to, wanted_of
from dashboard.views.eviction.setting_changes import change_of

blueprint = Blueprint("setting_previews", __name__, url_prefix="/caches/<cache>/setting-previews")


@blueprint.get("")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """The preview. The form sends all its fields with what they were filled with: that becomes a short address."""
    current_cache()
    sent = request.args.to_dict()
    if any(name.startswith(HAD) for name in sent):
        return _shortened(cache, sent)
    number = returns_to(sent)
    if number is not None and not wanted_of(sent):
        return _back_to(cache, number)
    if not wanted_of(sent):
        return _nothing(cache, "Nothing was changed in the form.")
    try:
        return preview_page(sent)
    except NothingToChange as refused:
        return _nothing(cache, refused.sentence)


def _shortened(cache: str, sent: dict[str, str]) -> ResponseReturnValue:
    wanted = touched(sent)
    if not wanted:
        return _nothing(cache, "Nothing was changed in the form.")
    query: dict[str, str | int] = dict(wanted)
    if replicas_of(sent):
        query["replicas"] = "1"
    if sent.get("act", "") == "try":
        query["act"] = "try"
    number = returns_to(sent)
    if number is not None:
        query["returns_to"] = number
    return redirect(url_for("setting_previews.show", cache=cache, **query), 303)  # type: ignore[arg-type]


def _back_to(cache: str, number: int) -> ResponseReturnValue:
    """To the preview of the state before a change, as the history tells it."""
    change_of(number)
    state = wanted_of(tuning.state_before(deck().store, current_cache(), number))
    if not state:
        return _nothing(cache, f"Change {number} has changed nothing that could be returned to.")
    query: dict[str, str | int] = {**state, "returns_to": number}
    return redirect(url_for("setting_previews.show", cache=cache, **query), 303)  # type: ignore[arg-type]


def _nothing(cache: str, sentence: str) -> ResponseReturnValue:
    flash(sentence, "info")
    return redirect(url_for("eviction.show", cache=cache), 303)
