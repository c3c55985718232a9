"""Who calls the API: the token in `Authorization: Bearer ...`, and nothing else. A session is no credential there."""

from __future__ import annotations

import time

from flask import g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, TooManyRequests, Unauthorized

from dashboard.store import tokens
from dashboard.store.operators import Role
from dashboard.store.tokens import Throttled, Token
from dashboard.views.deck import deck

_FOUND = "cachedeck_bearer"
_ENDED = {"revoked": "This token is revoked.", "expired": "This token has expired."}


def require(role: Role) -> Token:
    """The token of this request. Raises Unauthorized, Forbidden and TooManyRequests, each with a sentence."""
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise _unauthorized("Send a token: Authorization: Bearer cdk_... An admin makes one on the page Tokens.")
    try:
        found = tokens.bearer(deck().store, authorization.token, address())
    except Throttled as error:
        raise TooManyRequests(
            "Too many wrong tokens came from this address.", retry_after=max(1, round(error.retry_after))
        ) from error
    if found is None:
        raise _unauthorized("This token is unknown.", "invalid_token")
    state = found.state(time.time())
    if state != "good":
        raise _unauthorized(_ENDED[state], "invalid_token")
    if found.role < role:
        raise Forbidden(f"This needs a token of the role {role.label}. Yours is of {found.role.label}.")
    setattr(g, _FOUND, found)
    return found


def current_token() -> Token:
    """The token of this request, which require() has let in."""
    found = g.get(_FOUND)
    if not isinstance(found, Token):
        raise _unauthorized("Send a token.")
    return found


def address() -> str:
    """Where the request comes from, as far as the configured number of proxies is trusted to say."""
    return request.remote_addr or "unknown"


def _unauthorized(sentence: str, error: str = "") -> Unauthorized:
    """RFC 6750, section 3."""
    said: dict[str, str | None] = {"realm": "Cachedeck"}
    if error:
        said["error"] = error
    challenge = WWWAuthenticate("bearer", said)
    return Unauthorized(sentence, www_authenticate=challenge)
