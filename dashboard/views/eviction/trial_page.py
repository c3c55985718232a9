"""What the page of one trial says: how it stands, by what it is judged, and what was different in it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from flask import current_app

from dashboard.cache.servers.connect import Cache
from dashboard.cache.tuning.before_after import Comparison, of_plain
from dashboard.cache.tuning.trial_rules import (
    ENOUGH_READS,
    WINDOW_SECONDS,
    BadGuards,
    Guards,
    Window,
    guards_of,
    window_of,
)
from dashboard.cache.wording import NARROW, count, percent, span
from dashboard.jobs import trying
from dashboard.store import setting_changes, trials
from dashboard.store.trials import Trial
from dashboard.views.access import current_cache
from dashboard.views.deck import deck
from dashboard.views.eviction import setting_words
from dashboard.views.eviction.trial_banner import banners
from dashboard.views.kept_looks import KeptLooks

FRESH_SECONDS = 20.0
_EXTENSION = "cachedeck_comparisons"

VERDICTS = {
    "better": ("better", "ok"),
    "worse": ("worse", "bad"),
    "differs": ("differs", "info"),
    "same": ("same", "quiet"),
    "unknown": ("not known", "quiet"),
}


@dataclass(frozen=True)
class Watched:
    """One limit. was, now, limit: in words, "" where unknown; used: now as a share of the way to the limit, None where
    unknown, above 1 where it is crossed."""

    label: str
    was: str
    now: str
    limit: str
    used: float | None = None


def trial_context(trial: Trial) -> dict[str, Any]:
    """Everything that the page draws."""
    now = time.time()
    word, level = setting_words.TRIAL_STATES[trial.state]
    before = window_of(trial.baseline)
    since = now - trial.started_at
    lately = trying.window(deck().store, trial.cache, min(WINDOW_SECONDS, since), now) if trial.open else None
    guards = _guards(trial)
    stored = of_plain(trial.comparison)
    begun = setting_changes.get(deck().store, trial.change) if trial.change is not None else None
    return {
        "trial": trial,
        "word": word,
        "level": level,
        "title": setting_words.title_of(trial),
        "steps": setting_words.steps_of(begun) if begun else (),
        "banner": next((one for one in banners(trial.cache) if one.number == trial.number), None),
        "sooner": guards.in_words if guards else "",
        "watched": watched(guards, before, lately) if guards else (),
        "lately": lately,
        "window": span(min(WINDOW_SECONDS, max(since, 1.0))),
        "comparison": stored or (_so_far(trial, now) if trial.open else None),
        "so_far": trial.open,
        "verdicts": VERDICTS,
        "lasted": (trial.ended_at or now) - trial.started_at,
        "lasted_share": min(since / trial.seconds, 1.0) if trial.open else None,
        "polls": 2 if trial.open else 0,
    }


def watched(guards: Guards, before: Window | None, lately: Window | None) -> tuple[Watched, ...]:
    """Each limit beside how things are."""
    found = []
    if guards.hit_ratio_points is not None:
        found.append(_hit_ratio(guards.hit_ratio_points, before, lately))
    if guards.evictions is not None:
        rate = lately.evictions / lately.seconds if lately and lately.seconds else None
        was = before.evictions / before.seconds if before and before.seconds else None
        used = rate / guards.evictions if rate is not None and guards.evictions else None
        found.append(Watched("Evictions", _rate(was), _rate(rate), f"above {_rate(guards.evictions)}", used))
    if guards.p99_ms is not None:
        p99 = lately.p99_ms if lately else None
        used = p99 / guards.p99_ms if p99 is not None else None
        limit = f"above {_ms(guards.p99_ms)}"
        found.append(Watched("p99 of commands", _ms(before.p99_ms if before else None), _ms(p99), limit, used))
    return tuple(found)


def _hit_ratio(points: float, before: Window | None, lately: Window | None) -> Watched:
    was = before.hit_ratio if before else None
    is_now = lately.hit_ratio if lately and lately.reads >= ENOUGH_READS else None
    if was is None or before is None or before.reads < ENOUGH_READS:
        limit = "not watched: too few reads before"
        return Watched("Hit ratio", "", percent(is_now) if is_now is not None else "", limit)
    used = None if is_now is None else max(100 * (was - is_now) / points, 0.0)
    limit = f"below {percent(max(was - points / 100, 0.0))}"
    return Watched("Hit ratio", percent(was), percent(is_now) if is_now is not None else "", limit, used)


def _rate(value: float | None) -> str:
    return "" if value is None else f"{count(value)}/s"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}{NARROW}ms"


def _guards(trial: Trial) -> Guards | None:
    try:
        return guards_of(trial.guards)
    except BadGuards:
        return None


def _so_far(trial: Trial, now: float) -> Comparison | None:
    """The comparison up to now. It reads up to two hours of samples, so one serves all who look for a while."""

    def look(_cache: Cache) -> tuple[int, Comparison | None]:
        return trial.number, of_plain(trying.compared(deck().store, trial, deck().settings, now))

    number, found = _comparisons().latest(current_cache(), look, FRESH_SECONDS) or (0, None)
    return found if number == trial.number else None


def _comparisons() -> KeptLooks[tuple[int, Comparison | None]]:
    """Those of the current application."""
    found = current_app.extensions.setdefault(_EXTENSION, KeptLooks[tuple[int, Comparison | None]]())
    assert isinstance(found, KeptLooks)  # noqa: S101  (narrows the type; nobody else writes it)
    return found


def trial_of(number: int) -> Trial | None:
    """A trial of the URL's cache."""
    found = trials.get(deck().store, number)
    return found if found and found.cache == current_cache().name else None
