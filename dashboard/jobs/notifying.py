"""Keyspace notifications for a bounded time: switched on as a trial (trying.py), and off at its end whatever happens.

A worker that is killed leaves a deadline behind, at which the guard of another takes them back. Where what is needed is
on already, nothing is changed. Of one cache, one of these is open at most: whoever finds another's uses it, or is told
whose it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboard.cache.errors import CacheError
from dashboard.cache.notifications.flags import all_flags
from dashboard.cache.notifications.keyevents import SETTING
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.setting import BadValue
from dashboard.cache.tuning import node_settings
from dashboard.cache.tuning.trial_rules import SHORTEST, Guards
from dashboard.jobs import trying
from dashboard.jobs.caller import Caller
from dashboard.jobs.kind import Refused, Work
from dashboard.jobs.tuning_refused import Refused as NotTaken
from dashboard.store import jobs, trials
from dashboard.store.trials import Purpose, Trial

__all__ = ["Switched", "flags_of", "is_on", "lacks", "refuse_a_second", "switch_off", "switch_on", "unread", "while_on"]

KINDS: tuple[str, ...] = ("eviction_trace", "stampede_watch")
"""The kinds of jobs that switch notifications on, each at most once at a time."""


def flags_of(cache: Cache) -> Mapping[str, str] | None:
    """node -> flags, of every primary; None where one does not tell them. Two round trips each. Raises CacheError."""
    nodes = node_settings.read(cache, replicas=False)
    found = {node.node: node.values.get(SETTING) for node in nodes}
    return {node: flags for node, flags in found.items() if flags is not None} if None not in found.values() else None


def lacks(flags: Mapping[str, str], wanted: str) -> bool:
    """Whether some primary lacks one of the wanted flags (in plain letters, without A)."""
    return any(not set(wanted) <= all_flags(told) for told in flags.values())


def is_on(cache: Cache, wanted: str) -> bool | None:
    """Whether these flags are on, on every primary; None where that cannot be read. Raises CacheError."""
    flags = flags_of(cache)
    return None if flags is None else not lacks(flags, wanted)


def unread(wanted: str) -> str:
    """A note for a result that was had without knowing."""
    return f"Whether {SETTING} has the flags {wanted} could not be read here: it was taken for granted."


def switch_on(
    work: Work,
    wanted: str,
    seconds: float,
    caller: Caller,
    reason: str,
    *,
    purpose: Purpose = "events",
    granted: bool = False,
) -> Trial | None:
    """Have these flags on every primary, besides those that are there; None where nothing had to be changed.

    seconds: for how long they are needed. granted: where it cannot be read whether they are on, take it for granted.
    Audited as "events.on". Raises Refused, CacheError, StoreError.
    """
    # A job that switches them on runs itself; an operator who does so at a page is none of those that run.
    _end_what_was_left(work, caller, own=1 if purpose == "events" else 0)
    flags = flags_of(work.cache)
    if flags is None and granted:
        return None
    if flags is None:
        raise Refused(
            f"{SETTING} cannot be read on every primary of {work.cache.name}.",
            f"Allow CONFIG GET and CONFIG SET for Cachedeck's user, or switch on the flags {wanted} on the servers "
            "yourself.",
        )
    there = next((one for one in trials.open_on(work.store, [work.cache.name]) if one.purpose != "trial"), None)
    if not lacks(flags, wanted):
        if there is not None and there.ends_at < time.time() + seconds:
            raise Refused(f"Notifications are on, but {_until(there)}: too early for this.", _ADVICE)
        return None
    if there is not None:
        raise Refused(f"Notifications are on with other flags, and {_until(there)}.", _ADVICE)
    try:
        return trying.start(
            work.store,
            work.settings,
            work.cache,
            {SETTING: "".join(sorted({*"".join(flags.values()), *wanted}))},
            max(seconds, SHORTEST),
            Guards(),
            caller,
            reason,
            confirmed=True,
            purpose=purpose,
        )
    except BadValue as error:
        raise Refused(error.sentence, f"Set the flags {wanted} on the servers yourself.") from error


@dataclass(frozen=True)
class Switched:
    """trial: number of what keeps notifications on, None where they were on already. notes: what is to be said of it,
    in sentences."""

    trial: int | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def while_on(
    work: Work, wanted: str, seconds: float, caller: Caller, reason: str, ended: str, *, granted: bool = False
) -> Iterator[Switched]:
    """As switch_on(), for one block; what it has changed is taken back however the block ends. ended: why, then."""
    trial = switch_on(work, wanted, seconds, caller, reason, granted=granted)
    unsure = trial is None and granted and is_on(work.cache, wanted) is None
    try:
        yield Switched(trial.number if trial else None, (unread(wanted),) if unsure else ())
    finally:
        if trial is not None:
            switch_off(work, trial, caller, ended)


def refuse_a_second(work: Work, kind: str, sentence: str) -> None:
    """Raises Refused where another job of this kind runs on the cache."""
    if sum(job.state == "running" for job in jobs.newest(work.store, work.cache.name, kind)) > 1:
        raise Refused(sentence, "Wait for its end, or cancel it.")


_ADVICE = "End that first, on the page to which the banner leads, or wait for its end."


def _until(trial: Trial) -> str:
    ends = datetime.fromtimestamp(trial.ends_at, UTC)
    return f"go off again at {ends:%H:%M} UTC (switched on by {trial.actor})"


def switch_off(work: Work, trial: Trial, caller: Caller, why: str) -> None:
    """Whatever comes of it here: what is left on, the guard takes back at the deadline. Audited as "events.off"."""
    try:
        trying.end(work.store, work.settings, work.cache, trial.number, caller, why=why)
    except NotTaken:
        return  # it has ended: the guard was first
    except CacheError as error:
        trials.note(work.store, trial.number, [f"It could not be switched off yet: {error.sentence}"])


def _end_what_was_left(work: Work, caller: Caller, own: int) -> None:
    """Of a job whose worker was killed: its notifications would go off in the middle of this one.

    own: how many of the jobs that run are the caller itself.
    """
    running = [
        job for kind in KINDS for job in jobs.newest(work.store, work.cache.name, kind) if job.state == "running"
    ]
    left = [one for one in trials.open_on(work.store, [work.cache.name]) if one.purpose == "events"]
    if left and len(running) > own:
        raise Refused("Another job has switched notifications on.", "Wait for its end, or cancel it.")
    for trial in left:
        switch_off(work, trial, caller, "The job that had switched them on is over.")
