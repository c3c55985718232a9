"""How a trial is asked for: how long, and the limits that take it back, filled in from how things are now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.cache.tuning.trial_rules import LONGEST, SHORTEST, BadGuards, Guards, Window
from dashboard.cache.wording import NARROW, count, percent
from dashboard.views.bad_field import BadField
from dashboard.views.duration_input import BadDuration, parse_duration, with_units

MINUTES_30 = "30m"
POINTS = "2"
LEAST_EVICTIONS = 100.0
LEAST_P99_MS = 1.0
ROOM = 2.0
"""A limit is offered at about twice of what is there now: below that it would trip over the usual ups and downs. In a
cache that fills, evictions come to about what is missed, as most of that is put there."""


@dataclass(frozen=True)
class TrialForm:
    """What stands in the form. now_*: what there is at present, in words, "" where it is not known."""

    seconds: str
    hit_ratio_points: str
    evictions: str
    p99_ms: str
    now_hit_ratio: str = ""
    now_evictions: str = ""
    now_p99: str = ""


def offered(lately: Window | None, sent: Mapping[str, str] | None = None) -> TrialForm:
    """Values that make sense where nothing was sent. lately: what happened in the last minutes, None if unknown."""
    sent = sent or {}
    rate = lately.evictions / lately.seconds if lately and lately.seconds else None
    misses = lately.misses / lately.seconds if lately and lately.seconds else 0.0
    p99 = lately.p99_ms if lately else None
    ratio = lately.hit_ratio if lately else None
    return TrialForm(
        with_units(sent.get("for", "") or MINUTES_30),
        sent.get("hit_ratio_points", POINTS),
        sent.get("evictions", f"{rounded_up(max(ROOM * (rate or 0.0), ROOM * misses, LEAST_EVICTIONS)):.0f}"),
        sent.get("p99_ms", f"{rounded_up(max(ROOM * p99, LEAST_P99_MS)):g}" if p99 is not None else ""),
        percent(ratio) if ratio is not None else "",
        f"{count(rate)}/s" if rate is not None else "",
        f"{p99:.3g}{NARROW}ms" if p99 is not None else "",
    )


def asked_for(form: Mapping[str, str]) -> tuple[float, Guards]:
    """(seconds, limits) of what was sent; an empty limit is none. Raises BadField."""
    try:
        seconds = parse_duration(form.get("for", ""), least=SHORTEST, most=LONGEST)
    except BadDuration as error:
        raise BadField("for", str(error)) from error
    limits = {name: _limit(name, form.get(name, "")) for name in ("hit_ratio_points", "evictions", "p99_ms")}
    for name, value in limits.items():
        try:
            Guards(**{name: value})
        except BadGuards as error:
            raise BadField(name, str(error)) from error
    return seconds, Guards(**limits)


def rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 ... that is no smaller."""
    step = 10.0 ** math.floor(math.log10(value))
    return next(factor * step for factor in (1, 2, 5, 10) if factor * step >= value * (1 - 1e-9))


def _limit(name: str, text: str) -> float | None:
    text = text.strip().replace("\u202f", "").replace(" ", "")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise BadField(name, "A limit is a number, or empty.") from None
