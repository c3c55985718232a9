"""One's own account: change the password."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.store import operators
from dashboard.store.operators import Operator, Role, Throttled, WeakPassword
from dashboard.views import signed_in
from dashboard.views.access import address, change, current_operator, requires
from dashboard.views.deck import deck
from dashboard.views.render import page

blueprint = Blueprint("account", __name__)

WRONG = "The current password is wrong."
DIFFERENT = "The new password and its repetition differ."


class WrongPassword(Exception):
    """The outcome of a refused change, as the audit trail tells it."""

    sentence = WRONG


@blueprint.get("/account")
@requires(Role.VIEWER)
def show() -> ResponseReturnValue:
    """Name, role and the form."""
    return _page()


@blueprint.post("/account/password")
@requires(Role.VIEWER)
def set_password() -> ResponseReturnValue:
    """Change one's own password. All sessions end but this one, which is renewed."""
    operator, store = current_operator(), deck().store
    wanted = request.form.get("password", "")
    if refusal := _refusal(operator, wanted):
        return _page(refusal, 422)
    try:
        with change("operator.password", operator.name) as attempt:
            renewed = operators.set_password(store, operator.id, wanted)
            attempt.done(after={"password": "changed"})
    except WeakPassword as error:
        return _page(error.sentence, 422)
    signed_in.begin(renewed)
    flash("Your password is changed. Your other sessions have ended.", "ok")
    return redirect(url_for("account.show"), 303)


def _refusal(operator: Operator, wanted: str) -> str | None:
    """Why the form is not accepted. The current password is throttled as a sign-in, and a wrong one is audited."""
    if wanted != request.form.get("repeated", ""):
        return DIFFERENT
    try:
        known = operators.check_password(deck().store, operator.name, request.form.get("current", ""), address())
    except Throttled as throttled:
        return throttled.sentence
    if known:
        return None
    with suppress(WrongPassword), change("operator.password", operator.name):
        raise WrongPassword
    return WRONG


def _page(form_error: str | None = None, status: int = 200) -> Response:
    return page("account/page.html", screen="account", status=status, form_error=form_error)
