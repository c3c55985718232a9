"""The treemap: areas are as the values, nothing overlaps, nothing leaves the frame, nothing is left out."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations

import pytest

from dashboard.cache.analysis.report import OTHER, NamespaceRow, Report
from dashboard.cache.estimate import NOTHING, exactly
from dashboard.views.analyses.treemap import MOST_CELLS, NARROW, REST, WIDE, Cell, Rect, squarify, treemap
from tests.snapshots import KINDS, snapshot

WIDTH, HEIGHT = 1000.0, 340.0


def values_of(seed: int) -> list[float]:
    dice = random.Random(seed)
    count = dice.choice([1, 2, 3, 7, 20, 60])
    return sorted((dice.paretovariate(0.7) for _ in range(count)), reverse=True)


def overlap(one: Rect, other: Rect) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(width, 0.0) * max(height, 0.0)


def row(name: str, keys: float, memory: float | None) -> NamespaceRow:
    return NamespaceRow(name, exactly(keys), None if memory is None else exactly(memory), NOTHING, None, name)


def total(cells: tuple[Cell, ...]) -> float:
    return sum(cell.rect.area for cell in cells)


@pytest.mark.parametrize("seed", range(60))
def test_areas_are_as_the_values_and_fill_the_frame(seed: int) -> None:
    values = values_of(seed)
    rects = squarify(values, WIDTH, HEIGHT)
    for value, rect in zip(values, rects, strict=True):
        assert rect.area == pytest.approx(value / sum(values) * WIDTH * HEIGHT, rel=1e-6)


@pytest.mark.parametrize("seed", range(60))
def test_no_rectangle_overlaps_another_or_leaves_the_frame(seed: int) -> None:
    rects = squarify(values_of(seed), WIDTH, HEIGHT)
    slack = 1e-6
    assert all(overlap(one, other) < slack for one, other in combinations(rects, 2))
    for rect in rects:
        assert rect.x >= -slack
        assert rect.y >= -slack
        assert rect.x + rect.width <= WIDTH + slack
        assert rect.y + rect.height <= HEIGHT + slack


def test_equal_values_become_squares_where_they_can() -> None:
    rects = squarify([1.0] * 4, 200, 200)
    assert all(rect.width == pytest.approx(rect.height) for rect in rects)


def test_the_example_of_the_paper_is_laid_out_as_there() -> None:
    """Bruls, Huizing and van Wijk, figure 3: 6, 6, 4, 3, 2, 2, 1 in a frame of 6 by 4."""
    rects = squarify([6, 6, 4, 3, 2, 2, 1], 6, 4)
    assert (rects[0].width, rects[0].height) == (pytest.approx(3), pytest.approx(2))
    assert (rects[1].width, rects[1].height) == (pytest.approx(3), pytest.approx(2))
    assert (rects[2].width, rects[2].height) == (pytest.approx(12 / 7), pytest.approx(7 / 3))
    assert (rects[3].width, rects[3].height) == (pytest.approx(9 / 7), pytest.approx(7 / 3))
    assert (rects[4].width, rects[4].height) == (pytest.approx(6 / 5), pytest.approx(5 / 3))


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [5.0, 0.0], [0.0, 5.0, -1.0]])
def test_what_has_no_value_has_no_area(values: list[float]) -> None:
    areas = [rect.area for rect in squarify(values, WIDTH, HEIGHT)]
    assert len(areas) == len(values)
    assert all((area > 0) == (value > 0) for area, value in zip(areas, values, strict=True))


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_the_cells_of_a_report_fill_the_frame_by_memory(frame: object) -> None:
    report = snapshot().report
    cells = treemap(report, frame)  # type: ignore[arg-type]
    assert total(cells) == pytest.approx(100 * 100, rel=1e-6)
    assert cells[0].name == "api:search:*"
    assert cells[0].share == pytest.approx(KINDS[0].keys * KINDS[0].size / sum(one.keys * one.size for one in KINDS))
    assert sum(cell.share for cell in cells) == pytest.approx(1)


def test_where_memory_is_not_told_the_cells_go_by_keys() -> None:
    report = snapshot(memory=False).report
    cells = treemap(report, WIDE)
    by_name = {cell.name: cell for cell in cells}
    keys = sum(one.keys.value for one in report.namespaces)
    assert by_name["rate:*"].share == pytest.approx(9_000 / keys)


def test_namespaces_too_small_to_be_hit_are_one_cell_together_with_those_not_listed() -> None:
    rows = (row("big:*", 10, 1e6), *(row(f"tiny:{number}:*", 1, 10) for number in range(9)), row(OTHER, 100, 5e5))
    report = replace(Report(0.0, memory=exactly(1.5e6), namespaces=rows), namespaces_found=200)
    cells = treemap(report, WIDE)
    assert [cell.name for cell in cells] == ["big:*", REST]
    assert cells[-1].value.value == pytest.approx(5e5 + 90)
    assert cells[-1].namespaces == 199
    assert cells[-1].place == -1


def test_there_are_never_more_cells_than_can_be_told_apart() -> None:
    rows = tuple(row(f"n{number}:*", 1, 100) for number in range(200))
    cells = treemap(replace(Report(0.0, memory=exactly(20_000), namespaces=rows), namespaces_found=200), WIDE)
    assert len(cells) == MOST_CELLS + 1
    assert total(cells) == pytest.approx(10_000)


def test_a_cell_knows_its_place_in_the_report_so_that_it_keeps_its_hue() -> None:
    report = snapshot().report
    assert [report.namespaces[cell.place].name for cell in treemap(report, NARROW) if cell.place >= 0] == [
        cell.name for cell in treemap(report, WIDE) if cell.place >= 0
    ]


def test_an_empty_report_has_no_cells() -> None:
    assert treemap(snapshot(kinds=(), cliff=False).report, WIDE) == ()
