"""Trials: settings that take themselves back. What is open, until when, and how each ended.

A trial goes through its states by compare-and-set, so any number of workers may look after it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError

from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.schema import TrialRow
from dashboard.store.setting_changes import Asked
from dashboard.store.trail import storable

Purpose = Literal["trial", "events", "notifications"]
"""trial: settings that are tried and judged. events: notifications that a job has switched on for as long as it takes.
notifications: those that an operator has switched on for a bounded time."""

State = Literal["starting", "running", "ending", "reverted", "kept", "stuck", "failed"]
OPEN: tuple[State, ...] = ("starting", "running", "ending", "stuck")
"""starting: what is to be changed is being sent. ending: it is being taken back. stuck: that did not work everywhere
yet, and is tried again. failed: it could not be started (what was sent is taken back)."""

MOST_NOTES = 50


@dataclass(frozen=True)
class Trial:
    """One trial. guards, baseline and comparison are JSON of cache/tuning/trial_rules.py. why: how it came to end."""

    number: int
    cache: str
    purpose: Purpose
    state: State
    wanted: Mapping[str, str]
    replicas: bool
    guards: Mapping[str, Any]
    baseline: Mapping[str, Any]
    notes: tuple[str, ...]
    comparison: Mapping[str, Any] | None
    why: str
    actor: str
    address: str
    reason: str
    started_at: float
    seconds: float
    ends_at: float
    change: int | None = None
    taken_back: int | None = None
    ended_at: float | None = None

    @property
    def open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True)
class Draft:
    """A trial as it is asked for."""

    cache: str
    purpose: Purpose
    wanted: Mapping[str, str]
    seconds: float
    asked: Asked
    replicas: bool = False
    guards: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] = field(default_factory=dict)


class OneIsOpen(StoreError):
    """A cache has one open trial at most, and one of notifications, whoever asked for them: the second would take what
    the first has set for what was there before."""


class NoSuchTrial(StoreError):
    """No trial has this number."""


def begin(store: Store, draft: Draft) -> Trial:
    """Add a trial, starting: what it changes is to be sent next, by the caller. Raises OneIsOpen, StoreUnavailable.

    From now on it ends by itself, whatever becomes of the caller.
    """
    now = time.time()
    row = TrialRow(
        cache=draft.cache,
        purpose=draft.purpose,
        open=f"{'trial' if draft.purpose == 'trial' else 'events'} {draft.cache}",
        state="starting",
        wanted=json.dumps(dict(draft.wanted)),
        replicas=draft.replicas,
        guards=json.dumps(dict(draft.guards)),
        baseline=json.dumps(dict(draft.baseline)),
        notes="[]",
        why="",
        actor=storable(draft.asked.actor),
        address=storable(draft.asked.address),
        reason=storable(draft.asked.reason),
        started_at=now,
        seconds=draft.seconds,
        ends_at=now + draft.seconds,
    )
    try:
        with store.write() as session:
            session.add(row)
            session.flush()
            return _trial(row)
    except IntegrityError:
        if draft.purpose == "trial":
            raise OneIsOpen(f"A trial is going on on {draft.cache} already.", "End it first.") from None
        sentence = f"Notifications are on for a bounded time on {draft.cache} already."
        raise OneIsOpen(sentence, "End that first, on the page to which the banner leads.") from None


def get(store: Store, number: int) -> Trial | None:
    """One trial. Raises StoreUnavailable."""
    if not 0 < number < 2**63:
        return None
    with store.read() as session:
        row = session.get(TrialRow, number)
        return _trial(row) if row else None


def open_on(store: Store, caches: Collection[str]) -> list[Trial]:
    """What has not ended on these caches, the oldest first. Raises StoreUnavailable."""
    query = select(TrialRow).where(TrialRow.open.is_not(None), TrialRow.cache.in_(list(caches)))
    with store.read() as session:
        return [_trial(row) for row in session.scalars(query.order_by(TrialRow.id))]


def of_cache(store: Store, cache: str, most: int = 50, purpose: Purpose | None = "trial") -> list[Trial]:
    """A cache's trials, the newest first; those of any purpose for None. Raises StoreUnavailable."""
    query = select(TrialRow).where(TrialRow.cache == cache)
    if purpose is not None:
        query = query.where(TrialRow.purpose == purpose)
    with store.read() as session:
        return [_trial(row) for row in session.scalars(query.order_by(TrialRow.id.desc()).limit(most))]


def go(
    store: Store,
    trial: Trial,
    state: State,
    *,
    why: str | None = None,
    change: int | None = None,
    taken_back: int | None = None,
    comparison: Mapping[str, Any] | None = None,
) -> Trial | None:
    """On to another state, from the one that `trial` shows; None where somebody else was first.

    What is None stays as it is. In a state that is not OPEN the trial has ended. Raises StoreUnavailable.
    """
    values: dict[str, Any] = {"state": state}
    values |= {"why": storable(why)} if why is not None else {}
    values |= {"change": change} if change is not None else {}
    values |= {"taken_back": taken_back} if taken_back is not None else {}
    values |= {"comparison": json.dumps(dict(comparison))} if comparison is not None else {}
    values |= {} if state in OPEN else {"open": None, "ended_at": time.time()}
    statement = update(TrialRow).where(TrialRow.id == trial.number, TrialRow.state == trial.state).values(**values)
    with store.write() as session:
        if cast("CursorResult[Any]", session.execute(statement)).rowcount != 1:
            return None
        row = session.get(TrialRow, trial.number)
        return _trial(row) if row else None


def note(store: Store, number: int, sentences: Sequence[str]) -> None:
    """Add to what happened meanwhile; a sentence that stands there already is not added. Raises StoreUnavailable."""
    with store.write() as session:
        row = session.get(TrialRow, number, with_for_update=True)
        if row is None:
            raise NoSuchTrial("There is no such trial.")
        notes: list[str] = json.loads(row.notes)
        row.notes = json.dumps([*notes, *(storable(one) for one in sentences if one not in notes)][:MOST_NOTES])


def _trial(row: TrialRow) -> Trial:
    return Trial(
        number=row.id,
        cache=row.cache,
        purpose=row.purpose,  # type: ignore[arg-type]
        state=row.state,  # type: ignore[arg-type]
        wanted=json.loads(row.wanted),
        replicas=row.replicas,
        guards=json.loads(row.guards),
        baseline=json.loads(row.baseline),
        notes=tuple(json.loads(row.notes)),
        comparison=json.loads(row.comparison) if row.comparison else None,
        why=row.why,
        actor=row.actor,
        address=row.address,
        reason=row.reason,
        started_at=row.started_at,
        seconds=row.seconds,
        ends_at=row.ends_at,
        change=row.change,
        taken_back=row.taken_back,
        ended_at=row.ended_at,
    )
