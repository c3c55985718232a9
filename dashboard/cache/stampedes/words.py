"""A watch for stampedes in words: what happened to a key, what would help, and what the watch has missed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dashboard.cache.notifications.cost import Cost, cost_of
from dashboard.cache.stampedes.count import REDUNDANT
from dashboard.cache.stampedes.report import AbsentKey, Alert, Cause, Episode, Stampedes
from dashboard.cache.wording import count, duration, number_of, percent

Where = Literal["", "retiming", "eviction", "invalidation"]
TOLERATED = 0.001
"""The servers' own count and the events are not read at the same moment: so small a share says nothing."""
MANY_TOGETHER = 3
_AFTER: dict[Cause, str] = {
    "expired": "after expiry",
    "evicted": "after eviction",
    "deleted": "after it was removed",
    "": "",
}


@dataclass(frozen=True)
class Remedy:
    """What helps. where: on which screen it is done, "" where it is done in the application."""

    name: str
    sentence: str
    where: Where = ""


def happened(one: Episode) -> str:
    """'214 misses in 180 ms after expiry; one refill would have done.'"""
    words = (number_of(one.misses, "miss", "misses"), f"in {_time(one.seconds)}", _AFTER[one.cause])
    if one.refill is None:
        return f"{' '.join(filter(None, words))}; it is not refilled yet."
    return f"{' '.join(filter(None, words))}; one refill would have done."


def evidence(one: Episode) -> str:
    """What was seen of its refills, and how sure that makes it."""
    if one.refill is None:
        return "No refill and no sign of a lock was seen so far."
    first = f"after {_time(one.refill)}"
    if one.redundant >= REDUNDANT:
        held = f", although {one.lock} looks like its lock" if one.lock else ""
        return f"It was written {number_of(one.refills, 'time')}, first {first}{held}."
    several = "One refill was" if one.refills == 1 else f"{count(one.refills)} refills were"
    return f"{several} seen, first {first}, and no sign of a lock: what the other readers did is not known."


def again(alert: Alert) -> str:
    """'3 times, 612 misses in all; the worst with 214.'; "" for one that came once."""
    if alert.episodes == 1:
        return ""
    worst = "" if alert.worst == alert.latest else f"; the worst with {count(alert.worst.misses)}"
    return f"{count(alert.episodes)} times, {count(alert.misses)} misses in all{worst}."


def remedies(alert: Alert, p99: float | None) -> tuple[Remedy, ...]:
    """What helps against this one, the first first. p99: of its namespace's refills, seconds."""
    one = alert.latest
    found = [_lock(one, p99)]
    if one.cause == "expired":
        found.append(
            Remedy(
                "Early refresh",
                "Refill it while it is still there: the nearer its expiry, the likelier a reader does so beforehand.",
            )
        )
    if one.cause == "expired" and alert.together >= MANY_TOGETHER:
        found.append(
            Remedy(
                "Jitter",
                f"{count(alert.together)} keys of {alert.namespace} had one within two seconds: "
                "spread their TTLs, so that they do not expire together.",
                "retiming",
            )
        )
    if one.cause == "evicted":
        found.append(Remedy("Memory", "It was evicted while it is in use: more memory or another policy.", "eviction"))
    if one.cause == "deleted":
        found.append(
            Remedy(
                "Gentle invalidation",
                "Keep the old value while the new one is made: mark it stale, or write the new one instead of "
                "removing the old.",
                "invalidation",
            )
        )
    return tuple(found)


def _lock(one: Episode, p99: float | None) -> Remedy:
    slowest = max(p99 or 0.0, one.refill or 0.0)
    lasts = f" It should outlast a refill ({_time(slowest)} here)." if slowest else ""
    if one.lock:
        return Remedy("Lock", f"{one.lock} did not hold: look for the key again once the lock is taken.{lasts}")
    return Remedy("Lock", f"Let one reader refill it; the others wait, or take an old value meanwhile.{lasts}")


def absent(one: AbsentKey) -> str:
    """What is so with a key that is never filled."""
    before = f" It was there before: {_AFTER[one.cause]}." if one.cause else ""
    return f"{number_of(one.misses, 'miss', 'misses')} in {duration(one.seconds)}, never filled.{before}"


def answer(found: Stampedes, *, ended: bool) -> str:
    """The sentence on top of the page."""
    misses = number_of(found.misses, "miss", "misses")
    if not found.alerts:
        held = f" {number_of(found.held, 'time')} one reader refilled a key under a lock." if found.held else ""
        return f"No stampede among {misses}{'' if ended else ' so far'}.{held}"
    worst = max(found.alerts, key=lambda one: one.worst.misses)
    keys = f"{number_of(len(found.alerts), 'key')} had a stampede"
    name = worst.key.text if len(worst.key.text) <= 120 else f"{worst.key.text[:100]}…"
    return f"{keys}, the worst {name} with {number_of(worst.worst.misses, 'miss', 'misses')}. {misses} in all."


def held(found: Stampedes) -> str:
    """What is not known of the episodes in which a lock was seen and one refill; "" where there were none."""
    if not found.held:
        return ""
    return (
        f"{number_of(found.held, 'time')} a key was missed as often and refilled once, under a lock. Whether those "
        "without the lock waited, or asked the database as well and kept the answer to themselves, no event tells: the "
        "database's own count of queries does."
    )


def unheard(missed: int, counted: int, *, gaps: bool) -> str:
    """What the servers counted and nobody heard of; "" where that is nothing."""
    if missed <= max(TOLERATED * counted, 20):
        return ""
    why = "in the gaps below, or in other databases" if gaps else "lost, or in other databases"
    told = f"{percent(missed / counted)} of the misses that the servers counted ({count(counted)})"
    return f"{told} were not heard of: {why}."


def left_out(found: Stampedes) -> tuple[str, ...]:
    """What there was no room for."""
    said = []
    if found.given_up:
        said.append(
            f"{number_of(found.given_up, 'key')} had to be given up while they were missed, as there are too many: "
            "of these, stampedes may not have been seen."
        )
    if found.alerts_dropped:
        said.append(f"{number_of(found.alerts_dropped, 'smaller alert')} found no room in the list.")
    return tuple(said)


def spent(events: int, sent: int, seconds: float) -> Cost | None:
    """What the events cost the servers so far; None before a second is over."""
    return cost_of(events / seconds, sent / events if events else 0.0) if seconds >= 1 else None


def own_cost(events: int, cpu: float, seconds: float) -> str:
    """What Cachedeck's worker spent on it."""
    if not events or seconds <= 0:
        return ""
    return (
        f"Cachedeck's worker took {cpu / events * 1e6:.1f}\u202fµs for an event, {percent(cpu / seconds)} of one core."
    )


def _time(seconds: float) -> str:
    return duration(seconds) if seconds >= 0.001 else "less than 1\u202fms"
