"""The kind "eviction_trace": notifications switched on for a bounded time, and the regret that they tell.

How they are switched on, and off whatever happens, is notifying.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from dashboard.cache.eviction.regret import Options, Trace, regret
from dashboard.cache.eviction.regret_count import FOLLOWED_SECONDS
from dashboard.cache.notifications.keyevents import FLAGS
from dashboard.cache.wording import span
from dashboard.jobs import notifying
from dashboard.jobs.caller import Caller
from dashboard.jobs.kind import Arguments, Kind, Refused, Work
from dashboard.store.audit import JSON
from dashboard.store.operators import Role

NAME = "eviction_trace"
LENGTHS: tuple[int, ...] = (60, 300, 900)
"""Seconds for which evictions are taken, as the page offers them."""
LONGEST = 3600
GRACE_SECONDS = 30.0
"""By so much later than the measurement should end the guard switches notifications off, if nobody else has."""


def arguments(
    seconds: float, actor: str, address: str, followed: float = FOLLOWED_SECONDS, *, on: bool = False
) -> dict[str, Any]:
    """What a job of this kind is given. actor, address: in whose name settings are changed. on: that notifications are
    on is taken for granted where it cannot be read, as on managed services that deny CONFIG."""
    return {"seconds": seconds, "followed": followed, "actor": actor, "address": address, "on": on}


def start(work: Work, given: Arguments) -> Iterator[Trace]:
    """Snapshots of the measurement. Raises CacheError, StoreError, Refused."""
    seconds, followed, caller = _task(given)
    notifying.refuse_a_second(work, NAME, "Another measurement of evictions is going on.")
    needed, why = seconds + followed + GRACE_SECONDS, "to measure which evicted keys are asked for again"
    ended = "The measurement has ended."
    last: Trace | None = None
    with notifying.while_on(work, FLAGS, needed, caller, why, ended, granted=given.get("on") is True) as on:
        for last in regret(work.cache, Options(seconds, followed)):
            yield replace(last, trial=on.trial, notes=on.notes)
    if last is not None:
        yield replace(last, trial=on.trial, notes=on.notes)


def _task(given: Arguments) -> tuple[float, float, Caller]:
    try:
        seconds, followed = float(given["seconds"]), float(given.get("followed", FOLLOWED_SECONDS))
    except (KeyError, TypeError, ValueError):
        seconds, followed = 0.0, 0.0
    if not (0 < seconds <= LONGEST and 0 < followed <= FOLLOWED_SECONDS):
        raise Refused("The job does not say for how long.", "Start it from the Eviction screen.")
    return seconds, followed, Caller(str(given.get("actor", "")), str(given.get("address", "")), "page")


def _subject(given: Arguments) -> str:
    try:
        return f"{span(float(given['seconds']))} of evictions"
    except (KeyError, TypeError, ValueError):
        return "evictions"


def _after(trace: Trace | None) -> JSON:
    if trace is None:
        return {"evictions": 0}
    return {"evictions": trace.regret.evictions, "events": trace.events, "trial": trace.trial}


def _counts(trace: Trace) -> dict[str, int]:
    return {"evictions": trace.regret.evictions, "events": trace.events}


KIND = Kind(
    name=NAME,
    title="Measurement",
    start=start,
    adapter=TypeAdapter(Trace),
    role=Role.ADMIN,
    subject=_subject,
    audits="eviction.trace",
    after=_after,
    # From its own page, which says beforehand what it costs.
    again=False,
    counts=_counts,
)
