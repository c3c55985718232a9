"""What bar charts are drawn from: shares and heights in per cent, so that templates/_bars.html does no sums. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dashboard.cache.analysis.report import Group
from dashboard.cache.estimate import Estimate


@dataclass(frozen=True)
class Row:
    """One line of a distribution. share: of all keys, 0 to 1, with its interval. href: "" where it leads nowhere.

    Lengths in per cent of the longest bar: `width` of the value, `low` and `high` of its interval.
    """

    label: str
    keys: Estimate
    memory: Estimate | None
    share: Estimate
    width: float
    low: float
    high: float
    href: str = ""


def distribution(groups: Iterable[tuple[Group, str]], total: Estimate) -> tuple[Row, ...]:
    """Groups of keys, each with where it leads, as rows; `total` is how many keys there are of them all."""
    pairs = list(groups)
    whole = max(total.value, 1.0)
    longest = max([group.keys.value for group, _ in pairs] + [1.0])

    def length(keys: float) -> float:
        return round(min(100 * max(keys, 0.0) / longest, 100.0), 2)

    def share(keys: float) -> float:
        return min(max(keys, 0.0) / whole, 1.0)

    return tuple(
        Row(
            group.name,
            group.keys,
            group.memory,
            Estimate(share(group.keys.value), share(group.keys.low), share(group.keys.high)),
            length(group.keys.value),
            length(group.keys.low),
            length(group.keys.high),
            href,
        )
        for group, href in pairs
    )


@dataclass(frozen=True)
class Column:
    """One column of a chart over time, in per cent of its width and height; y counts from the top as SVG does.

    low, high: y of the interval's ends, None where there is none. words: what it says when it is pointed at. marked:
    whether it stands out, which the words beside the chart explain.
    """

    x: float
    width: float
    y: float
    height: float
    low: float | None
    high: float | None
    words: str
    marked: bool = False


@dataclass(frozen=True)
class Columns:
    """Columns side by side; `top` is the value at the upper end of the axis."""

    columns: tuple[Column, ...]
    top: float

    @property
    def ticks(self) -> tuple[float, float, float]:
        """From the top down."""
        return self.top, self.top / 2, 0.0


def columns(
    values: Sequence[Estimate],
    words: Sequence[str],
    *,
    step: float = 10.0,
    least: float = 1.0,
    marked: Collection[int] = (),
) -> Columns:
    """Values as columns. step: 10, or 1024 for bytes; the axis ends at a number that is round by it.

    least: the lowest top there may be, so that nothing much does not look like much. marked: those that stand out.
    """
    top = round_top(max([value.high for value in values if math.isfinite(value.high)] + [least]), step)
    each = 100 / max(len(values), 1)

    def height(value: float) -> float:
        return round(min(100 * max(value, 0.0) / top, 100.0), 2)

    drawn = (
        Column(
            round(index * each + each * 0.1, 3),
            round(each * 0.8, 3),
            round(100 - height(value.value), 2),
            height(value.value),
            None if value.exact else round(100 - height(value.low), 2),
            None if value.exact else round(100 - height(value.high), 2),
            word,
            index in marked,
        )
        for index, (value, word) in enumerate(zip(values, words, strict=True))
    )
    return Columns(tuple(drawn), top)


def round_top(highest: float, step: float = 10.0) -> float:
    """The next round number above: 1, 2, 4, 6 or 8 times a power of ten; of bytes (step 1024), a power of two."""
    if step != 10.0:
        return 2.0 ** math.ceil(math.log2(highest))
    unit = 10.0 ** math.floor(math.log10(highest))
    return next(unit * times for times in (1, 2, 4, 6, 8, 10) if unit * times >= highest * 0.9999)


@dataclass(frozen=True)
class Cell:
    """One cell of a strip: how dark, 0 to 1, and what it says."""

    x: float
    width: float
    shade: float
    words: str


def strip(parts: Sequence[tuple[str, Estimate]], total: float) -> tuple[Cell, ...]:
    """Parts of a whole as cells side by side. The shade goes by the root of the share, so that small parts are seen."""
    each = 100 / max(len(parts), 1)
    return tuple(
        Cell(
            round(index * each, 3),
            round(each * 0.92, 3),
            round(math.sqrt(min(max(keys.value, 0.0) / max(total, 1.0), 1.0)), 3),
            label,
        )
        for index, (label, keys) in enumerate(parts)
    )
