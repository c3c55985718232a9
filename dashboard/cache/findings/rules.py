"""What a cache operator wants to read first, in words, the worst on top. Pure.

Each topic has its rules in a file of its own; a rule's check takes a Picture and yields the findings it has. While
samples are stale nothing is said about them: a sentence about memory that was true a minute ago is worse than none.
docs/findings.md lists the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from dashboard.cache.findings import buffers, eviction, memory, resident, settings, state, traffic
from dashboard.cache.findings.rule import Rule
from dashboard.cache.statistics.picture import LEVELS, Finding, Level, Picture, Span, picture

__all__ = [
    "BY_ID",
    "LEVELS",
    "RULES",
    "Finding",
    "Level",
    "Picture",
    "Said",
    "Span",
    "answer",
    "apart",
    "findings",
    "picture",
]

RULES: tuple[Rule, ...] = (
    *state.RULES,
    *settings.RULES,
    *memory.RULES,
    *resident.RULES,
    *eviction.RULES,
    *traffic.RULES,
    *buffers.RULES,
)
BY_ID = {rule.id: rule for rule in RULES}
WITHOUT_SAMPLES = frozenset({"no-samples", "trial-stuck", "trial-overdue"})
"""Rules that go by something else than samples, and so have something to say while these are stale."""


@dataclass(frozen=True)
class Said:
    """Findings apart: those that somebody wants to hear of, never empty, and those that were silenced."""

    heard: tuple[Finding, ...]
    silenced: tuple[Finding, ...] = ()


def findings(seen: Picture) -> tuple[Finding, ...]:
    """Everything worth saying, by level, within a level in the order of the rules. Never empty."""
    rules = [rule for rule in RULES if not seen.stale or rule.id in WITHOUT_SAMPLES]
    found = [replace(finding, rule=rule.id, topic=rule.topic) for rule in rules for finding in rule.check(seen)]
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def apart(found: Iterable[Finding], silenced: Collection[str]) -> Said:
    """What is heard, and what is not because its rule is among `silenced`."""
    found = tuple(found)
    heard = tuple(one for one in found if one.rule not in silenced)
    return Said(heard or (Finding("ok", "Nothing else to say."),), tuple(one for one in found if one.rule in silenced))


def answer(said: Said | tuple[Finding, ...]) -> str:
    """The one sentence on top of the page: how many things want attention, or that none does.

    What was silenced is not counted; what is critical of it is mentioned all the same.
    """
    if not isinstance(said, Said):
        said = Said(said)
    quiet = sum(one.level == "critical" for one in said.silenced)
    if quiet:
        aside = f" {quiet} critical {'finding is' if quiet == 1 else 'findings are'} silenced."
        return _counted(said.heard) + aside
    return _counted(said.heard)


def _counted(found: tuple[Finding, ...]) -> str:
    critical = sum(finding.level == "critical" for finding in found)
    warnings = sum(finding.level == "warning" for finding in found)
    if critical:
        rest = f", {warnings} more worth a look" if warnings else ""
        return f"{critical} {'problem needs' if critical == 1 else 'problems need'} attention now{rest}."
    if warnings:
        return f"Working; {warnings} {'thing is' if warnings == 1 else 'things are'} worth a look."
    return "No problem found."
