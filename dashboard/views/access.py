"""Who may call which route, and in whose name something is changed.

Every view function carries one mark, `@requires(Role.X)`, `@by_token(Role.X)` or `@public`; the guard refuses an
endpoint without one, so that a forgotten mark is a closed door and not an open one. `role_of()` reads the marks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from flask import Flask, Response, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import BadRequest

from dashboard.cache.servers.connect import Cache
from dashboard.store import audit
from dashboard.store.audit import JSON, Attempt, Change
from dashboard.store.operators import Operator, Role
from dashboard.views import bearer, signed_in
from dashboard.views.deck import deck
from dashboard.views.next_address import path_of, safe_next
from dashboard.views.signed_in import signed_in_operator

View = TypeVar("View", bound=Callable[..., object])

LOGIN = "login.show"
PUBLIC_ENDPOINTS = frozenset({"static"})
"""Flask's own routes, which have no function of ours to mark."""

BACKGROUND_HEADER = "X-Background"
"""For a page's own address that a page polls: `hx-headers='{"X-Background": "1"}'`. Who lies with it only
shortens their own session."""

REASON_LIMIT = 500
"""Characters of a reason that the audit trail keeps."""

EXPIRED = "This page has expired. Load it again and repeat what you did."
FOREIGN = (
    "The browser did not say that this request comes from one of Cachedeck's own pages. "
    "A proxy in front must pass the Host header on (see CACHEDECK_TRUSTED_PROXIES)."
)

_MARK = "cachedeck_access"
_csrf = CSRFProtect()
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """What a route asks for. `role` None: anybody, signed in or not. `background`: no sign of life.

    `by_token`: of a token in the request's head, and of no session.
    """

    role: Role | None
    background: bool = False
    by_token: bool = False


class Unmarked(LookupError):
    """An endpoint whose view function states no role."""


def requires(role: Role, *, background: bool = False) -> Callable[[View], View]:
    """Mark a view function as open to operators of `role` and above.

    `background` is for what a page fetches by itself, again and again: such requests do not count as
    the operator being there, so that an open page does not keep a session alive for ever. A request
    with BACKGROUND_HEADER does not count either.
    """
    return _marking(Access(role, background))


def by_token(role: Role) -> Callable[[View], View]:
    """Mark a view function as open to tokens of `role` and above (bearer.py), and to nobody's session.

    A browser sends no such token by itself, so these routes need no CSRF token.
    """
    return _marking(Access(role, by_token=True))


def public(view: View) -> View:
    """Mark a view function as open to everybody."""
    return _marking(Access(None))(view)


def _marking(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _MARK, access)
        return view

    return mark


def access_of(app: Flask, endpoint: str) -> Access:
    """The mark of an endpoint. Raises Unmarked."""
    if endpoint in PUBLIC_ENDPOINTS:
        return Access(None)
    access = getattr(app.view_functions.get(endpoint), _MARK, None)
    if not isinstance(access, Access):
        raise Unmarked(endpoint)
    return access


def role_of(app: Flask, endpoint: str) -> Role | None:
    """The lowest role that may call an endpoint; None where everybody may. Raises Unmarked."""
    return access_of(app, endpoint).role


def init_app(app: Flask) -> None:
    """Put the guard before every route. Wants `app.secret_key`; before any other before_request."""
    signed_in.init_app(app)
    # A token is bound to its session and need not end before it; the guard checks it, after the role.
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)
    _csrf.init_app(app)
    app.before_request(_guard)
    app.after_request(_keep_private)


def may(role: Role) -> bool:
    """Whether the signed-in operator has `role` or a higher one."""
    operator = signed_in_operator()
    return operator is not None and operator.role >= role


def current_operator() -> Operator:
    """The signed-in operator; 401 for a public route that was called by the anonymous."""
    operator = signed_in_operator()
    if operator is None:
        abort(401, "Sign in first.")
    return operator


def current_cache() -> Cache:
    """The cache that the URL's <cache> names. It is never kept anywhere else; 404 if there is none."""
    name = (request.view_args or {}).get("cache", "")
    cache = deck().caches.get(name)
    if cache is None:
        abort(404, f"No cache is configured under the name {name!r}.")
    return cache


def change(action: str, subject: str, before: JSON | None = None, reason: str = "") -> AbstractContextManager[Attempt]:
    """An audited change by the signed-in operator to the cache of the URL (or to Cachedeck itself).

        with change("key.ttl", printable(key), before={"ttl": 30}) as attempt:
            ...
            attempt.done(after={"ttl": 60})

    The attempt is in the audit trail before the block runs, its outcome after it, a failure too.
    """
    cache = (request.view_args or {}).get("cache", "")
    operator = current_operator()
    attempt = Change(operator.name, address(), cache, action, subject, before, reason)
    return audit.record(deck().store, attempt)


def reason() -> str:
    """Why the operator makes this change, as the form says; cut to what the audit trail keeps."""
    return request.values.get("reason", "").strip()[:REASON_LIMIT]


def address() -> str:
    """Where the request comes from, as far as the configured number of proxies is trusted to say."""
    return bearer.address()


def _guard() -> ResponseReturnValue | None:
    if request.endpoint is None:
        return None
    try:
        access = access_of(current_app, request.endpoint)
    except Unmarked:
        _log.error("endpoint %s states no role and is refused", request.endpoint)
        abort(403, "This address states no role, so nobody may use it. Please report that.")
    if access.by_token and access.role is not None:
        bearer.require(access.role)
        return None
    if access.role is not None:
        operator = signed_in_operator()
        if operator is None:
            return _to_login()
        if operator.role < access.role:
            abort(403, f"This needs the role {access.role.label}. You are {operator.role.label}.")
        if not (access.background or BACKGROUND_HEADER in request.headers):
            signed_in.renew()
    _check_token()
    return None


def _check_token() -> None:
    try:
        _csrf.protect()
    except CSRFError as error:
        sentence = FOREIGN if "referrer" in (error.description or "") else EXPIRED
        raise BadRequest(sentence) from error


def _to_login() -> ResponseReturnValue:
    """Send the browser to the login page, and back to where it was afterwards.

    A fragment's own address is no place to come back to: there the page that asked for it is.
    A redirect in answer to HTMX would be followed unseen and swapped in, hence the header.
    """
    ended = signed_in.end() if signed_in.has_session() else False
    is_htmx = request.headers.get("HX-Request") == "true"
    wanted = path_of(request.headers.get("HX-Current-URL", "")) if is_htmx else _own_address()
    location = url_for(LOGIN, next=safe_next(wanted, request.script_root) or None, ended="1" if ended else None)
    if is_htmx:
        return Response("Sign in first.", 401, {"HX-Redirect": location}, mimetype="text/plain")
    return redirect(location, 303)


def _own_address() -> str:
    """Path and query of the request as the browser wrote them; "" for what is no GET."""
    if request.method != "GET":
        return ""
    path = quote(f"{request.script_root}{request.path}", safe="/:@!$&'()*+,;=")
    query = request.query_string.decode("latin-1")
    return f"{path}?{query}" if query else path


def _keep_private(response: Response) -> Response:
    """Nothing behind the login stays in a browser's or a proxy's cache.

    It also keeps a fragment from being shown as a page by the back button, both having one address.
    """
    if request.endpoint not in PUBLIC_ENDPOINTS and "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
