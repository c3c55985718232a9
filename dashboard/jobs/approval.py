"""From which size on an invalidation needs the approval of another operator.

Judged by the upper end of every interval, and what cannot be judged needs approval: a threshold that is set is meant.
"""

from __future__ import annotations

import math
from typing import Protocol

from dashboard.cache.estimate import Estimate
from dashboard.cache.invalidation.report import Plan
from dashboard.cache.wording import size

MB = 1024 * 1024


class Thresholds(Protocol):
    """The settings. 0 turns one off."""

    @property
    def approve_keys(self) -> int: ...
    @property
    def approve_mb(self) -> int: ...
    @property
    def approve_percent(self) -> float: ...


def asked_for(settings: Thresholds) -> bool:
    """Whether there is any threshold."""
    return bool(settings.approve_keys or settings.approve_mb or settings.approve_percent)


def needs_approval(settings: Thresholds, plan: Plan, *, listed: bool = False) -> str:
    """Why a plan needs the approval of another operator, a sentence; "" where it does not.

    listed: it is about a list of keys, so that its walk has not seen how many there are.
    """
    found = plan.report.keys
    if not found.high:
        return ""
    return (
        _by_keys(settings, found)
        or _by_share(settings, found, _population(plan, listed))
        or _by_memory(settings, plan.report.memory)
    )


def most_unapproved(settings: Thresholds, plan: Plan, *, listed: bool = False) -> int | None:
    """How many keys may be done without approval: an execution that meets more stops there. None where any number.

    Bytes are turned into keys by the plan's ratio of both, the lower end of keys against the upper end of bytes.
    """
    bounds = []
    if settings.approve_keys:
        bounds.append(settings.approve_keys - 1)
    if settings.approve_percent:
        bounds.append(math.ceil(settings.approve_percent / 100 * _population(plan, listed)) - 1)
    memory = plan.report.memory
    if settings.approve_mb and memory is not None and memory.high and plan.report.keys.high:
        bounds.append(math.ceil(settings.approve_mb * MB * plan.report.keys.high / memory.high) - 1)
    return max(min(bounds), 0) if bounds else None


def _by_keys(settings: Thresholds, found: Estimate) -> str:
    most = settings.approve_keys
    if not most or found.high < most:
        return ""
    return f"{_up_to(found)}{_count(found.high)}: from {_count(most)} on another operator has to approve it."


def _by_share(settings: Thresholds, found: Estimate, population: float) -> str:
    percent = settings.approve_percent
    if not percent:
        return ""
    if not population:
        return (
            "How many keys there are is not known: where a share of them asks for it, another operator has to approve."
        )
    share = 100 * found.high / population
    if share < percent:
        return ""
    told = f"{_up_to(found)}{share:.3g} % of all keys"
    return f"{told}: from {percent:.10g} % on another operator has to approve it."


def _by_memory(settings: Thresholds, memory: Estimate | None) -> str:
    if not settings.approve_mb:
        return ""
    if memory is None:
        return "How many bytes they take is not known: where that asks for it, another operator has to approve."
    if memory.high < settings.approve_mb * MB:
        return ""
    told = f"{_up_to(memory)}{size(memory.high)}"
    return f"{told}: from {size(settings.approve_mb * MB)} on another operator has to approve it."


def _population(plan: Plan, listed: bool) -> float:
    """All keys of the cache: as the samples or DBSIZE say, or as many as were looked at; 0 where that is not known."""
    walked = 0 if listed else max(plan.progress.total, plan.report.population)
    share = plan.effect.keys_share
    return max(walked, plan.report.keys.value / share if share else 0)


def _up_to(found: Estimate) -> str:
    return "" if found.exact else "Up to "


def _count(keys: float) -> str:
    return f"{math.ceil(keys):,} {'key' if math.ceil(keys) == 1 else 'keys'}"
