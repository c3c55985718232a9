"""The page between wanting a change of settings and making it: what it does where, and how it is to be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.setting import BY_NAME, BadValue
from dashboard.cache.tuning import node_settings
from dashboard.cache.tuning.trial_rules import WINDOW_SECONDS, Window
from dashboard.jobs import trying, tuning
from dashboard.jobs.tuning import Preview
from dashboard.jobs.tuning_refused import Altered, NothingToChange, Unconfirmed
from dashboard.store import workers
from dashboard.store.errors import StoreError
from dashboard.views.access import current_cache
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.eviction.eviction import form_page
from dashboard.views.eviction.setting_words import Step, set_to, steps, where
from dashboard.views.eviction.trial_form import TrialForm, offered
from dashboard.views.render import page


def wanted_of(sent: Mapping[str, str]) -> dict[str, str]:
    """The settings that an address or a form names."""
    return {name: text for name, text in sent.items() if name in BY_NAME and BY_NAME[name].editable}


def replicas_of(sent: Mapping[str, str]) -> bool:
    return sent.get("replicas", "") == "1"


def returns_to(sent: Mapping[str, str]) -> int | None:
    """The change before which the cache is to be as it was, if that is what is wanted."""
    text = sent.get("returns_to", "")
    return int(text) if text.isdecimal() and len(text) < 16 else None


def preview_page(sent: Mapping[str, str], error: BadField | None = None, status: int = 200) -> Response:
    """Of what `sent` wants; with what was typed into it, and refused (`error`). A value that cannot be meant leads
    back to the form. Raises Refused, CacheError, StoreUnavailable."""
    wanted, replicas = wanted_of(sent), replicas_of(sent)
    try:
        seen = tuning.preview(deck().store, deck().settings, current_cache(), wanted, replicas=replicas)
    except BadValue as bad:
        return form_page(wanted, (bad.name, bad.sentence), status=422)
    form = offered(_lately(), sent)
    return page(
        "setting_previews/page.html",
        screen="eviction",
        tab="pressure",
        status=status,
        sent=sent,
        errors={error.name: error.sentence} if error else {},
        **_context(seen, form, sent),
    )


ASKED_AGAIN = (Unconfirmed, Altered, BadValue, NothingToChange)
"""Why a change or a trial that was seen in its preview is not made, where who asked may mend it."""


def asked_again(sent: Mapping[str, str], why: Exception) -> ResponseReturnValue:
    """What is drawn instead of a change: the preview or the form, with what was refused (one of ASKED_AGAIN)."""
    match why:
        case Unconfirmed():
            return preview_page(sent, BadField("confirmed", "What it would do has to be confirmed."), status=422)
        case Altered():
            return preview_page(sent, BadField("fingerprint", why.sentence), status=409)
        case BadValue():
            return form_page(wanted_of(sent), (why.name, why.sentence), status=422)
        case NothingToChange():
            flash(why.sentence, "info")
            return redirect(url_for("eviction.show", cache=current_cache().name), 303)
    raise why


def _context(seen: Preview, form: TrialForm, sent: Mapping[str, str]) -> dict[str, Any]:
    return {
        "preview": seen,
        "elsewhere": _elsewhere(seen, sent),
        "returns_to": returns_to(sent),
        "steps": steps_of(seen),
        "title": set_to(seen.wanted),
        "where": where(seen.planned),
        "trial": form,
        "tries_first": sent.get("act", "") == "try",
        "worker_lives": _a_worker_lives(),
        "left_out": 0 if seen.replicas else _left_out(),
    }


def steps_of(seen: Preview) -> tuple[Step, ...]:
    return steps((one.node, one, one.now, one.wanted) for one in seen.planned)


def _lately() -> Window | None:
    """What happened in the time that a trial is held against, or in the last minute where that is all there is."""
    name = current_cache().name
    found = (trying.window(deck().store, name, seconds) for seconds in (trying.BASELINE_SECONDS, WINDOW_SECONDS))
    return next((one for one in found if one is not None), None)


def _elsewhere(seen: Preview, sent: Mapping[str, str]) -> dict[str, str]:
    """The query of the same change with the replicas, or without them."""
    more = {name: sent[name] for name in ("returns_to", "act") if sent.get(name)}
    return {**wanted_of(sent), **more, **({} if seen.replicas else {"replicas": "1"})}


def _left_out() -> int:
    """How many replicas keep what they have; 0 where that cannot be told."""
    try:
        return sum(node.name != primary for node, primary in node_settings.nodes_of(current_cache()))
    except CacheError:
        return 0


def _a_worker_lives() -> bool:
    try:
        return workers.alive(deck().store) > 0
    except StoreError:
        return False
