"""What every template may use of the running application, and the headers of every answer."""

from __future__ import annotations

import time
from functools import cache as remembered
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.local import LocalProxy

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.capability import Capabilities
from dashboard.cache.servers.target import Target
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role
from dashboard.views import access
from dashboard.views.deck import deck
from dashboard.views.eviction import trial_banner
from dashboard.views.jobs import job_words
from dashboard.views.signed_in import signed_in_operator

# Everything comes from us, nothing is inline, nobody frames us. uPlot and the charts set styles through
# the CSSOM, which a policy does not govern, so no 'unsafe-inline' is needed for them either.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def init_app(app: Flask) -> None:
    app.context_processor(_context)
    app.jinja_env.globals.update(
        now=time.time,
        has_endpoint=_has_endpoint,
        script_root=lambda: request.script_root,
    )
    app.after_request(_harden)


def _context() -> dict[str, Any]:
    name = (request.view_args or {}).get("cache", "")
    current = deck().caches.get(name)
    operator = signed_in_operator()
    return {
        "deck_caches": [cache.target for cache in deck().caches.values()] if operator else [],
        "cache": current.target if current and operator else None,
        # Asked for only by the templates that draw it: a fragment must not wait for a server that hangs.
        "capabilities": LocalProxy(lambda: _capabilities(current.target) if current and operator else None),
        # Asked for once, by the frame of a page: the rail counts them, the strip draws them.
        "strip_jobs": remembered(lambda: _strip_jobs(current.target) if current and operator else []),
        "open_trials": remembered(lambda: trial_banner.banners(current.name) if current and operator else []),
        "has_lab": bool(deck().settings.demo_url),
        "operator": operator,
        "may": lambda label: access.may(Role.parse(label)),
    }


def _capabilities(target: Target) -> Capabilities | None:
    try:
        return deck().caches[target.name].capabilities()
    except CacheError:
        return None  # the page itself says what is wrong with the server


def _strip_jobs(target: Target) -> list[job_words.Shown]:
    try:
        return job_words.strip(target.name)
    except StoreError:
        return []  # the page itself says what is wrong with the database, or does without it


def _has_endpoint(name: str) -> bool:
    return name in current_app.view_functions


def _harden(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
