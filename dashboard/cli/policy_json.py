"""Settings, their changes and trials as JSON objects, for scripts. Values are those of the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dashboard.cache.tuning.effect import Remark, judged
from dashboard.cache.tuning.node_settings import NodeSettings
from dashboard.cache.tuning.policies import policy_of
from dashboard.jobs.tuning import Current, Preview
from dashboard.store.setting_changes import SettingChange
from dashboard.store.trials import Trial


def of_current(
    cache: str, now: Current, apart: Mapping[str, Mapping[str, tuple[str, str]]], trials: Sequence[Trial]
) -> dict[str, Any]:
    """apart: node -> setting -> (running, in its file)."""
    return {
        "cache": cache,
        "editable": not now.why_not,
        "why_not": now.why_not,
        "how": now.how,
        "nodes": [_node(one, apart.get(one.node, {})) for one in now.nodes],
        "policies_told": now.told,
        "policies": [_policy(name, now) for name in now.policies],
        "trials": [of_trial(one) for one in trials],
    }


def _node(one: NodeSettings, apart: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "node": one.node,
        "primary": one.primary,
        "replica": one.is_replica,
        "problem": one.problem,
        "settings": dict(one.values),
        "not_in_file": {name: {"running": running, "file": file} for name, (running, file) in apart.items()},
        "used_memory": one.used,
        "machine_memory": one.machine or None,
    }


def _policy(name: str, now: Current) -> dict[str, Any]:
    known = policy_of(name)
    return {"name": name, "says": known.says, "when": known.when, "here": _remark(judged(name, now.seen))}


def of_preview(cache: str, seen: Preview) -> dict[str, Any]:
    return {
        "cache": cache,
        "wanted": dict(seen.wanted),
        "replicas": seen.replicas,
        "nodes": [{"node": one.node, "now": dict(one.now), "wanted": dict(one.wanted)} for one in seen.planned],
        "remarks": [_remark(one) for one in seen.remarks],
        "fingerprint": seen.fingerprint,
    }


def _remark(one: Remark) -> dict[str, Any]:
    return asdict(one)


def of_change(one: SettingChange) -> dict[str, Any]:
    """Its fields as they are in the history; times are epoch seconds."""
    return asdict(one)


def of_trial(one: Trial) -> dict[str, Any]:
    """Its fields as they are in the store; times are epoch seconds."""
    return {**asdict(one), "open": one.open}
