"""What the removal of keys would mean: their share of the memory, and the reads that would find nothing. Pure.

A key that is asked for after its removal misses once and is then made anew, as caches are used. So the misses of the
first minute are the keys that are asked for within a minute. The server's idle times say how many were; where it keeps
none, the reads of all keys are taken to be spread evenly: of n keys, each read at r a second, n (1 - exp(-60 r)) are
read within a minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dashboard.cache.analysis.report import Report
from dashboard.cache.analysis.report_whole import idle_words
from dashboard.cache.estimate import Estimate
from dashboard.cache.invalidation.report import Effect

MINUTE = 60.0
_OCTAVES = 7  # idle times are counted in octaves of seconds, and these end at 64 s
_WITHIN = frozenset(idle_words(octave) for octave in range(_OCTAVES))


@dataclass(frozen=True)
class Traffic:
    """Of the whole cache: reads a second that find a key and that do not; keys, and bytes in use. None: not known."""

    hits: float | None = None
    misses: float | None = None
    keys: int | None = None
    memory: int | None = None


def effect(report: Report, traffic: Traffic) -> Effect:
    """What the removal of the report's keys would mean at the present traffic."""
    misses, basis = _misses(report, traffic)
    return Effect(
        memory_share=_share(report.memory.value if report.memory else None, traffic.memory),
        keys_share=_share(report.keys.value, traffic.keys),
        misses=misses,
        now=traffic.misses,
        basis=basis,
    )


def _share(part: float | None, whole: int | None) -> float | None:
    return min(part / whole, 1.0) if part is not None and whole else None


def _misses(report: Report, traffic: Traffic) -> tuple[Estimate | None, str]:
    if report.activity.kind == "idle" and report.activity.groups:
        recent = [group.keys for group in report.activity.groups if group.name in _WITHIN]
        found = _scaled(_sum(recent), 1 / 2 ** (_OCTAVES - 1))
        return _at_most(found, traffic.hits), "from how many of these keys were used within the last minute"
    if traffic.hits is None or not traffic.keys:
        return None, ""
    rate = traffic.hits / traffic.keys
    return (
        _scaled(report.keys, (1 - math.exp(-MINUTE * rate)) / MINUTE),
        f"from {traffic.hits:,.0f} hits a second, taken to be spread evenly over all keys",
    )


def _sum(parts: list[Estimate]) -> Estimate:
    return Estimate(sum(one.value for one in parts), sum(one.low for one in parts), sum(one.high for one in parts))


def _scaled(figure: Estimate, factor: float) -> Estimate:
    return Estimate(figure.value * factor, figure.low * factor, figure.high * factor)


def _at_most(figure: Estimate, hits: float | None) -> Estimate:
    """No more reads can miss than find something now."""
    if hits is None:
        return figure
    return Estimate(min(figure.value, hits), min(figure.low, hits), min(figure.high, hits))
