"""The kind "stampede_watch": notifications switched on for a bounded time, and the stampedes that they tell.

How they are switched on, and off whatever happens, is notifying.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from dashboard.cache.notifications.flags import IN_A, all_flags
from dashboard.cache.servers.connect import Cache
from dashboard.cache.stampedes.count import THRESHOLD
from dashboard.cache.stampedes.events import flags
from dashboard.cache.stampedes.run import Options, Watch, asks_for_new, watch
from dashboard.cache.wording import span
from dashboard.jobs import notifying
from dashboard.jobs.caller import Caller
from dashboard.jobs.kind import Arguments, Kind, Refused, Work
from dashboard.store.audit import JSON
from dashboard.store.operators import Role

NAME = "stampede_watch"
LENGTHS: tuple[int, ...] = (60, 300, 900, 3600)
"""Seconds, as the page offers them."""
LONGEST = 3600
LEAST_MISSES, MOST_MISSES = 2, 100_000
GRACE_SECONDS = 30.0
"""By so much later than the watch should end the guard switches notifications off, if nobody else has."""


def arguments(
    seconds: float, actor: str, address: str, threshold: int = THRESHOLD, *, reads: bool = False, on: bool = False
) -> dict[str, Any]:
    """What a job of this kind is given. actor, address: in whose name settings are changed. reads: whether commands are
    sampled. on: that notifications are on is taken for granted where it cannot be read."""
    return {
        "seconds": seconds,
        "threshold": threshold,
        "reads": reads,
        "actor": actor,
        "address": address,
        "on": on,
    }


def start(work: Work, given: Arguments) -> Iterator[Watch]:
    """Snapshots of the watch. Raises CacheError, StoreError, Refused."""
    options, caller = _task(work, given)
    notifying.refuse_a_second(work, NAME, "Another watch for stampedes is going on.")
    wanted, needed = flags(new=options.new), options.seconds + GRACE_SECONDS
    why, ended = "to watch for stampedes", "The watch has ended."
    last: Watch | None = None
    with notifying.while_on(work, wanted, needed, caller, why, ended, granted=given.get("on") is True) as on:
        for last in watch(work.cache, options):
            yield replace(last, trial=on.trial, notes=on.notes)
    if last is not None:
        yield replace(last, trial=on.trial, notes=on.notes)


def flags_for(cache: Cache) -> str:
    """The flags that a watch of this cache needs. Raises CacheError.

    Beside A no server tells whether n is on (keyspaceEventsFlagsToString in notify.c), so it is not asked for where
    with what is there already it would be.
    """
    wanted = flags(new=asks_for_new(cache))
    there = notifying.flags_of(cache) or {}
    together = all_flags("".join((*there.values(), wanted)))
    return flags(new=False) if together.issuperset(IN_A) else wanted


def _task(work: Work, given: Arguments) -> tuple[Options, Caller]:
    try:
        seconds, threshold = float(given["seconds"]), int(given.get("threshold", THRESHOLD))
    except (KeyError, TypeError, ValueError):
        seconds, threshold = 0.0, 0
    if not (0 < seconds <= LONGEST and LEAST_MISSES <= threshold <= MOST_MISSES):
        raise Refused("The job does not say for how long, or from how many misses on.", "Start it from its own page.")
    separator = work.settings.namespace_separator.encode()
    new = "n" in flags_for(work.cache)
    options = Options(seconds, separator, threshold, given.get("reads") is True, new)
    return options, Caller(str(given.get("actor", "")), str(given.get("address", "")), "page")


def _subject(given: Arguments) -> str:
    try:
        return f"{span(float(given['seconds']))} of misses"
    except (KeyError, TypeError, ValueError):
        return "misses"


def _after(last: Watch | None) -> JSON:
    if last is None:
        return {"misses": 0}
    return {"misses": last.found.misses, "alerts": len(last.found.alerts), "events": last.events, "trial": last.trial}


def _counts(last: Watch) -> dict[str, int]:
    return {"misses": last.found.misses, "alerts": len(last.found.alerts), "events": last.events}


KIND = Kind(
    name=NAME,
    title="Stampede watch",
    start=start,
    adapter=TypeAdapter(Watch),
    role=Role.ADMIN,
    subject=_subject,
    audits="stampedes.watch",
    after=_after,
    # From its own page, which says beforehand what it costs.
    again=False,
    counts=_counts,
)
