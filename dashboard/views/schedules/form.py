"""The form of a schedule as people type it: which keys, how, and when, in UTC."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dashboard.cache.invalidation.mode import BadMode
from dashboard.cache.invalidation.task import BadTell, Task, task_from_query
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.jobs import cron
from dashboard.jobs.cron import BadCron
from dashboard.views.bad_field import BadField
from dashboard.views.invalidations.form import Typed, of_task, task_of, typed

FARTHEST = 5 * 366 * 86400.0  # seconds
SELECTS = ("pattern", "type", "ttl", "size")
USUAL_CRON = "0 3 * * *"


@dataclass(frozen=True)
class When:
    """once: at `at`, as a browser writes a time; else by `cron`."""

    once: bool
    at: str
    cron: str = USUAL_CRON


@dataclass(frozen=True)
class Form:
    """What stands in the form's fields, and what is wrong with them."""

    pattern: str
    selection: Selection
    how: Typed
    when: When
    reason: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What a form asks for, understood. cron: "" where it is done once."""

    task: Task
    cron: str
    next_at: float


def empty(query: Mapping[str, str]) -> Form:
    """The form for the keys of an address, done as that says, if it does. Raises BadSelection."""
    selection = from_query({name: query[name] for name in SELECTS if name in query})
    try:
        how = of_task(task_from_query(query))
    except (BadSelection, BadMode, BadTell):
        how = Typed()
    return Form(query.get("pattern", ""), selection, how, When(False, _in_an_hour()))


def read(fields: Mapping[str, str]) -> tuple[Form, Wanted | None]:
    """What was sent, and what it asks for: None where that says nothing sensible, and the form says why."""
    when = When(
        fields.get("when", "") == "once",
        fields.get("at", "").strip(),
        fields.get("cron", "").strip(),
    )
    errors: dict[str, str] = {}
    selection, task, next_at = Selection(), None, 0.0
    try:
        # Filters alone select among all keys, which is meant; nothing at all never is.
        selection = task_from_query({name: fields[name] for name in SELECTS if fields.get(name)}).selection
        task = task_of(typed(fields), Task(selection))
    except BadSelection as error:
        errors["pattern"] = str(error)
    except BadField as error:
        errors[error.name] = error.sentence
    if selection.everything and not errors and fields.get("everything", "") != "*":
        errors["everything"] = "This is about every key: type * to say that you mean it."
    try:
        when, next_at = _understood(when)
    except BadField as error:
        errors[error.name] = error.sentence
    form = Form(fields.get("pattern", ""), selection, typed(fields), when, fields.get("reason", "").strip(), errors)
    if errors or task is None:
        return form, None
    return form, Wanted(task, "" if when.once else when.cron, next_at)


def _understood(when: When) -> tuple[When, float]:
    """The first time at which it is due. Raises BadField."""
    now = time.time()
    if not when.once:
        try:
            return When(False, when.at, cron.normal(when.cron)), cron.next_after(when.cron, now)
        except BadCron as error:
            raise BadField("cron", str(error)) from None
    try:
        at = datetime.fromisoformat(when.at)
        stamp = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadField("at", "Write a time such as 2030-01-31 03:00, in UTC.") from None
    if stamp <= now:
        raise BadField("at", f"This time is over: it is {_written(now)} UTC.")
    if stamp > now + FARTHEST:
        raise BadField("at", "This is more than five years away.")
    return when, stamp


def _in_an_hour() -> str:
    return _written((time.time() // 3600 + 2) * 3600)


def _written(at: float) -> str:
    """As a field for a time wants it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M")
