"""A look at a cache itself, for when its samples are missing: what exactly is wrong with it?"""

from __future__ import annotations

from flask import current_app

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache
from dashboard.jobs.sampler import INFO
from dashboard.views.kept_looks import KeptLooks

FRESH_SECONDS = 4.0  # two polls of the overview

_EXTENSION = "cachedeck_looks"

Trouble = tuple[str, str]
"""(what happened, what to do about it), both sentences."""


class Looks:
    """The last look at each cache, shared by the threads of this process."""

    def __init__(self) -> None:
        self._looks: KeptLooks[Trouble | None] = KeptLooks()

    def trouble(self, cache: Cache) -> Trouble | None:
        """What is wrong with the cache; None where it answers, or where nobody knows yet."""
        return self._looks.latest(cache, look, FRESH_SECONDS)


def look(cache: Cache) -> Trouble | None:
    """Ask every primary what the sampler asks until one fails: a round trip each, at most one time-out in all.

    A PING would be answered by a server that denies INFO, and the reason would stay unknown.
    """
    try:
        for node in cache.primaries():
            cache.execute(INFO, node=node)
    except CacheError as error:
        return error.sentence, error.advice
    return None


def looks() -> Looks:
    """Those of the current application."""
    found = current_app.extensions.setdefault(_EXTENSION, Looks())
    assert isinstance(found, Looks)  # noqa: S101  (narrows the type; nobody else writes it)
    return found
