"""Whether keyspace notifications can be switched on here for a while: what a form says of it before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache
from dashboard.jobs import notifying
from dashboard.views.access import current_cache
from dashboard.views.render import Problem, of_cache_error


@dataclass(frozen=True)
class Switches:
    """Notifications as they are. flags: that are needed. on: whether all of them are on, None where that cannot be
    read. why_not: why they cannot be switched on here, "" where they can or need not. granted: it cannot be read
    whether they are on, but they may be: whoever starts the job has to say so."""

    flags: str
    on: bool | None = None
    why_not: str = ""
    granted: bool = False
    problem: Problem | None = None

    @property
    def listed(self) -> str:
        """'E, e and m'"""
        return f"{', '.join(self.flags[:-1])} and {self.flags[-1]}"


def switches(flags_for: Callable[[Cache], str]) -> Switches:
    """Of the cache of the URL."""
    cache, flags = current_cache(), "Em"
    try:
        if cache.target.read_only:
            return Switches(flags, why_not=f"{cache.name} is declared read-only here.")
        flags = flags_for(cache)
        denied = cache.capabilities()
        why_not = denied.why_not("SUBSCRIBE")
        on = notifying.is_on(cache, flags)
    except CacheError as error:
        return Switches(flags, problem=of_cache_error(error))
    if not why_not and on is None and denied.why_not("CONFIG GET"):
        return Switches(flags, granted=True)
    if not why_not and not on:
        why_not = denied.why_not("CONFIG GET") or denied.why_not("CONFIG SET")
    return Switches(flags, on, why_not)
