"""The job that an address names: one of the cache and of the kind whose page it is, or none."""

from __future__ import annotations

from flask import abort

from dashboard.store import jobs
from dashboard.store.jobs import Job
from dashboard.views.access import current_cache
from dashboard.views.deck import deck


def job_here(number: int | None, what: str, *kinds: str) -> Job:
    """A job of the URL's cache and of one of `kinds`; 404 otherwise: what another cache has does not exist here.

    what: the noun that the operator is told, such as "retiming".
    """
    found = jobs.get(deck().store, number) if number is not None else None
    cache = current_cache().name
    if found is None or found.cache != cache or found.kind not in kinds:
        named = f"such {what}" if number is None else f"{what} {number}"
        abort(404, f"{cache} has no {named}. Old ones are forgotten.")
    return found
