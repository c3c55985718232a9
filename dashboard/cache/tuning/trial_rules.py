"""When a trial has hurt: the limits that an operator sets beforehand, and what counts as crossing one. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dashboard.cache.wording import NARROW, count, percent, span

WINDOW_SECONDS = 60.0
"""Of what happened so lately a trial is judged: a minute smooths bursts, and is soon enough to go back."""
ENOUGH_READS = 100
"""Of fewer reads a hit ratio says nothing."""
SURE = 1.96
"""Standard deviations: a fall within what chance does in one of twenty windows is none."""
SHORTEST, LONGEST = 10.0, 7 * 86400.0
"""Seconds that a trial may take."""


class BadGuards(ValueError):
    """A limit makes no sense; the text is the sentence for the form."""


@dataclass(frozen=True)
class Guards:
    """Limits; None: not watched. hit_ratio_points: it may fall by so many points (of 100) below what it was before.
    evictions: keys per second. p99_ms: of all commands together, by LATENCY HISTOGRAM."""

    hit_ratio_points: float | None = None
    evictions: float | None = None
    p99_ms: float | None = None

    def __post_init__(self) -> None:
        limits = ((self.hit_ratio_points, 0.1, 100), (self.evictions, 0, 1e9), (self.p99_ms, 0.001, 60_000))
        for value, least, most in limits:
            if value is not None and not (math.isfinite(value) and least <= value <= most):
                raise BadGuards(f"A limit is a number from {least:g} to {most:g}.")

    @property
    def in_words(self) -> str:
        """'the hit ratio falls by more than 2 points, or evictions exceed 5 k/s'; "" without any."""
        said = []
        if self.hit_ratio_points is not None:
            points = f"{self.hit_ratio_points:g} point{'' if self.hit_ratio_points == 1 else 's'}"
            said.append(f"the hit ratio falls by more than {points}")
        if self.evictions is not None:
            said.append(f"evictions exceed {count(self.evictions)}/s")
        if self.p99_ms is not None:
            said.append(f"p99 rises above {self.p99_ms:g}{NARROW}ms")
        return ", or ".join(said)

    def to_plain(self) -> dict[str, float | None]:
        return asdict(self)


def guards_of(plain: Mapping[str, Any]) -> Guards:
    """What to_plain() has written. Raises BadGuards."""
    try:
        return Guards(**{name: None if value is None else float(value) for name, value in plain.items()})
    except (TypeError, ValueError) as error:
        raise BadGuards(str(error)) from error


@dataclass(frozen=True)
class Window:
    """What happened on all primaries together in some seconds. p99_ms: None where the server does not tell it.

    operations: commands that were carried out. memory: bytes that count against maxmemory, at the end. Both None where
    nobody has looked.
    """

    seconds: float
    hits: float
    misses: float
    evictions: float
    p99_ms: float | None = None
    operations: float | None = None
    memory: float | None = None

    @property
    def reads(self) -> float:
        return self.hits + self.misses

    @property
    def hit_ratio(self) -> float | None:
        return self.hits / self.reads if self.reads else None

    def to_plain(self) -> dict[str, float | None]:
        return asdict(self)


def window_of(plain: Mapping[str, Any]) -> Window | None:
    """What to_plain() has written; None for anything else."""
    try:
        return Window(**plain)
    except TypeError:
        return None


def crossed(guards: Guards, before: Window | None, lately: Window) -> str:
    """Why a trial is to be taken back, as a sentence; "" while it may go on."""
    if guards.evictions is not None and lately.seconds > 0:
        rate = lately.evictions / lately.seconds
        if rate > guards.evictions:
            return f"{count(rate)} evictions/s{_lately(lately)}: more than {count(guards.evictions)}/s."
    if guards.p99_ms is not None and lately.p99_ms is not None and lately.p99_ms > guards.p99_ms:
        return f"p99 {lately.p99_ms:.3g}{NARROW}ms{_lately(lately)}: above {guards.p99_ms:g}{NARROW}ms."
    return _fallen(guards.hit_ratio_points, before, lately)


def _fallen(points: float | None, before: Window | None, lately: Window) -> str:
    """By more than so many points, and by more than chance: the two ratios' binomial errors are taken off first."""
    if points is None or before is None or before.reads < ENOUGH_READS or lately.reads < ENOUGH_READS:
        return ""
    was, is_now = before.hits / before.reads, lately.hits / lately.reads
    error = math.sqrt(was * (1 - was) / before.reads + is_now * (1 - is_now) / lately.reads)
    if 100 * (was - is_now - SURE * error) <= points:
        return ""
    return (
        f"The hit ratio fell from {percent(was)} to {percent(is_now)}{_lately(lately)}: by more than {points:g} points."
    )


def _lately(window: Window) -> str:
    return f" over the last {span(window.seconds)}"
