"""Trials: settings for a bounded time. Started from a preview, watched, ended before their time, or kept."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.jobs import trying
from dashboard.jobs.tuning_refused import Busy, HasEnded, NotStarted
from dashboard.store.operators import Role
from dashboard.store.trials import OneIsOpen, Trial
from dashboard.views.access import current_cache, reason, requires
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.eviction.preview_page import ASKED_AGAIN, asked_again, preview_page, replicas_of, wanted_of
from dashboard.views.eviction.setting_changes import caller
from dashboard.views.eviction.trial_form import asked_for
from dashboard.views.eviction.trial_page import trial_context, trial_of
from dashboard.views.job_start import require_typed
from dashboard.views.render import fragment, page, wants_fragment

blueprint = Blueprint("trials", __name__, url_prefix="/caches/<cache>/trials")


@blueprint.post("")
@requires(Role.ADMIN)
def create(cache: str) -> ResponseReturnValue:
    """Start a trial of what was seen in its preview."""
    require_typed(current_cache(), "settings")
    sent = {**request.form.to_dict(), "act": "try"}
    try:
        seconds, guards = asked_for(sent)
        made = trying.start(
            deck().store,
            deck().settings,
            current_cache(),
            wanted_of(sent),
            seconds,
            guards,
            caller(),
            reason(),
            replicas=replicas_of(sent),
            fingerprint=sent.get("fingerprint", ""),
            confirmed=sent.get("confirmed", "") == "yes",
        )
    except BadField as error:
        return preview_page(sent, error, status=422)
    except ASKED_AGAIN as why:
        return asked_again(sent, why)
    except OneIsOpen as refused:
        abort(409, f"{refused.sentence} {refused.advice}".strip())
    except NotStarted as refused:
        flash(f"{refused.sentence} {refused.advice}", "bad")
        return redirect(url_for("setting_changes.index", cache=cache), 303)
    return _to(made)


@blueprint.get("/<int:number>")
@requires(Role.VIEWER)
def show(cache: str, number: int) -> ResponseReturnValue:
    """One trial from its start to its comparison. As a fragment: what changes while it is open."""
    trial = _trial(number)
    context = trial_context(trial)
    if wants_fragment():
        return fragment("trials/_live.html", **context)
    if trial.purpose == "notifications":
        return page("trials/page.html", screen="events", tab="notifications", **context)
    return page("trials/page.html", screen="eviction", tab="history", **context)


@blueprint.post("/<int:number>/end")
@requires(Role.ADMIN)
def end(cache: str, number: int) -> ResponseReturnValue:
    """Go back now. Nothing is typed for it on production either: it is the way out."""
    return _ended(_trial(number), keep=False)


@blueprint.post("/<int:number>/keep")
@requires(Role.ADMIN)
def keep(cache: str, number: int) -> ResponseReturnValue:
    """Let the settings stay."""
    _trial(number)
    require_typed(current_cache(), "settings")
    return _ended(_trial(number), keep=True)


def _ended(trial: Trial, *, keep: bool) -> ResponseReturnValue:
    said = reason()
    why = f"{'Kept' if keep else 'Taken back'} by {caller().name}: {said}" if said else ""
    try:
        trying.end(deck().store, deck().settings, current_cache(), trial.number, caller(), keep=keep, why=why)
    except (Busy, HasEnded) as refused:
        flash(refused.sentence, "info")
    return _to(trial)


def _trial(number: int) -> Trial:
    found = trial_of(number)
    if found is None:
        abort(404, f"{current_cache().name} has no trial {number}.")
    return found


def _to(trial: Trial) -> ResponseReturnValue:
    return redirect(url_for("trials.show", cache=trial.cache, number=trial.number), 303)
