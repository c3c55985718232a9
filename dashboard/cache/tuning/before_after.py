"""What changed between the time before a trial and the trial: each figure's difference, with a 95 % interval. Pure.

Intervals are by batch means (B. Schmeiser, Operations Research 30, 1982: 10 to 30 batches): seconds that follow each
other resemble each other, so a time is cut into a few long batches, and how much these differ among themselves says
what chance does. Each is a ratio of sums, whose variance is that of its linearised residuals (W. G. Cochran, Sampling
Techniques, 1977, 6.4). Where batches still resemble their neighbours, the variance is widened by (1 + r) / (1 - r) with
r their correlation, at most 0.8, as SBatch does (E. K. Lada and J. R. Wilson, Journal of Simulation 2, 2008). The
difference takes Student's quantile at Welch's degrees of freedom (B. L. Welch, Biometrika 34, 1947).

A difference that chance does not explain need not come from the trial: the load may have changed meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from dashboard.cache.estimate import Estimate, student
from dashboard.cache.tuning.trial_rules import Window
from dashboard.cache.wording import MINUS, NARROW, count, percent, signed, size, span

MOST_BATCHES = 20
FEWEST_BATCHES = 5
"""Of fewer intervals the spread of a figure cannot be told, and its difference has no interval."""
MOST_CORRELATION = 0.8

Verdict = Literal["better", "worse", "differs", "same", "unknown"]
"""differs: neither is better. same: no difference that chance would not explain. unknown: too little to compare."""


@dataclass(frozen=True)
class Figure:
    """One figure in both times. Shares are of 1, rates per second, memory bytes, p99 milliseconds.

    before, during: None where it is not told, or nothing was read. difference: during minus before; None where there
    was too little to say how sure it is.
    """

    name: str
    before: float | None
    during: float | None
    difference: Estimate | None

    @property
    def label(self) -> str:
        return _KINDS[self.name].label

    @property
    def certain(self) -> bool:
        """Whether there is a difference that chance would not explain in 19 of 20 cases."""
        return self.difference is not None and not self.difference.low <= 0 <= self.difference.high

    @property
    def verdict(self) -> Verdict:
        if self.difference is None:
            return "unknown"
        if not self.certain:
            return "same"
        good = _KINDS[self.name].good
        return "differs" if not good else ("better" if self.difference.value * good > 0 else "worse")

    def told(self, value: float | None) -> str:
        """One of its two values in words; `not told` without one."""
        return "not told" if value is None else _KINDS[self.name].words(value)

    @property
    def change(self) -> str:
        """`+ 1.8 points (1.1 to 2.5)`, or why nothing can be said."""
        if self.before is None or self.during is None:
            return "not told before and during the trial"
        if self.difference is None:
            return "too short to tell a difference from chance"
        if self.difference.exact and not self.difference.value:
            return "no difference"
        if not self.certain:
            return "no difference that chance would not explain"
        kind = _KINDS[self.name]
        low, high = (f"{MINUS if end < 0 else ''}{kind.bare(abs(end))}" for end in self.difference[1:])
        return f"{signed(self.difference.value, kind.step)} ({low} to {high})"

    @property
    def sentence(self) -> str:
        """`Hit ratio 91.2 % → 93 %: + 1.8 points (1.1 to 2.5).`"""
        return f"{self.label} {self.told(self.before)} → {self.told(self.during)}: {self.change}."


@dataclass(frozen=True)
class Comparison:
    """The figures of a trial, in the order in which they are shown. Seconds: of how long each time was."""

    before_seconds: float
    during_seconds: float
    figures: tuple[Figure, ...]

    @property
    def sentence(self) -> str:
        """What has changed most, in one line."""
        basis = f"{span(self.during_seconds)} of the trial against the {span(self.before_seconds)} before it"
        changed = [one for one in self.figures if one.certain]
        if changed:
            said = "; ".join(f"{_lowered(one.label)} {one.change}" for one in changed)
            return f"{basis}: {said}."
        if all(one.difference is None for one in self.figures):
            return f"{basis}: too short to tell a difference from chance."
        return f"{basis}: no difference that chance would not explain."

    def figure(self, name: str) -> Figure:
        return next(one for one in self.figures if one.name == name)

    def to_plain(self) -> dict[str, Any]:
        """JSON of it; of_plain() reads it again."""
        return asdict(self)


def of_plain(plain: Mapping[str, Any] | None) -> Comparison | None:
    """What to_plain() has written; None for anything else. Figures of another version are left out."""
    try:
        figures = [_figure_of(one) for one in (plain or {})["figures"] if one["name"] in _KINDS]
        return Comparison(float(plain["before_seconds"]), float(plain["during_seconds"]), tuple(figures))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None


def compare(before: Sequence[Window], during: Sequence[Window]) -> Comparison:
    """The difference between two times, each as its intervals one after another (10 s each, say; may be empty)."""
    return Comparison(
        sum(one.seconds for one in before),
        sum(one.seconds for one in during),
        tuple(_compared(name, kind, before, during) for name, kind in _KINDS.items()),
    )


@dataclass(frozen=True)
class _Part:
    """One interval's share of a figure: the figure is the sum of `above` by the sum of `below`."""

    above: float
    below: float


@dataclass(frozen=True)
class _Kind:
    """part: of one interval, None where it does not tell. good: 1 where more is better, -1 where less is, 0 neither.
    words, step, bare: of a value, of the size of a difference, and of that without its unit."""

    label: str
    part: Callable[[Window], _Part | None]
    good: int
    words: Callable[[float], str]
    step: Callable[[float], str]
    bare: Callable[[float], str]


def _points(share: float) -> str:
    return f"{_hundredths(share)} point{'' if _hundredths(share) == '1' else 's'}"


def _hundredths(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.0995 else f"{100 * share:.0f}"


def _per_second(rate: float) -> str:
    return f"{count(rate)}/s"


def _ms(value: float) -> str:
    return f"{_three(value)}{NARROW}ms"


def _three(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def _told(amount: float | None, seconds: float) -> _Part | None:
    return None if amount is None else _Part(amount, seconds)


def _held(level: float | None, seconds: float) -> _Part | None:
    """Of a level that lasted for the interval."""
    return None if level is None else _Part(level * seconds, seconds)


_RATE = (_per_second, _per_second, count)
_KINDS: Mapping[str, _Kind] = {
    "hit_ratio": _Kind("Hit ratio", lambda one: _Part(one.hits, one.reads), 1, percent, _points, _hundredths),
    "misses": _Kind("Misses", lambda one: _Part(one.misses, one.seconds), -1, *_RATE),
    "evictions": _Kind("Evictions", lambda one: _Part(one.evictions, one.seconds), -1, *_RATE),
    "operations": _Kind("Operations", lambda one: _told(one.operations, one.seconds), 0, *_RATE),
    "p99_ms": _Kind("p99", lambda one: _held(one.p99_ms, one.seconds), -1, _ms, _ms, _three),
    "memory": _Kind("Memory", lambda one: _held(one.memory, one.seconds), 0, size, size, size),
}


@dataclass(frozen=True)
class _Mean:
    """A figure of one time. variance: of the figure, None where too few intervals tell it."""

    value: float
    variance: float | None
    batches: int


def _compared(name: str, kind: _Kind, before: Sequence[Window], during: Sequence[Window]) -> Figure:
    was, is_now = (_mean(_parts(kind, windows)) for windows in (before, during))
    if was is None or is_now is None:
        return Figure(name, was.value if was else None, is_now.value if is_now else None, None)
    return Figure(name, was.value, is_now.value, _difference(was, is_now))


def _parts(kind: _Kind, windows: Iterable[Window]) -> list[_Part]:
    told = (kind.part(one) for one in windows if one.seconds > 0)
    return [one for one in told if one is not None and one.below > 0 and math.isfinite(one.above)]


def _mean(parts: Sequence[_Part]) -> _Mean | None:
    batches = _batches(parts)
    below = sum(one.below for one in batches)
    if below <= 0:
        return None
    value = sum(one.above for one in batches) / below
    many = len(batches)
    if many < FEWEST_BATCHES:
        return _Mean(value, None, many)
    residuals = [one.above - value * one.below for one in batches]
    squares = sum(one**2 for one in residuals)
    variance = many / (many - 1) * squares / below**2
    return _Mean(value, variance * _widening(residuals, squares), many)


def _batches(parts: Sequence[_Part]) -> list[_Part]:
    """Neighbours put together until there are MOST_BATCHES at most, of nearly equal length."""
    many = min(len(parts), MOST_BATCHES)
    edges = [round(index * len(parts) / many) for index in range(many + 1)] if many else []
    return [
        _Part(sum(one.above for one in parts[start:end]), sum(one.below for one in parts[start:end]))
        for start, end in pairwise(edges)
    ]


def _widening(residuals: Sequence[float], squares: float) -> float:
    """By what the variance grows because batches resemble their neighbours; never less than 1."""
    if not squares:
        return 1.0
    products = sum(one * other for one, other in pairwise(residuals))
    # Residuals add up to nothing, which takes about 1/n off their correlation.
    correlation = min(max(products / squares + 1 / len(residuals), 0.0), MOST_CORRELATION)
    return (1 + correlation) / (1 - correlation)


def _difference(was: _Mean, is_now: _Mean) -> Estimate | None:
    if was.variance is None or is_now.variance is None:
        return None
    value, variance = is_now.value - was.value, was.variance + is_now.variance
    if not variance:
        return Estimate(value, value, value)
    freedom = variance**2 / sum(one.variance**2 / (one.batches - 1) for one in (was, is_now) if one.variance)
    half = student(max(math.floor(freedom), 1)) * math.sqrt(variance)
    return Estimate(value, value - half, value + half)


def _figure_of(plain: Mapping[str, Any]) -> Figure:
    difference = plain["difference"]
    return Figure(
        str(plain["name"]),
        _finite(plain["before"]),
        _finite(plain["during"]),
        None if difference is None else Estimate(*(float(end) for end in difference)),
    )


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    if not math.isfinite(float(value)):
        raise ValueError("A figure is a finite number.")
    return float(value)


def _lowered(label: str) -> str:
    return label[0].lower() + label[1:]
