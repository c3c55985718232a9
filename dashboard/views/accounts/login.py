"""Signing in and out."""

from __future__ import annotations

import math
from contextlib import suppress

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.store import audit, operators
from dashboard.store.audit import Change
from dashboard.store.operators import Operator, Role, Throttled
from dashboard.views import signed_in
from dashboard.views.access import address, current_operator, public, requires
from dashboard.views.deck import deck
from dashboard.views.next_address import safe_next
from dashboard.views.render import page

blueprint = Blueprint("login", __name__)

WRONG = "Name or password is wrong."
ENDED = "Your session has ended. Sign in again to go on."
ANONYMOUS = "(anonymous)"
"""The actor of a failed sign-in: whoever it was, it need not have been the owner of the name."""
UNKNOWN_NAME = "(unknown name)"
"""What the audit trail says instead of a name that does not exist: it may well be a password."""


class SignInFailed(Exception):
    """The outcome of a refused sign-in, as the audit trail tells it."""

    sentence = WRONG


@blueprint.get("/login")
@public
def show() -> ResponseReturnValue:
    """The form; who is signed in already goes on."""
    target = safe_next(request.args.get("next", ""), request.script_root)
    if signed_in.signed_in_operator():
        return redirect(target or _home(), 303)
    return _form(ENDED if "ended" in request.args else None, "", target)


@blueprint.post("/login")
@public
def create() -> ResponseReturnValue:
    """Sign in. 422 for a wrong name or password, whichever it was; 429 with Retry-After when throttled."""
    name = request.form.get("name", "").strip()
    target = safe_next(request.form.get("next", ""), request.script_root)
    store = deck().store
    try:
        operator = operators.sign_in(store, name, request.form.get("password", ""), address())
    except Throttled as throttled:
        return _too_many(throttled, name, target)
    if operator is None:
        _note_failure(name)
        return _form(WRONG, name, target, 422)
    _note_sign_in(operator)
    signed_in.begin(operator)
    return redirect(target or _home(), 303)


@blueprint.post("/logout")
@requires(Role.VIEWER)
def logout() -> ResponseReturnValue:
    """End every session of the operator: a cookie is signed and not kept here, so none can be ended alone."""
    operators.end_sessions(deck().store, current_operator().id)
    signed_in.end()
    return redirect(url_for("login.show"), 303)


def _home() -> str:
    return f"{request.script_root}/"


def _form(form_error: str | None, name: str, target: str, status: int = 200) -> Response:
    return page("login/page.html", screen="login", status=status, form_error=form_error, name=name, next=target)


def _too_many(throttled: Throttled, name: str, target: str) -> Response:
    response = _form(throttled.sentence, name, target, 429)
    response.headers["Retry-After"] = str(max(1, math.ceil(throttled.retry_after)))
    return response


def _note_sign_in(operator: Operator) -> None:
    change = Change(operator.name, address(), "", "operator.login", operator.name)
    with audit.record(deck().store, change):
        pass


def _note_failure(name: str) -> None:
    """One entry for each attempt that was examined; the throttle bounds their number, refusals add none."""
    store = deck().store
    subject = name if operators.by_name(store, name) else UNKNOWN_NAME
    change = Change(ANONYMOUS, address(), "", "operator.login_failed", subject)
    with suppress(SignInFailed), audit.record(store, change):
        raise SignInFailed
