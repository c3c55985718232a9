"""Keyspace notifications: which are on, what each costs, and switching some on for a bounded time.

What is switched on is taken back as a trial is (jobs/trying.py): by the worker at the deadline, or sooner from the page
to which the banner leads.
"""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.notifications.flags import CLASSES, ORDER, WHERE, all_flags
from dashboard.jobs import notifying
from dashboard.jobs.kind import Refused, Work
from dashboard.store.operators import Role
from dashboard.store.trials import OneIsOpen
from dashboard.views.access import current_cache, reason, requires
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.duration_input import BadDuration, parse_duration
from dashboard.views.eviction.setting_changes import caller
from dashboard.views.job_start import require_typed
from dashboard.views.listening.notification_page import LONGEST, OFFERED, SHORTEST, Asked, page_context, totals
from dashboard.views.render import fragment, page, wants_fragment

blueprint = Blueprint("notifications", __name__, url_prefix="/caches/<cache>/notifications")


@blueprint.get("")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """What is on, and the form; `flags` are ticked in it, so that other screens can say what they lack. As a fragment:
    what these would cost."""
    asked = Asked(_letters(request.args.getlist("flags")))
    if wants_fragment():
        return fragment("notifications/_total.html", total=totals(current_cache(), asked.flags) if asked.flags else "")
    return _page(asked)


@blueprint.post("")
@requires(Role.ADMIN)
def create(cache: str) -> ResponseReturnValue:
    """Switch `flags` on, on every primary and besides those that are on, `for` a time."""
    current_cache().require_writable()
    require_typed(current_cache(), "settings")
    asked = Asked(_letters(request.form.getlist("flags")), request.form.get("for", "").strip(), reason())
    work = Work(current_cache(), deck().settings, deck().store)
    try:
        seconds = _seconds(asked.lasts)
        _require_both(work, asked.flags)
        made = notifying.switch_on(
            work, "".join(sorted(asked.flags)), seconds, caller(), asked.reason, purpose="notifications"
        )
    except BadField as bad:
        return _page(asked, bad, status=422)
    except Refused as refused:
        return _page(asked, BadField("", f"{refused.sentence} {refused.advice}".strip()), status=409)
    except OneIsOpen as refused:
        return _page(asked, BadField("", f"{refused.sentence} {refused.advice}".strip()), status=409)
    if made is None:
        flash("These are on already, on every primary: nothing was changed.", "info")
    return redirect(url_for("notifications.show", cache=cache), 303)


def _page(asked: Asked, error: BadField | None = None, status: int = 200) -> ResponseReturnValue:
    context = page_context(current_cache(), asked, error)
    return page("notifications/page.html", screen="events", tab="notifications", status=status, **context)


def _letters(sent: Iterable[str]) -> frozenset[str]:
    """Flags of which each may be sent by itself, or several as the setting is written; 400 for what is none."""
    found = all_flags("".join(sent))
    if not found <= set(ORDER):
        abort(400, f"flags are letters of {ORDER}, and A.")
    return found


def _seconds(text: str) -> float:
    try:
        return parse_duration(text or OFFERED, least=SHORTEST, most=LONGEST)
    except BadDuration:
        raise BadField("for", "A time between 5 min and 24 h, such as 15m or 2h.") from None


def _require_both(work: Work, wanted: frozenset[str]) -> None:
    """Refuse what would tell nothing: K or E has to be on, and some class of events. Raises BadField, CacheError."""
    if not wanted:
        raise BadField("flags", "Tick what is to be told.")
    on = notifying.flags_of(work.cache)
    for value in (on or {}).values():
        then = wanted | all_flags(value)
        if not then & set(WHERE):
            raise BadField("flags", "Nothing would be told: tick E (by event) or K (by key), too.")
        if not then & set(CLASSES):
            raise BadField("flags", "Nothing would be told: tick at least one class of events, too.")
