"""Tokens of the API: who of the scripts may do what. Admins only; every change is audited."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.store import tokens
from dashboard.store.audit import JSON
from dashboard.store.operators import Role
from dashboard.store.tokens import Draft, InvalidToken, NameTaken, Token
from dashboard.views.access import change, current_operator, reason, requires
from dashboard.views.deck import deck
from dashboard.views.render import page

blueprint = Blueprint("tokens", __name__)

GOOD_FOR = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "until it is revoked"))
USUAL_DAYS = "90"


@dataclass(frozen=True)
class Form:
    """What was typed, to be shown again where it is refused."""

    name: str = ""
    role: str = Role.OPERATOR.label
    cache: str = ""
    patterns: str = ""
    days: str = USUAL_DAYS


@dataclass(frozen=True)
class Issued:
    """A token that was just made; this answer is the only one that ever shows its secret."""

    token: Token
    secret: str


@blueprint.get("/tokens")
@requires(Role.ADMIN)
def index() -> ResponseReturnValue:
    """All tokens, good or not."""
    return _page()


@blueprint.post("/tokens")
@requires(Role.ADMIN)
def create() -> ResponseReturnValue:
    """Make one and show its secret, in this answer and never again. 422 with the reason where it makes no sense."""
    form = Form(**{name: request.form.get(name, "").strip() for name in Form.__dataclass_fields__})
    try:
        draft = _draft(form)
        with change("token.add", draft.name[: tokens.LONGEST_NAME], reason=reason()) as attempt:
            made, secret = tokens.add(deck().store, draft, current_operator().name)
            attempt.done(after=_facts(made))
    except (InvalidToken, NameTaken) as error:
        return _page(form_error=f"{error.sentence} {error.advice}".strip(), form=form, status=422)
    except BadSelection as error:
        return _page(form_error=str(error), form=form, status=422)
    return _page(issued=Issued(made, secret), status=201)


@blueprint.post("/tokens/<int:number>/revocation")
@requires(Role.ADMIN)
def revoke(number: int) -> ResponseReturnValue:
    """Let a token in no longer, from the next request on."""
    token = tokens.by_id(deck().store, number)
    if token is None:
        abort(404, "There is no such token.")
    with change("token.revoke", token.name, _facts(token), reason()) as attempt:
        revoked = tokens.revoke(deck().store, number, current_operator().name)
        attempt.done(after={"revoked_by": revoked.revoked_by})
    flash(f"{token.name} is revoked: its next request is refused.", "ok")
    return redirect(url_for("tokens.index"), 303)


def _draft(form: Form) -> Draft:
    """Raises InvalidToken and BadSelection, each with a sentence."""
    if form.role not in {role.label for role in tokens.ROLES}:
        abort(400, "Choose a role: viewer or operator.")
    if form.days not in dict(GOOD_FOR):
        abort(400, "Choose how long the token is good for.")
    if form.cache and form.cache not in deck().caches:
        abort(400, "Choose a cache that is configured here.")
    expires_at = time.time() + int(form.days) * 86400 if form.days else None
    return Draft(form.name, Role.parse(form.role), form.cache, _patterns(form.patterns), expires_at)


def _patterns(text: str) -> tuple[str, ...]:
    """One a line, each as it is shown again. Raises BadSelection for one that no selection could have."""
    lines = [line.strip() for line in text.splitlines()]
    return tuple(dict.fromkeys(printable(Selection(from_printable(line)).glob) for line in lines if line))


def _page(
    form_error: str | None = None, form: Form | None = None, issued: Issued | None = None, status: int = 200
) -> Response:
    now = time.time()
    found = tokens.all_tokens(deck().store)
    return page(
        "tokens/page.html",
        screen="operators",
        status=status,
        tokens=[(token, token.state(now)) for token in found],
        good=sum(token.state(now) == "good" for token in found),
        roles=[(role.label, role.label) for role in reversed(tokens.ROLES)],
        cache_choices=[("", "every cache"), *((name, name) for name in deck().caches)],
        good_for=GOOD_FOR,
        form_error=form_error,
        form=form or Form(),
        issued=issued,
        longest_name=tokens.LONGEST_NAME,
    )


def _facts(token: Token) -> dict[str, JSON]:
    """What the audit trail keeps of a token; of its secret only what the list shows."""
    return {
        "role": token.role.label,
        "cache": token.cache or "every cache",
        "patterns": list(token.patterns) or "all keys",
        "expires_at": token.expires_at,
        "beginning": token.beginning,
    }
