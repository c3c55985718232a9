"""The list of a cache's schedules: which keys, how, when, and what came of it last."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dashboard.cache.invalidation.mode import BadMode
from dashboard.cache.invalidation.task import BadTell, Task, task_from_query
from dashboard.cache.selecting.selection import BadSelection
from dashboard.cache.selecting.words import in_words
from dashboard.jobs import cron, invalidating
from dashboard.jobs.cron import BadCron
from dashboard.jobs.invalidating import Refused
from dashboard.jobs.scheduler import NOTHING
from dashboard.store import schedules
from dashboard.store.schedules import Schedule
from dashboard.views.deck import deck
from dashboard.views.invalidations.page import LEVELS, how

TIMES = 3
"""So many of the next times are told while an expression is typed."""


@dataclass(frozen=True)
class Line:
    """One schedule. words: which keys; how: what happens to them; when: in words.

    state, level: of the schedule. last, last_level: what came of it last in a word, "" where nothing did; note: in a
    sentence, "" where there is nothing to say. link: whether that invalidation is still known. query: its selection,
    {} where this version cannot read it. may_enable: whether it rests, and has something to come.
    """

    one: Schedule
    words: str
    how: str
    when: str
    state: str
    level: str
    last: str
    last_level: str
    note: str
    link: bool
    query: dict[str, str]
    may_enable: bool


@dataclass(frozen=True)
class Told:
    """What an expression says: in words, with the next times; or what is wrong with it."""

    words: str = ""
    times: tuple[float, ...] = ()
    wrong: str = ""


def lines_of(cache: str) -> list[Line]:
    """A cache's schedules: what comes next stands first."""
    return [_line(one) for one in schedules.of_cache(deck().store, cache)]


def task_of(one: Schedule) -> Task | None:
    """What it does; None where another version wrote what this one cannot read."""
    try:
        return task_from_query(one.task)
    except (BadSelection, BadMode, BadTell):
        return None


def when_of(one: Schedule) -> str:
    """`0 3 * * *`, `once`."""
    return one.cron or "once"


def next_time(one: Schedule) -> float | None:
    """When it would be due next if it were enabled now; None where its time is over."""
    now = time.time()
    if not one.cron:
        return one.next_at if one.next_at and one.next_at > now else None
    try:
        return cron.next_after(one.cron, now)
    except BadCron:
        return None


def told(expression: str) -> Told:
    """What an expression says."""
    try:
        return Told(cron.in_words(expression), tuple(cron.next_times(expression, time.time(), TIMES)))
    except BadCron as error:
        return Told(wrong=str(error))


def _line(one: Schedule) -> Line:
    task = task_of(one)
    state, level = ("over", "quiet") if one.over else ("enabled", "ok") if one.enabled else ("disabled", "quiet")
    last, last_level, note, link = _last(one)
    return Line(
        one=one,
        words=_first(in_words(task.selection)) if task else "Keys that this version of Cachedeck cannot select",
        how=f"{_first(how(task))}." if task else "",
        when=_in_words(one),
        state=state,
        level=level,
        last=last,
        last_level=last_level,
        note=note,
        link=link,
        query=task.selection.to_query() if task else {},
        may_enable=not one.enabled and next_time(one) is not None,
    )


def _in_words(one: Schedule) -> str:
    if not one.cron:
        return "Once"
    try:
        return f"{cron.in_words(one.cron)}, UTC"
    except BadCron:
        return one.cron


def _last(one: Schedule) -> tuple[str, str, str, bool]:
    """Word and level of what came of it last, a sentence, and whether its invalidation can be looked at."""
    standing, known = None, False
    if one.last_invalidation is not None:
        try:
            standing = invalidating.current(deck().store, deck().settings, one.last_invalidation)
            known = standing is not None
        except Refused:
            known = True
    if one.last_error == NOTHING:
        return "no such key", "quiet", "", known
    if one.last_error:
        return "not done", "warn", one.last_error, known
    if standing is not None:
        return standing.state, LEVELS[standing.state], _waits(standing.state, standing.needs), known
    if one.last_at is None:
        return "", "quiet", "", False
    return ("taken", "info", "", False) if one.last_invalidation is None else ("forgotten", "quiet", "", False)


def _waits(state: str, needs: str) -> str:
    return f"{needs} Once that is done it goes on by itself." if state == "waits for approval" else ""


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
