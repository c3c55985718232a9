"""What Memory draws from a report: lines of tables, cells, findings, each with where it leads."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import current_app, url_for

from dashboard.cache.analysis.design import EXAMPLE_CUT, DesignFinding, design_findings
from dashboard.cache.analysis.report import OTHER, BigKey, Group, NamespaceRow, Report
from dashboard.cache.estimate import Estimate
from dashboard.cache.selecting.fold import pattern_of
from dashboard.cache.selecting.key_token import from_printable, to_token
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.views.analyses.treemap import NARROW, WIDE, Cell, Frame, treemap
from dashboard.views.bars import Row, distribution

HUES = (1, 2, 3, 4, 5, 6, 8)
"""Of the largest namespaces; all further ones are grey, as the rest is."""
GREY = 7

LINES = 20  # namespaces in the table, and biggest keys, unless all of them are asked for
FEW = 10  # of them on a narrow screen, by memory.css

MANY_STRINGS = 1000  # keys; for fewer it does not matter how they are held
SMALL = 256.0  # bytes of a string with its name: a value of some 64 bytes, up to which a hash stays compact


@dataclass(frozen=True)
class Line:
    """One namespace in the table. Shares are of the whole selection, 0 to 1; None where that is not told.

    strings: how many string keys it has where hashes may save something, else None.
    """

    row: NamespaceRow
    hue: int
    memory_share: float | None
    keys_share: float
    without_ttl: float | None
    keys_href: str
    only_href: str
    expiry_href: str
    invalidate_href: str
    strings: Estimate | None


@dataclass(frozen=True)
class Area:
    """A cell of the treemap with its colour and where it leads."""

    cell: Cell
    hue: int
    href: str


@dataclass(frozen=True)
class Share:
    """A type or an encoding: its part of the whole memory, or of the keys where sizes are not told, as a bar.

    part: 0 to 1, with its interval. Where only some keys were asked, parts do not quite add up to 1.
    """

    group: Group
    part: Estimate
    bar: Row
    mean: float | None


@dataclass(frozen=True)
class Remark:
    """A design finding with its links."""

    finding: DesignFinding
    href: str
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Big:
    """One of the largest keys. href: its page, "" where its name is too long to be kept."""

    key: BigKey
    href: str
    share: float | None


def figures(
    cache: str,
    selection: Selection,
    report: Report,
    separator: bytes,
    *,
    everything: bool = False,
    all_biggest: bool = False,
) -> dict[str, Any]:
    """All of it. `sized`: whether the server tells sizes. everything: every namespace that the report lists;
    all_biggest: every one of its biggest keys."""
    colours = hues(report)
    drawn = report.namespaces if everything else _largest_rows(report)
    return {
        "sized": report.memory is not None,
        "largest": _largest(report),
        "areas": {frame.name: _areas(cache, selection, report, frame, colours) for frame in (WIDE, NARROW)},
        "lines": tuple(_line(cache, selection, report, row, colours) for row in drawn),
        "listed": len(report.namespaces),
        "types": shares(report, report.types),
        "encodings": shares(report, report.encodings),
        "activity": distribution([(group, "") for group in report.activity.groups], _sum(report.activity.groups)),
        "remarks": tuple(_remark(cache, one) for one in design_findings(report, selection, separator)),
        "biggest": tuple(_big(cache, report, key) for key in report.biggest[: None if all_biggest else LINES]),
        "found_biggest": len(report.biggest),
        "few": FEW,
        "denied": {
            what: tuple(sentence for sentence in report.missing if what in sentence) for what in ("MEMORY", "OBJECT")
        },
    }


def hues(report: Report) -> dict[str, int]:
    """Colours of the largest namespaces. By their names, so that they keep them while their order changes."""
    taken: dict[str, int] = {}
    free = list(HUES)
    for name in sorted(row.name for row in report.namespaces[: len(HUES)] if row.name != OTHER):
        wanted = HUES[zlib.crc32(name.encode("utf-8", "surrogatepass")) % len(HUES)]
        taken[name] = wanted if wanted in free else free[0]
        free.remove(taken[name])
    return taken


def _largest_rows(report: Report) -> tuple[NamespaceRow, ...]:
    """The first of the report, which has them by size, and the row of all that it does not list."""
    rest = tuple(row for row in report.namespaces[LINES:] if row.name == OTHER)
    return (*report.namespaces[:LINES], *rest)


def part_of(part: float | None, whole: float | None) -> float | None:
    return min(max(part / whole, 0.0), 1.0) if whole and part is not None else None


def _largest(report: Report) -> tuple[str, float] | None:
    """The namespace that takes most, and its share of the whole (of the keys, where sizes are not told)."""
    whole = report.memory or report.keys
    found = [(_amount(report, row), row.name) for row in report.namespaces if row.name != OTHER]
    if not found or not whole.value:
        return None
    value, name = max(found)
    return name, min(value / whole.value, 1.0)


def _amount(report: Report, row: NamespaceRow) -> float:
    return row.keys.value if report.memory is None or row.memory is None else row.memory.value


def _line(cache: str, selection: Selection, report: Report, row: NamespaceRow, colours: Mapping[str, int]) -> Line:
    def link(endpoint: str) -> str:
        return _narrowed(cache, endpoint, selection, row.name)

    sized = row.memory is not None and row.without_ttl_memory is not None and row.memory.value > 0
    return Line(
        row=row,
        hue=colours.get(row.name, GREY),
        memory_share=part_of(row.memory.value if row.memory else None, report.memory.value if report.memory else None),
        keys_share=part_of(row.keys.value, report.keys.value) or 0.0,
        without_ttl=part_of(row.without_ttl_memory.value, row.memory.value)
        if sized and row.memory and row.without_ttl_memory
        else part_of(row.without_ttl.value, row.keys.value),
        keys_href=link("keys.index"),
        only_href=link("memory.show"),
        expiry_href=link("expiry.show"),
        invalidate_href=link("invalidations.index"),
        strings=small_strings(row),
    )


def small_strings(row: NamespaceRow) -> Estimate | None:
    """How many string keys a namespace has whose hashes are worth measuring; None where it is not."""
    if row.name == OTHER or row.sizes is None or row.sizes.mean > SMALL:
        return None
    strings = next((group.keys for group in row.types if group.name == "string"), None)
    return strings if strings is not None and strings.value >= MANY_STRINGS else None


def _narrowed(cache: str, endpoint: str, selection: Selection, name: str) -> str:
    """A screen for one namespace of the selection; "" for what is no namespace, and where there is no such screen."""
    if name == OTHER or endpoint not in current_app.view_functions:
        return ""
    try:
        only = replace(selection, pattern=pattern_of(from_printable(name)))
    except BadSelection:
        return ""
    return url_for(endpoint, cache=cache, **dict[str, Any](only.to_query()))


def _areas(
    cache: str, selection: Selection, report: Report, frame: Frame, colours: Mapping[str, int]
) -> tuple[Area, ...]:
    return tuple(
        Area(cell, GREY, "")
        if cell.place < 0
        else Area(cell, colours.get(cell.name, GREY), _narrowed(cache, "keys.index", selection, cell.name))
        for cell in treemap(report, frame)
    )


def shares(report: Report, groups: Sequence[Group]) -> tuple[Share, ...]:
    """Groups by what they take, most first."""
    sized = report.memory is not None and all(group.memory is not None for group in groups)
    amounts = [group.memory if sized and group.memory else group.keys for group in groups]
    every = (report.memory if sized and report.memory else report.keys).value
    whole = every or sum(amount.value for amount in amounts) or 1.0
    bars = distribution(
        [(replace(group, keys=amount), "") for group, amount in zip(groups, amounts, strict=True)],
        Estimate(whole, whole, whole),
    )
    found = [
        Share(
            group,
            bar.share,
            bar,
            group.memory.value / group.keys.value if group.memory and group.keys.value else None,
        )
        for group, amount, bar in zip(groups, amounts, bars, strict=True)
        if group.keys.value
    ]
    return tuple(sorted(found, key=lambda one: -one.part.value))


def _sum(groups: Iterable[Group]) -> Estimate:
    whole = sum(group.keys.value for group in groups)
    return Estimate(whole, whole, whole)


def _remark(cache: str, finding: DesignFinding) -> Remark:
    wanted = finding.selection
    href = url_for("keys.index", cache=cache, **dict[str, Any](wanted.to_query())) if wanted else ""
    return Remark(finding, href, tuple((name, _page(cache, name)) for name in finding.examples))


def _big(cache: str, report: Report, key: BigKey) -> Big:
    href = "" if key.cut else url_for("key.show", cache=cache, key=to_token(from_printable(key.name)))
    return Big(key, href, part_of(key.memory, report.memory.value if report.memory else None))


def _page(cache: str, example: str) -> str:
    """The page of a key that is an example; "" where its name may have been cut."""
    if len(example) >= EXAMPLE_CUT:
        return ""
    return url_for("key.show", cache=cache, key=to_token(from_printable(example)))
