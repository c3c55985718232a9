"""What a cache operator wants to read first, in words, the worst on top. Pure.

Each topic has its checks in a file of its own (findings_memory, _traffic, _state); a check takes a
Picture and yields the findings it has. While samples are stale nothing is said about them: a
sentence about memory that was true a minute ago is worse than none.
"""

from __future__ import annotations

from dashboard.cache import findings_memory, findings_state, findings_traffic
from dashboard.cache.picture import Finding, Level, Picture, Span, picture

__all__ = ["LEVELS", "Finding", "Level", "Picture", "Span", "answer", "findings", "picture"]

LEVELS: tuple[Level, ...] = ("critical", "warning", "ok", "info")
CHECKS = (*findings_state.CHECKS, *findings_memory.CHECKS, *findings_traffic.CHECKS)


def findings(seen: Picture) -> tuple[Finding, ...]:
    """Everything worth saying, by level, within a level in the order of the checks. Never empty."""
    if seen.stale:
        return tuple(findings_state.stale(seen))
    found = [finding for check in CHECKS for finding in check(seen)]
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def answer(found: tuple[Finding, ...]) -> str:
    """The one sentence on top of the page: how many things want attention, or that none does."""
    critical = sum(finding.level == "critical" for finding in found)
    warnings = sum(finding.level == "warning" for finding in found)
    if critical:
        rest = f", {warnings} more worth a look" if warnings else ""
        return f"{critical} {'problem needs' if critical == 1 else 'problems need'} attention now{rest}."
    if warnings:
        return f"Working; {warnings} {'thing is' if warnings == 1 else 'things are'} worth a look."
    return "No problem found."
