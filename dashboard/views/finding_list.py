"""Findings of a cache as its screens draw them: where each leads, and apart what was silenced, with its reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, url_for

from dashboard.cache.findings.rules import BY_ID, Finding, Level, Picture, answer, apart, findings
from dashboard.cache.servers.connect import Cache
from dashboard.store import silences
from dashboard.store.operators import Role
from dashboard.store.silences import Silence
from dashboard.views.access import may, role_of
from dashboard.views.deck import deck

# Where a finding leads: its screen -> endpoint, what the address says, the link's words.
SCREENS: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "keys": ("keys.index", {"ttl": "none"}, "Keys without TTL"),
    "eviction": ("eviction.show", {}, "Eviction"),
    "statistics": ("statistics.show", {}, "Statistics"),
    "memory": ("memory.show", {}, "Memory"),
    "expiry": ("expiry.show", {}, "Expiry"),
    "stampedes": ("stampedes.index", {}, "Stampedes"),
    "listeners": ("listeners.index", {}, "Listeners"),
    "trials": ("trials.show", {}, "The trial"),
}
NEVER_SILENT = frozenset({"no-samples"})
"""Without samples nothing is known of a cache: that must not look like health."""
WORTH_SILENCING: Collection[Level] = ("critical", "warning", "info")


@dataclass(frozen=True)
class Line:
    """One finding that is heard. href, words: where it leads; about: where it is silenced; each "" for nowhere."""

    finding: Finding
    href: str
    words: str
    about: str


@dataclass(frozen=True)
class Quiet:
    """One silenced rule. found: what it would say now, empty where there is nothing to say. rule: in words."""

    silence: Silence
    rule: str
    found: tuple[Finding, ...]


@dataclass(frozen=True)
class FindingList:
    """What one screen shows. answer: the sentence on top. lifts: whether this operator may lift silences."""

    answer: str
    lines: tuple[Line, ...]
    quiet: tuple[Quiet, ...]
    lifts: bool


def finding_list(cache: Cache, seen: Picture, topics: Collection[str] | None = None, here: str = "") -> FindingList:
    """Findings of all topics, or of some. here: the screen that shows them, to which none leads. Raises
    StoreUnavailable."""
    silenced = silences.of_cache(deck().store, cache.name, seen.now)
    found = tuple(one for one in findings(seen) if topics is None or one.topic in topics)
    said = apart(found, heeded(silenced))
    quiet = tuple(
        Quiet(one, BY_ID[one.rule].says, tuple(finding for finding in said.silenced if finding.rule == one.rule))
        for one in silenced.values()
        if one.rule in BY_ID and (topics is None or BY_ID[one.rule].topic in topics)
    )
    lines = tuple(_line(cache, one, here) for one in said.heard) if found else ()
    return FindingList(answer(said), lines, quiet, may(Role.OPERATOR))


def worst(cache: Cache, seen: Picture) -> Level:
    """The level of the worst finding that is heard. Raises StoreUnavailable."""
    silenced = silences.of_cache(deck().store, cache.name, seen.now)
    return apart(findings(seen), heeded(silenced)).heard[0].level


def heeded(silenced: Collection[str]) -> frozenset[str]:
    """Of the rules that somebody has silenced, those that may be."""
    return frozenset(silenced) - NEVER_SILENT


def _line(cache: Cache, finding: Finding, here: str) -> Line:
    href, words = _link(cache, finding) if finding.screen != here else ("", "")
    return Line(finding, href, words, _about(cache, finding))


def _link(cache: Cache, finding: Finding) -> tuple[str, str]:
    """(address, words) of the screen that shows more; empty where there is none, or none for this operator."""
    endpoint, query, words = SCREENS.get(finding.screen or "", ("", {}, ""))
    if endpoint not in current_app.view_functions:
        return "", ""
    role = role_of(current_app, endpoint)
    if role is not None and not may(role):
        return "", ""
    of_one: dict[str, Any] = {} if finding.number is None else {"number": finding.number}
    return url_for(endpoint, cache=cache.name, **query, **of_one), words


def _about(cache: Cache, finding: Finding) -> str:
    if finding.level not in WORTH_SILENCING or finding.rule in NEVER_SILENT or finding.rule not in BY_ID:
        return ""
    return url_for("silences.show", cache=cache.name, rule=finding.rule)
