"""An invalidation as one JSON object, for scripts. Its names are those of the API's answers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from dashboard.cache.bytes_json import text_or_base64
from dashboard.cache.estimate import Estimate
from dashboard.cache.invalidation.mode import Gently, Paced, Stale
from dashboard.cache.invalidation.report import Counts, Done, Plan, Undone
from dashboard.cache.invalidation.task import Task
from dashboard.cache.selecting.selection import Selection
from dashboard.jobs.invalidating import Standing

_UNDONE = ("restored", "retimed", "newer", "same", "expired", "other", "unsure")
_COUNTED = tuple(one.name for one in fields(Counts) if one.name != "memory")


def of_standing(standing: Standing) -> dict[str, Any]:
    """How it stands; `problem` is null where the last job came to its end."""
    made, job = standing.invalidation, standing.job
    undone = standing.undos[0][1] if standing.undos else None
    return {
        "number": made.number,
        "cache": made.cache,
        "state": standing.state,
        "selection": _keys(standing.task.selection),
        **_how(standing.task),
        "reason": made.reason,
        "actor": made.actor,
        "obstacle": standing.obstacle,
        "needs_approval": standing.needs,
        "approved_by": made.approved_by,
        "job": job.id if job else None,
        "plan": _plan(standing.plan) if standing.plan else None,
        "result": _result(standing, standing.done) if standing.done else None,
        "undo": _undo(undone) if undone else None,
        "restorable": standing.entry.keys if standing.entry else 0,
        "problem": {"sentence": job.error, "advice": job.advice} if job and job.error else None,
    }


def _keys(selection: Selection) -> dict[str, Any]:
    by_list = selection.keys is not None
    return {
        "pattern": None if by_list else text_or_base64(selection.pattern),
        "listed": len(selection.keys or ()) if by_list else None,
        "type": selection.type,
        "ttl": selection.ttl,
        "size": selection.size,
    }


def _how(task: Task) -> dict[str, Any]:
    mode = task.mode
    return {
        "mode": mode.name,
        "seconds": mode.seconds if isinstance(mode, Gently | Stale) else None,
        "rate": mode.rate if isinstance(mode, Paced) else None,
        "vault": task.vault,
        "channel": task.tell.channel if task.tell else None,
        "per": task.tell.per if task.tell else None,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    report = plan.report
    return {
        "keys": _figure(report.keys),
        "memory": _figure(report.memory),
        "types": {group.name: _figure(group.keys) for group in report.types},
        "misses": _figure(plan.effect.misses),
        "vault": _figure(plan.vault),
        "examples": list(plan.examples),
        "notes": [*plan.notes, *report.missing],
    }


def _result(standing: Standing, done: Done) -> dict[str, Any]:
    drift = standing.drift
    counted = {name: getattr(done.counts, name) for name in _COUNTED}
    return {**counted, "drift": drift.more if drift else None}


def _undo(undone: Undone) -> dict[str, Any]:
    return {**{name: getattr(undone, name) for name in _UNDONE}, "refused": sum(undone.refused.values())}


def _figure(figure: Estimate | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {"value": figure.value, "low": figure.low, "high": figure.high, "exact": figure.exact}
