"""How far a measured figure may be off by chance: 95 % intervals by a bootstrap over blocks of one second.

What happens within a second hangs together (an expiry, a burst, a stall), so blocks are drawn and not single
requests, which would pretend more certainty than there is (Carlstein, Annals of Statistics 14, 1986; Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13). What lasts longer than a block, such as a
warming cache, is not in the interval.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

RESAMPLES = 1000
LEVEL = 0.95

Piece = TypeVar("Piece")


@dataclass(frozen=True)
class Interval:
    """A figure of the run and the bounds between which 95 % of the resampled runs have it. None: nothing was seen."""

    value: float | None
    low: float | None
    high: float | None

    def to_plain(self) -> dict[str, float | None]:
        return asdict(self)


def intervals(
    pieces: Sequence[Piece],
    statistic: Callable[[Sequence[Piece]], Mapping[str, float | None]],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Interval]:
    """For each figure that `statistic` names, its value over all pieces and its percentile interval.

    The same for the same seed. `statistic` is called with as many pieces as there are, some of them twice or more.
    """
    source = random.Random(seed)  # noqa: S311 - resampling, not secrets
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples if pieces else 0):
        for name, value in statistic(source.choices(pieces, k=len(pieces))).items():
            if value is not None:
                drawn.setdefault(name, []).append(value)
    return {name: _interval(value, drawn.get(name, [])) for name, value in statistic(pieces).items()}


def _interval(value: float | None, drawn: list[float]) -> Interval:
    if value is None or not drawn:
        return Interval(value, None, None)
    ranked = sorted(drawn)
    tail = int(len(ranked) * (1 - LEVEL) / 2)
    return Interval(value, ranked[tail], ranked[-1 - tail])
