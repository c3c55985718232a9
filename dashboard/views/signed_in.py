"""Who is signed in, and how long: the life of a session and its cookie.

A session is a signed cookie that holds the operator's id and session epoch, when they signed in and
when they were last seen. It ends, at the next request, when
- nothing but background polling came for `Settings.idle_minutes`,
- `Settings.session_hours` have passed since signing in, however busy it was, or
- the operator signed out anywhere, was disabled, or their password or role changed (each raises the epoch in
  the store, so that a copied cookie is worth nothing either).
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import ClassVar

from flask import Flask, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, current_user, login_user, logout_user

from dashboard.store import operators
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.operators import Operator
from dashboard.views.deck import deck

RENEW_SECONDS = 30.0
"""How far `seen_at` may lag: without it every answer would carry a cookie."""

_NOBODY_KNOWS = "cachedeck_nobody_knows"
_IDENTITY, _SIGNED_IN_AT, _SEEN_AT = "_user_id", "signed_in_at", "seen_at"


@dataclass(frozen=True)
class SignedIn:
    """flask-login's view of an operator: what it keeps as `current_user`."""

    operator: Operator

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False

    @property
    def is_active(self) -> bool:
        return self.operator.enabled

    def get_id(self) -> str:
        return f"{self.operator.id}.{self.operator.session_epoch}"


class CookieOfPrefix(SecureCookieSessionInterface):
    """The session cookie of one installation, of one prefix, and Secure wherever the request was.

    Cookies know no ports: two installations on one host would sign each other's operators out, so the
    name carries a mark of the secret key.
    """

    def get_cookie_name(self, app: Flask) -> str:
        key = app.secret_key or b""
        secret = key.encode() if isinstance(key, str) else key
        return f"cachedeck_{hashlib.sha256(b'cookie name' + secret).hexdigest()[:8]}"

    def get_cookie_path(self, app: Flask) -> str:  # noqa: ARG002 (Flask's signature)
        return request.script_root or "/"

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 (Flask's signature)
        return request.is_secure


def init_app(app: Flask) -> None:
    """Give the application its session cookie and flask-login."""
    app.session_interface = CookieOfPrefix()
    app.config.update(SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True)
    manager = LoginManager()
    # Its check binds a session to an address and a browser name: the first changes on the way home,
    # the second is known to whoever could steal the cookie.
    manager.session_protection = None
    manager.user_loader(_load)
    # Its context processor would ask the store once more, in the very page that says that it is broken.
    manager.init_app(app, add_context_processor=False)


def signed_in_operator() -> Operator | None:
    """The operator of this request's session, as the store knows them now; None for the anonymous.

    Raises StoreUnavailable, once a request: the page that says so is drawn for nobody.
    """
    if g.get(_NOBODY_KNOWS):
        return None
    try:
        user = current_user._get_current_object()
    except StoreError:
        setattr(g, _NOBODY_KNOWS, True)
        raise
    return user.operator if isinstance(user, SignedIn) else None


def begin(operator: Operator) -> None:
    """A new session for `operator`; nothing of the one before survives, its CSRF token neither."""
    session.clear()
    g.pop("csrf_token", None)
    login_user(SignedIn(operator))
    session[_SIGNED_IN_AT] = session[_SEEN_AT] = int(time.time())


def renew() -> None:
    """Note that the operator was seen now."""
    now = int(time.time())
    if now - session.get(_SEEN_AT, 0) >= RENEW_SECONDS:
        session[_SEEN_AT] = now


def end() -> bool:
    """Forget this browser's session; True if it had been somebody's."""
    was_somebodys = _IDENTITY in session
    logout_user()
    session.clear()
    return was_somebodys


def has_session() -> bool:
    """Whether the browser brought the session of an operator, be it alive or ended."""
    return _IDENTITY in session


@dataclass(frozen=True)
class Lease:
    """For how long a session lets something go on that outlives its request: a stream. Can be asked outside of it."""

    identity: str
    ends_at: float
    store: Store

    def holds(self) -> bool:
        """Whether the session is alive, and its operator the same with the same role. Raises StoreUnavailable."""
        return time.time() < self.ends_at and _operator(self.store, self.identity) is not None


def lease() -> Lease:
    """The lease of this request's session. What the operator does in other pages meanwhile does not prolong it: whoever
    comes back at its end gets another."""
    return Lease(session.get(_IDENTITY, ""), _ends_at(), deck().store)


def _load(identity: str) -> SignedIn | None:
    if time.time() >= _ends_at():
        return None
    operator = _operator(deck().store, identity)
    return SignedIn(operator) if operator else None


def _operator(store: Store, identity: str) -> Operator | None:
    """Of a session, as the store knows them now; None where the session was ended."""
    number, _, epoch = identity.partition(".")
    if not (number.isdecimal() and epoch.isdecimal()):
        return None
    operator = operators.by_id(store, int(number))
    if operator is None or not operator.enabled or operator.session_epoch != int(epoch):
        return None
    return operator


def _ends_at() -> float:
    settings = deck().settings
    by_age = session.get(_SIGNED_IN_AT, 0) + settings.session_hours * 3600
    return float(min(by_age, session.get(_SEEN_AT, 0) + settings.idle_minutes * 60))
