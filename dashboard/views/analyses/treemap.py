"""A treemap: rectangles whose areas are the values, laid out so that they stay near to squares. Pure.

M. Bruls, K. Huizing, J. J. van Wijk: Squarified Treemaps, Data Visualization 2000. A row of rectangles along
the shorter side takes one more value as long as that makes its worst rectangle squarer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.cache.analysis.report import OTHER, NamespaceRow, Report
from dashboard.cache.estimate import Estimate

MOST_CELLS = 40
LEAST_SHARE = 0.003  # of the whole: a smaller cell is a line that nobody can hit
REST = "smaller namespaces"


@dataclass(frozen=True)
class Rect:
    """In the unit of the frame; x and y from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True)
class Frame:
    """A shape for which cells are laid out: its sides, in pixels of a typical screen."""

    name: str
    width: float
    height: float


@dataclass(frozen=True)
class Cell:
    """One namespace in a frame. rect: in per cent of the frame. place: in the report, from 0; -1 for all the rest.

    namespaces: how many the cell stands for.
    """

    name: str
    value: Estimate
    share: float
    rect: Rect
    place: int
    namespaces: int = 1


WIDE, NARROW = Frame("wide", 1000, 340), Frame("narrow", 358, 420)


def squarify(values: Sequence[float], width: float, height: float) -> list[Rect]:
    """One rectangle for each value, in their order, which fill the frame; the largest value should come first.

    Areas are as the values; what is not positive gets a rectangle without area.
    """
    total = sum(value for value in values if value > 0)
    if total <= 0 or width <= 0 or height <= 0:
        return [Rect(0.0, 0.0, 0.0, 0.0) for _ in values]
    scale = width * height / total
    areas = [max(value, 0.0) * scale for value in values]
    left = Rect(0.0, 0.0, width, height)
    placed: list[Rect] = []
    row: list[float] = []
    for area in areas:
        side = min(left.width, left.height)
        if row and _worst([*row, area], side) > _worst(row, side):
            rects, left = _lay(row, left)
            placed += rects
            row = []
        row.append(area)
    rects, _ = _lay(row, left)
    return placed + rects


def _worst(row: Sequence[float], side: float) -> float:
    """The worst ratio of sides in a row along a side; rectangles without area do not count."""
    total = sum(row)
    if total <= 0 or side <= 0:
        return 1.0
    smallest, largest = min(area for area in row if area > 0), max(row)
    return max(side * side * largest / (total * total), total * total / (side * side * smallest))


def _lay(row: Sequence[float], left: Rect) -> tuple[list[Rect], Rect]:
    """The rectangles of a row along the shorter side of what is left, and what is left then."""
    total = sum(row)
    upright = left.width >= left.height
    side = left.height if upright else left.width
    depth = total / side if side > 0 else 0.0
    rects: list[Rect] = []
    at = 0.0
    for area in row:
        length = area / depth if depth > 0 else 0.0
        if upright:
            rects.append(Rect(left.x, left.y + at, depth, length))
        else:
            rects.append(Rect(left.x + at, left.y, length, depth))
        at += length
    if upright:
        return rects, Rect(left.x + depth, left.y, max(left.width - depth, 0.0), left.height)
    return rects, Rect(left.x, left.y + depth, left.width, max(left.height - depth, 0.0))


def treemap(report: Report, frame: Frame) -> tuple[Cell, ...]:
    """The namespaces of a report by what they take, or by keys where memory is not told; the largest first.

    Those too small to be hit, and all that the report does not list, are one cell, the last.
    """
    named = [(place, row) for place, row in enumerate(report.namespaces) if row.name != OTHER]
    named.sort(key=lambda pair: -_value(report, pair[1]).value)
    values = [_value(report, row).value for row in report.namespaces]
    total = sum(values)
    if total <= 0:
        return ()
    shown = [pair for pair in named[:MOST_CELLS] if _value(report, pair[1]).value >= total * LEAST_SHARE]
    parts = [(row.name, _value(report, row), place) for place, row in shown]
    rest = total - sum(value.value for _, value, _ in parts)
    left_out = max(report.namespaces_found, len(named)) - len(shown)
    if rest > total * 1e-6:
        parts.append((REST, report.estimate(rest) if report.memory is None else Estimate(rest, rest, rest), -1))
    rects = squarify([value.value for _, value, _ in parts], frame.width, frame.height)
    return tuple(
        Cell(
            name,
            value,
            value.value / total,
            _in_percent(rect, frame),
            place,
            left_out if place < 0 else 1,
        )
        for (name, value, place), rect in zip(parts, rects, strict=True)
    )


def _value(report: Report, row: NamespaceRow) -> Estimate:
    return row.keys if report.memory is None or row.memory is None else row.memory


def _in_percent(rect: Rect, frame: Frame) -> Rect:
    return Rect(
        100 * rect.x / frame.width,
        100 * rect.y / frame.height,
        100 * rect.width / frame.width,
        100 * rect.height / frame.height,
    )
