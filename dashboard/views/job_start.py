"""Starting a job from a page: audited, in the operator's name, and with its first figures in the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import abort, request

from dashboard.cache.servers.connect import Cache
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.start import start, until_first_snapshot
from dashboard.store.jobs import Job
from dashboard.views.access import address, change, current_cache, current_operator, may
from dashboard.views.deck import deck


def begin(
    kind: str, arguments: Mapping[str, Any], reason: str = "", act: str = "start", follows: int | None = None
) -> Job:
    """Start a job on the cache of the URL, and wait a moment (0.7 s at most) for its first snapshot.

    403 for who has not the kind's role. The trail keeps it as "<kind>.<act>", such as "analysis.start". A kind that
    changes the cache is refused where the cache is read-only; to ask twice on production is for the caller. Raises
    Followed where the job that it `follows` is carried out already.
    """
    known, cache, operator = KINDS[kind], current_cache(), current_operator()
    if not may(known.role):
        abort(403, f"This needs the role {known.role.label}. You are {operator.role.label}.")
    if known.changes:
        cache.require_writable()
    with change(f"{kind}.{act}", known.subject(arguments), reason=reason) as attempt:
        job = start(deck().store, cache.name, kind, arguments, operator.name, address(), reason, follows=follows)
        attempt.done(after={"job": job.id})
    return until_first_snapshot(deck().store, job)


def require_typed(cache: Cache, what: str = "keys") -> None:
    """On a production cache its name must have been typed before its keys (or `what`) are changed; 400 otherwise."""
    if cache.target.environment == "production" and request.form.get("typed", "") != cache.name:
        abort(400, f"{cache.name} is a production cache: type its name to change its {what}.")
