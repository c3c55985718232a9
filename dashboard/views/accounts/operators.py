"""Operators: who may sign in, with which role. Admins only; every change is audited."""

from __future__ import annotations

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.store import operators
from dashboard.store.errors import StoreError
from dashboard.store.operators import InvalidName, LastAdmin, NameTaken, Operator, Role, WeakPassword
from dashboard.views.access import change, current_operator, reason, requires
from dashboard.views.deck import deck
from dashboard.views.render import htmx, page

blueprint = Blueprint("operators", __name__)

REFUSALS = (InvalidName, LastAdmin, NameTaken, WeakPassword)
"""What the form is answered with; a database that fails is a problem of another kind."""


@blueprint.get("/operators")
@requires(Role.ADMIN)
def index() -> ResponseReturnValue:
    """All operators, enabled or not."""
    return _page()


@blueprint.post("/operators")
@requires(Role.ADMIN)
def create() -> ResponseReturnValue:
    """Add one. 422 with the reason when the name is taken or the password weak."""
    name, role = request.form.get("name", "").strip(), _role()
    try:
        with change("operator.add", name[: operators.LONGEST_NAME], reason=reason()) as attempt:
            made = operators.add(deck().store, name, request.form.get("password", ""), role)
            attempt.done(after=_facts(made))
    except REFUSALS as error:
        return _page(_told(error), name, role, status=422)
    return _back(f"{made.name} was added as {made.role.label}.")


@blueprint.post("/operators/<int:number>/role")
@requires(Role.ADMIN)
def change_role(number: int) -> ResponseReturnValue:
    """Give another role; the sessions of that operator end."""
    operator, role = _operator(number), _role()
    try:
        with change("operator.role", operator.name, {"role": operator.role.label}, reason()) as attempt:
            operators.set_role(deck().store, operator.id, role)
            attempt.done(after={"role": role.label})
    except REFUSALS as error:
        return _page(_told(error), status=422)
    return _back(f"{operator.name} is {role.label} now.")


@blueprint.post("/operators/<int:number>/disablement")
@requires(Role.ADMIN)
def disable(number: int) -> ResponseReturnValue:
    """Let an operator in no longer; their sessions end."""
    return _set_enabled(number, enabled=False)


@blueprint.delete("/operators/<int:number>/disablement")
@requires(Role.ADMIN)
def enable(number: int) -> ResponseReturnValue:
    """Let a disabled operator in again."""
    return _set_enabled(number, enabled=True)


@blueprint.post("/operators/<int:number>/password")
@requires(Role.ADMIN)
def set_password(number: int) -> ResponseReturnValue:
    """Set a new password; the sessions of that operator end."""
    operator = _operator(number)
    try:
        with change("operator.password", operator.name, reason=reason()) as attempt:
            operators.set_password(deck().store, operator.id, request.form.get("password", ""))
            attempt.done(after={"password": "changed"})
    except REFUSALS as error:
        return _page(_told(error), status=422)
    return _back(f"{operator.name} has a new password.")


def _set_enabled(number: int, *, enabled: bool) -> ResponseReturnValue:
    operator = _operator(number)
    action = "operator.enable" if enabled else "operator.disable"
    try:
        with change(action, operator.name, {"enabled": operator.enabled}, reason()) as attempt:
            operators.set_enabled(deck().store, operator.id, enabled)
            attempt.done(after={"enabled": enabled})
    except REFUSALS as error:
        return _page(_told(error), status=422)
    return _back(f"{operator.name} is {'enabled' if enabled else 'disabled'} now.")


def _page(form_error: str | None = None, name: str = "", role: Role = Role.VIEWER, status: int = 200) -> Response:
    return page(
        "operators/page.html",
        screen="operators",
        status=status,
        operators=operators.all_operators(deck().store),
        roles=[(one.label, one.label) for one in Role],
        form_error=form_error,
        name=name,
        role=role.label,
        me=current_operator(),
    )


def _back(sentence: str) -> ResponseReturnValue:
    flash(sentence, "ok")
    location = url_for("operators.index")
    # HTMX (the DELETE) would follow a redirect unseen and swap the whole page into its target.
    return Response(status=204, headers={"HX-Redirect": location}) if htmx else redirect(location, 303)


def _operator(number: int) -> Operator:
    operator = operators.by_id(deck().store, number)
    if operator is None:
        abort(404, "There is no such operator.")
    return operator


def _role() -> Role:
    try:
        return Role.parse(request.form.get("role", ""))
    except ValueError:
        abort(400, "Choose a role: viewer, operator or admin.")


def _told(error: StoreError) -> str:
    return f"{error.sentence} {error.advice}".strip()


def _facts(operator: Operator) -> dict[str, str]:
    return {"role": operator.role.label}
