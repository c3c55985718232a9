"""What a plan's page draws from its report: rows with bars, keys by name with where they lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for

from dashboard.cache.analysis.report import OTHER, Group, NamespaceRow, Report
from dashboard.cache.estimate import exactly
from dashboard.cache.invalidation.report import Done, HotKey, Plan
from dashboard.cache.selecting.key_token import from_printable, to_token
from dashboard.cache.wording import percent
from dashboard.views.bars import Columns, Row, columns, distribution
from dashboard.views.filters import duration, number

LINES = 12  # namespaces; a plan is about few, and Memory has them all
NAME_CUT = 200  # characters at which a plan cuts names: of a longer one no page is known


@dataclass(frozen=True)
class Figures:
    """`sized`: whether the server tells sizes. namespaces_left: whether there are more than are drawn.
    frequency: whether the hottest keys are told by their LFU counter, else by the time since their last use."""

    sized: bool
    types: tuple[Row, ...]
    ttl: tuple[Row, ...]
    ttl_said: str
    namespaces: tuple[Row, ...]
    namespaces_left: bool
    examples: tuple[tuple[str, str], ...]
    hottest: tuple[tuple[HotKey, str], ...]
    frequency: bool
    hottest_said: str


def figures(cache: str, plan: Plan) -> Figures:
    report = plan.report
    named = report.namespaces[:LINES]
    frequency = any(one.frequency is not None for one in plan.hottest)
    return Figures(
        sized=report.memory is not None,
        types=distribution([(group, "") for group in report.types], report.keys),
        ttl=distribution([(group, "") for group in _ttl(report) if group.keys.value], report.keys),
        ttl_said=ttl_said(report),
        namespaces=distribution([(_group(row), "") for row in named], report.keys),
        namespaces_left=report.namespaces_found > len(named),
        examples=tuple((name, _page(cache, name)) for name in plan.examples),
        hottest=tuple((one, _page(cache, one.name)) for one in plan.hottest),
        frequency=frequency,
        hottest_said="By the logarithmic counter of its LFU policy."
        if frequency
        else "By the time since their last use.",
    )


def ttl_said(report: Report) -> str:
    """`The median is 1 to 5 min, 1 % never expire.`; "" where no key is known."""
    whole = report.keys.value
    if not whole:
        return ""
    never = f"{percent(min(report.without_ttl.value / whole, 1.0))} never expire" if report.without_ttl.value else ""
    bucket = _median(report.ttl, whole)
    half = f"The median is {bucket}" if bucket else ""
    return f"{', '.join(part for part in (half, never) if part)}." if half or never else ""


def _median(groups: Sequence[Group], whole: float) -> str:
    """The bucket within which half of all keys, of those without TTL too, have expired; "" where fewer ever do."""
    seen = 0.0
    for group in groups:
        seen += group.keys.value
        if seen >= whole / 2:
            return group.name
    return ""


def _ttl(report: Report) -> tuple[Group, ...]:
    """The buckets, and those without TTL as the last one."""
    return (*report.ttl, Group("no TTL", report.without_ttl, report.without_ttl_memory))


def _group(row: NamespaceRow) -> Group:
    return Group("all others" if row.name == OTHER else row.name, row.keys, row.memory)


def _page(cache: str, name: str) -> str:
    """A key's page; "" where its name may have been cut."""
    if len(name) >= NAME_CUT:
        return ""
    return url_for("key.show", cache=cache, key=to_token(from_printable(name)))


def expiry_columns(done: Done) -> tuple[Columns, float, str] | None:
    """When the keys of a gentle invalidation expire: columns, seconds of one, and what they say. None without any."""
    if not done.expiry or not done.expiry_seconds or not sum(done.expiry):
        return None
    width = done.expiry_seconds / len(done.expiry)
    words = [
        f"{duration(index * width) if index else '0 s'} to {duration((index + 1) * width)}: {number(count)} keys"
        for index, count in enumerate(done.expiry)
    ]
    drawn = columns([exactly(count) for count in done.expiry], words)
    return drawn, width, f"{number(min(done.expiry))} to {number(max(done.expiry))} in each part"
