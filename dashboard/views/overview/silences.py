"""Silences: one rule of the findings, what it says of this cache, and not wanting to hear of it, with a reason.

Operators silence and lift. Nothing of the cache changes; what everybody is told of it does, so every change is audited.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.findings.rule import Rule
from dashboard.cache.findings.rules import BY_ID, findings
from dashboard.jobs.knowing import with_known
from dashboard.jobs.seeing import gather
from dashboard.store import silences
from dashboard.store.audit import JSON
from dashboard.store.operators import Role
from dashboard.store.silences import Silence
from dashboard.views.access import REASON_LIMIT, change, current_cache, current_operator, reason, requires
from dashboard.views.deck import deck
from dashboard.views.finding_list import NEVER_SILENT
from dashboard.views.render import page

blueprint = Blueprint("silences", __name__, url_prefix="/caches/<cache>/silences")

GOOD_FOR: Mapping[str, str] = {"1": "1 day", "7": "7 days", "30": "30 days", "": "until it is lifted"}
USUAL_DAYS = "7"


@dataclass(frozen=True)
class Form:
    """What was typed, and what is wrong with the reason."""

    reason: str = ""
    days: str = USUAL_DAYS
    error: str = ""


@blueprint.get("/<rule>")
@requires(Role.VIEWER)
def show(cache: str, rule: str) -> ResponseReturnValue:
    """What a rule says, from where on, and what it says now; and the form that silences it."""
    return _page(_rule(rule))


@blueprint.post("/<rule>")
@requires(Role.OPERATOR)
def create(cache: str, rule: str) -> ResponseReturnValue:
    """Silence a rule on this cache. 422 with the form where no reason is given."""
    known, name = _rule(rule), current_cache().name
    if rule in NEVER_SILENT:
        abort(409, "Without samples nothing is known of a cache, so that cannot be silenced.")
    form = Form(reason(), request.form.get("days", USUAL_DAYS))
    if form.days not in GOOD_FOR:
        abort(400, "Choose for how long.")
    if not form.reason:
        return _page(known, Form(form.reason, form.days, "Say why, for the next one who wonders."), status=422)
    now = time.time()
    until = now + int(form.days) * 86400 if form.days else None
    before = silences.of_cache(deck().store, name).get(rule)
    with change("finding.silence", rule, _facts(before), form.reason) as attempt:
        made = silences.silence(deck().store, Silence(name, rule, form.reason, current_operator().name, now, until))
        attempt.done(after=_facts(made))
    flash(f"Silenced: {known.says}", "ok")
    return redirect(url_for("overview.show", cache=name), 303)


@blueprint.post("/<rule>/lift")
@requires(Role.OPERATOR)
def lift(cache: str, rule: str) -> ResponseReturnValue:
    """Hear of a rule again."""
    known, name = _rule(rule), current_cache().name
    before = silences.of_cache(deck().store, name).get(rule)
    if before is None:
        flash("It was not silenced any more.", "info")
    else:
        with change("finding.lift", rule, _facts(before), reason()) as attempt:
            silences.lift(deck().store, name, rule)
            attempt.done(after={"lifted": True})
        flash(f"Heard again: {known.says}", "ok")
    return redirect(url_for("overview.show", cache=name), 303)


def _rule(rule: str) -> Rule:
    current_cache()
    known = BY_ID.get(rule)
    if known is None:
        abort(404, "There is no such rule of the findings.")
    return known


def _page(rule: Rule, form: Form | None = None, status: int = 200) -> Response:
    name = current_cache().name
    seen = gather(deck().store, name, time.time(), deck().settings.sample_seconds)
    found = [one for one in findings(with_known(deck().store, name, seen)) if one.rule == rule.id]
    return page(
        "silences/page.html",
        screen="overview",
        status=status,
        rule=rule,
        found=found,
        silence=silences.of_cache(deck().store, name).get(rule.id),
        silenceable=rule.id not in NEVER_SILENT,
        form=form or Form(),
        good_for=tuple(GOOD_FOR.items()),
        reason_limit=REASON_LIMIT,
    )


def _facts(silence: Silence | None) -> dict[str, JSON]:
    """What the audit trail keeps of a silence."""
    if silence is None:
        return {"silenced": False}
    return {"silenced": True, "reason": silence.reason, "by": silence.actor, "until": silence.until}
