"""Trials: settings for a bounded time, taken back by the worker (trial_guard.py) at the deadline or when they hurt.

A trial stands in the store before anything is sent, with its deadline: from then on it ends by itself, whatever becomes
of who started it. Whoever ends it takes it first, by a change of its state, so that nobody does it twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache
from dashboard.cache.tuning.before_after import compare
from dashboard.cache.tuning.trial_rules import LONGEST, SHORTEST, Guards
from dashboard.cache.wording import duration, span
from dashboard.jobs import putting, tuning
from dashboard.jobs.caller import Caller, audited
from dashboard.jobs.trial_windows import window, windows
from dashboard.jobs.tuning import Preview
from dashboard.jobs.tuning_refused import Busy, HasEnded, NoSuchChange, NotStarted, Refused
from dashboard.settings import Settings
from dashboard.store import setting_changes, trials
from dashboard.store.audit import JSON
from dashboard.store.engine import Store
from dashboard.store.setting_changes import Asked, Kind, SettingChange
from dashboard.store.trials import Draft, Purpose, Trial

__all__ = ["BASELINE_SECONDS", "end", "finish", "start", "take_back", "window"]

BASELINE_SECONDS = 300.0
"""What went on for so long before a trial is what its hit ratio is held against."""
COMPARED_SECONDS = 3600.0
"""The time before a trial that it is compared with is as long as the trial, and no longer than this: samples of every
two seconds are kept for an hour."""

ACTIONS: Mapping[Purpose, tuple[str, str]] = {
    "trial": ("settings.try", "settings.try.end"),
    "events": ("events.on", "events.off"),
    "notifications": ("events.on", "events.off"),
}
_KINDS: Mapping[Purpose, tuple[Kind, Kind]] = {
    "trial": ("trial", "trial end"),
    "events": ("events", "events end"),
    "notifications": ("events", "events end"),
}


def start(  # noqa: PLR0917  (as tuning.apply: who, where, what, how long, by what judged, for whom)
    store: Store,
    settings: Settings,
    cache: Cache,
    wanted: Mapping[str, str],
    seconds: float,
    guards: Guards,
    caller: Caller,
    reason: str = "",
    *,
    replicas: bool = False,
    fingerprint: str = "",
    confirmed: bool = False,
    purpose: Purpose = "trial",
) -> Trial:
    """Put settings on every primary for so many seconds. Where one does not take them, all are taken back.

    Audited as "settings.try" ("events.on"). Raises as tuning.apply(), OneIsOpen, Refused (NotStarted).
    """
    if not SHORTEST <= seconds <= LONGEST:
        raise Refused(f"A trial takes between {span(SHORTEST)} and {span(LONGEST)}.")
    seen = tuning.agreed(
        store, settings, cache, wanted, replicas=replicas, fingerprint=fingerprint, confirmed=confirmed
    )
    before = window(store, cache.name, BASELINE_SECONDS)
    asked = Asked(caller.name, caller.address, reason)
    baseline = before.to_plain() if before else {}
    draft = Draft(cache.name, purpose, seen.wanted, seconds, asked, replicas, guards.to_plain(), baseline)
    subject = f"{tuning.in_words(seen.wanted, seen.planned)} for {duration(seconds)}"
    with audited(store, caller, cache, ACTIONS[purpose][0], subject, reason, tuning.had(seen.planned)) as said:
        trial, change = _put(store, cache, trials.begin(store, draft), seen, caller)
        said.done(after={"trial": trial.number, **_as_dict(tuning.outcome(change))})
    return trial


def _put(store: Store, cache: Cache, trial: Trial, seen: Preview, caller: Caller) -> tuple[Trial, SettingChange]:
    asked = Asked(caller.name, caller.address, trial.reason)
    change = putting.begin(
        store, cache, _KINDS[trial.purpose][0], seen.wanted, seen.planned, asked, replicas=trial.replicas
    )
    known = go(store, trial, "starting", change=change.number)
    change = putting.send(store, cache, change)
    why = " ".join(one.sentence for one in change.nodes if one.sentence)
    try:
        if change.state == "applied":
            return go(store, known, "running"), change
        ending = go(store, known, "ending", why=why)
    except HasEnded:
        undo(store, cache, trial, change, caller)
        raise
    ended = take_back(store, cache, ending, caller, failed=True)
    advice = "What had been set elsewhere was taken back." if ended.state == "failed" else "It is taken back."
    raise NotStarted(f"The trial was not started: {why}", advice)


def end(
    store: Store, settings: Settings, cache: Cache, number: int, caller: Caller, *, keep: bool = False, why: str = ""
) -> Trial:
    """End a trial before its time: take the settings back, or keep them. Raises Refused, CacheError.

    Not while it is being started or taken back: the worker sees to those that were left in the middle of it.
    """
    trial = trials.get(store, number)
    if trial is None or trial.cache != cache.name:
        raise NoSuchChange(f"{cache.name} has no trial {number}.")
    if not trial.open:
        raise HasEnded(f"Trial {number} has ended: {trial.why or trial.state}")
    if trial.state in ("starting", "ending"):
        doing = "started" if trial.state == "starting" else "taken back"
        raise Busy(f"Trial {number} is being {doing} just now.", "Load its page again in a moment.")
    why = why or f"{'Kept' if keep else 'Taken back'} by {caller.name}."
    if not keep:
        return finish(store, settings, cache, trial, why, caller)
    with audited(store, caller, cache, "settings.try.keep", f"trial {number}", why) as said:
        ended = go(store, trial, "kept", why=why, comparison=compared(store, trial, settings))
        said.done(after={"state": ended.state})
    return ended


def finish(
    store: Store,
    settings: Settings,
    cache: Cache,
    trial: Trial,
    why: str,
    caller: Caller,
    now: float | None = None,
) -> Trial:
    """Take a trial's settings back, by whoever is the first to see that it is time. As take_back()."""
    result = compared(store, trial, settings, now)
    return take_back(store, cache, go(store, trial, "ending", why=why, comparison=result), caller)


def take_back(store: Store, cache: Cache, trial: Trial, caller: Caller, *, failed: bool = False) -> Trial:
    """Of a trial that is "ending": give the nodes back what they had. It is "stuck" as long as one cannot be reached.

    failed: it could not be started in the first place. Audited where something is sent. Raises HasEnded,
    StoreUnavailable.
    """
    try:
        way = putting.way_back(cache, _changes_of(store, trial))
    except CacheError as error:
        return _stuck(store, trial, [f"It cannot be taken back yet: {error.sentence}"])
    steps, number = way.steps, None
    if way.due:
        action, kind = ACTIONS[trial.purpose][1], _KINDS[trial.purpose][1]
        with audited(store, caller, cache, action, f"trial {trial.number}", trial.why) as said:
            back = putting.give_back(store, cache, way, kind, Asked(caller.name, caller.address, trial.why))
            said.done(after=tuning.outcome(back))
        steps, number = back.nodes, back.number
    missing = [one for one in steps if one.state != "applied"]
    if missing:
        told = [f"{one.node} has not taken it back yet: {one.sentence}" for one in missing]
        return _stuck(store, trial, told, number)
    trials.note(store, trial.number, [f"{one.node}: {one.sentence}" for one in steps if one.sentence])
    return go(store, trial, "failed" if failed else "reverted", taken_back=number)


def undo(store: Store, cache: Cache, trial: Trial, change: SettingChange, caller: Caller) -> None:
    """Take back what was still being sent for a trial while somebody else ended it. Raises CacheError."""
    way = putting.way_back(cache, [change])
    if not way.due:
        return
    why = f"Trial {trial.number} was ended while its settings were being sent."
    with audited(store, caller, cache, ACTIONS[trial.purpose][1], f"trial {trial.number}", why) as said:
        asked = Asked(caller.name, caller.address, why)
        said.done(after=tuning.outcome(putting.give_back(store, cache, way, _KINDS[trial.purpose][1], asked)))


def _stuck(store: Store, trial: Trial, told: list[str], number: int | None = None) -> Trial:
    trials.note(store, trial.number, told)
    return go(store, trial, "stuck", taken_back=number)


def compared(store: Store, trial: Trial, settings: Settings, now: float | None = None) -> Mapping[str, JSON] | None:
    """The time before a trial and the time since, as JSON of before_after.Comparison; None without samples."""
    if trial.purpose != "trial":
        return None
    now = time.time() if now is None else now
    length = min(max(now - trial.started_at, BASELINE_SECONDS), COMPARED_SECONDS)
    before = windows(store, trial.cache, trial.started_at - length, trial.started_at, settings.sample_seconds)
    during = windows(store, trial.cache, trial.started_at, now, settings.sample_seconds)
    return compare(before, during).to_plain() if before and during else None


def _changes_of(store: Store, trial: Trial) -> list[SettingChange]:
    """What a trial has put on nodes: at its start, and again on those that had lost it."""
    if trial.change is None:
        return []
    first = setting_changes.get(store, trial.change)
    again = setting_changes.since(store, trial.cache, trial.change, "again")
    return [one for one in (first, *again) if one is not None and set(one.wanted) <= set(trial.wanted)]


def go(store: Store, trial: Trial, state: trials.State, **values: object) -> Trial:
    """On to another state, as trials.go. Raises HasEnded where somebody else was first."""
    gone = trials.go(store, trial, state, **values)  # type: ignore[arg-type]
    if gone is None:
        raise HasEnded(f"Somebody else has just ended trial {trial.number}.", "Load its page again.")
    return gone


def _as_dict(value: JSON) -> dict[str, JSON]:
    return dict(value) if isinstance(value, Mapping) else {}
