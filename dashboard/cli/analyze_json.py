"""An analysis as one JSON object, as docs/analysis.md describes it field by field.

A figure that was counted is a plain number; one that was estimated is {"value", "low", "high"}, of which
`high` is null where nothing bounds it. What the server does not tell is null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboard.cache.analysis.design import DesignFinding
from dashboard.cache.analysis.report import BigKey, Cliff, Group, NamespaceRow, Report, RuleRow, Sizes
from dashboard.cache.analysis.slots import LATER, TTL_LABELS, start_of
from dashboard.cache.estimate import Estimate
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.walking.progress import Progress
from dashboard.cache.wording import NARROW

Figure = int | dict[str, int | None] | None


def figure(one: Estimate | None) -> Figure:
    """Keys or bytes: whole numbers, the interval rounded outwards."""
    if one is None:
        return None
    if one.exact:
        return round(one.value)
    high = math.ceil(one.high) if math.isfinite(one.high) else None
    return {"value": round(one.value), "low": math.floor(one.low), "high": high}


def tells_ttl(report: Report) -> bool:
    """Whether the server told TTLs at all: where it did not, no key is known to be without one."""
    return bool(report.ttl) or not report.keys.high


def of_progress(progress: Progress) -> dict[str, Any]:
    """How far the walk got and what it cost."""
    return {
        "complete": progress.complete,
        "examined": progress.examined,
        "total": progress.total,
        "seconds": round(progress.elapsed, 3),
        "server_seconds": round(progress.busy, 3),
        "calls": progress.calls,
        "longest_call_ms": round(progress.longest_ms, 3),
        "primaries": progress.primaries,
        "lost": dict(progress.lost),
    }


def of_selection(selection: Selection) -> dict[str, str]:
    """Which keys: always all parts, "" where a part leaves nothing out."""
    return {"pattern": "*", "type": "", "ttl": "", "size": ""} | selection.to_query()


def of_report(report: Report, top: int | None) -> dict[str, Any]:
    """All figures; `top`: at most so many namespaces and biggest keys."""
    return {
        "started_at": report.started_at,
        "keys": figure(report.keys),
        "memory": figure(report.memory),
        "without_ttl": figure(report.without_ttl) if tells_ttl(report) else None,
        "without_ttl_memory": figure(report.without_ttl_memory),
        "sizes": _sizes(report.sizes),
        "ttl": _groups(report.ttl),
        "types": _groups(report.types),
        "encodings": _groups(report.encodings),
        "namespaces": [_namespace(row, tells_ttl(report)) for row in report.namespaces[:top]],
        "namespaces_found": report.namespaces_found,
        "namespaces_bound": report.bound,
        "biggest": [_big(key) for key in report.biggest[:top]],
        "expiry": _expiry(report),
        "cliffs": [_cliff(cliff) for cliff in report.cliffs],
        "rules": [_rule(row) for row in report.rules],
        "activity": {
            "kind": report.activity.kind,
            "one_in": report.activity.sampled,
            "groups": _groups(report.activity.groups),
        },
        "method": report.method,
        "missing": list(report.missing),
        "notes": list(report.notes),
    }


def of_findings(findings: Sequence[DesignFinding]) -> list[dict[str, Any]]:
    """What is remarkable about names, sizes and types, each with the selection that shows it."""
    return [
        {
            "name": one.name,
            "level": one.level,
            "sentence": one.sentence.replace(NARROW, " "),
            "advice": one.advice,
            "keys": figure(one.keys),
            "memory": figure(one.memory),
            "examples": list(one.examples),
            "selection": of_selection(one.selection) if one.selection else None,
            "differs": one.differs,
        }
        for one in findings
    ]


def _groups(groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [{"name": one.name, "keys": figure(one.keys), "memory": figure(one.memory)} for one in groups]


def _sizes(sizes: Sizes | None) -> dict[str, float] | None:
    if sizes is None:
        return None
    return {
        "mean": round(sizes.mean, 1),
        "p50": round(sizes.p50),
        "p90": round(sizes.p90),
        "p99": round(sizes.p99),
        "largest": sizes.largest,
    }


def _namespace(row: NamespaceRow, tells_ttl: bool) -> dict[str, Any]:
    return {
        "name": row.name,
        "keys": figure(row.keys),
        "memory": figure(row.memory),
        "without_ttl": figure(row.without_ttl) if tells_ttl else None,
        "without_ttl_memory": figure(row.without_ttl_memory),
        "missed": row.missed,
        "example": row.example,
        "sizes": _sizes(row.sizes),
        "ttl": {name: figure(one) for name, one in zip(TTL_LABELS, row.ttl, strict=False)},
        "types": _groups(row.types),
        "odd": {
            name: {"keys": figure(one), "example": row.odd_examples.get(name, "")} for name, one in row.odd.items()
        },
    }


def _big(key: BigKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "cut": key.cut,
        "type": key.type,
        "memory": key.memory,
        "ttl": None if key.ttl < 0 else round(key.ttl, 3),
        "members": key.members,
    }


def _expiry(report: Report) -> list[dict[str, Any]]:
    """One row a slot in which something expires; what cannot be bounded by an interval is not told as a number."""
    memory = dict(report.expiry.memory)
    rows = []
    for slot, keys in report.expiry.keys:
        counted = report.estimate(keys)
        rows.append(
            {
                "from": report.expiry.origin + start_of(slot),
                "to": None if slot == LATER else report.expiry.origin + start_of(slot + 1),
                "keys": figure(counted),
                "memory": round(memory[slot]) if slot in memory and counted.exact else None,
            }
        )
    return rows


def _cliff(cliff: Cliff) -> dict[str, Any]:
    return {
        "namespace": cliff.name,
        "pattern": cliff.pattern,
        "at": cliff.at,
        "seconds": cliff.seconds,
        "keys": figure(cliff.keys),
        "usual_per_second": round(cliff.usual, 3),
    }


def _rule(row: RuleRow) -> dict[str, Any]:
    return {
        "pattern": row.pattern,
        "low": row.low,
        "high": row.high,
        "reason": row.reason,
        "inside": figure(row.inside),
        "below": figure(row.below),
        "above": figure(row.above),
        "without_ttl": figure(row.without),
        "longest": row.longest,
    }
