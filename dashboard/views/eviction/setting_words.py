"""Settings, changes of them and trials in words, for pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dashboard.cache.servers.setting import BY_NAME, shown
from dashboard.cache.wording import number_of, span
from dashboard.store import setting_changes, trials
from dashboard.store.setting_changes import SettingChange
from dashboard.store.trials import Trial

CHANGE_KINDS: Mapping[setting_changes.Kind, str] = {
    "change": "Change",
    "return": "Return to an earlier state",
    "rollback": "Rollback",
    "trial": "Trial, begun",
    "trial end": "Trial, taken back",
    "again": "Trial, put on again",
    "events": "Notifications, on",
    "events end": "Notifications, off",
}
CHANGE_STATES: Mapping[setting_changes.State, tuple[str, str]] = {
    "applying": ("not ended", "warn"),
    "applied": ("applied", "ok"),
    "partial": ("partly applied", "bad"),
    "failed": ("not applied", "bad"),
}
NODE_STATES: Mapping[setting_changes.NodeState, tuple[str, str]] = {
    "waiting": ("not sent", "quiet"),
    "applied": ("applied", "ok"),
    "refused": ("refused", "bad"),
    "unknown": ("not known", "warn"),
    "different": ("another value", "warn"),
}
TRIAL_STATES: Mapping[trials.State, tuple[str, str]] = {
    "starting": ("starting", "info"),
    "running": ("running", "info"),
    "ending": ("going back", "info"),
    "reverted": ("taken back", "ok"),
    "kept": ("kept", "ok"),
    "stuck": ("stuck", "bad"),
    "failed": ("not started", "bad"),
}
"""Each state -> (word, level of its badge)."""

SHORT = {"maxmemory-policy": "policy", "maxmemory": "memory limit"}
_UNITS = (("gb", 1024**3), ("mb", 1024**2), ("kb", 1024))


class HasPlace(Protocol):
    @property
    def is_replica(self) -> bool: ...


@dataclass(frozen=True)
class Step:
    """One setting's way from one value to another, on the nodes that go it. Values in words."""

    name: str
    label: str
    before: str
    after: str
    nodes: tuple[str, ...]
    where: str


def typed(name: str, value: str) -> str:
    """A server's value as one would type it: 67108864 of a memory setting is `64mb`."""
    setting = BY_NAME.get(name)
    if setting is None or setting.kind not in ("memory", "client memory") or not value.isdecimal() or value == "0":
        return value
    amount = int(value)
    return next((f"{amount // step}{unit}" for unit, step in _UNITS if not amount % step), value)


def label_of(name: str) -> str:
    setting = BY_NAME.get(name)
    return setting.label if setting else name


def where(nodes: Sequence[HasPlace]) -> str:
    """`1 primary`, `3 primaries and 2 replicas`."""
    replicas = sum(one.is_replica for one in nodes)
    parts = [(len(nodes) - replicas, "primary", "primaries"), (replicas, "replica", "replicas")]
    return " and ".join(number_of(amount, one, many) for amount, one, many in parts if amount) or "no node"


def set_to(wanted: Mapping[str, str]) -> str:
    """`policy allkeys-lfu, memory limit 64 MB`."""
    return ", ".join(f"{SHORT.get(name, name)} {shown(name, value)}" for name, value in wanted.items())


def title_of(trial: Trial) -> str:
    """What a trial or measurement is called in its heading and on the banner."""
    if trial.purpose == "events":
        return "Keyspace notifications are on for a measurement"
    if trial.purpose == "notifications":
        return f"Keyspace notifications are on ({trial.wanted.get('notify-keyspace-events', '')})"
    return f"Trial of {set_to(trial.wanted)}"


def steps(parts: Iterable[tuple[str, HasPlace, Mapping[str, str], Mapping[str, str]]]) -> tuple[Step, ...]:
    """(node, its place, what it had, what it gets) of each node as one step for each setting and pair of values."""
    found: dict[tuple[str, str, str], list[tuple[str, HasPlace]]] = {}
    for node, place, before, after in parts:
        for name, value in after.items():
            found.setdefault((name, before.get(name, ""), value), []).append((node, place))
    return tuple(
        Step(
            name,
            label_of(name),
            shown(name, before) if before or name == "notify-keyspace-events" else "not told",
            shown(name, after),
            tuple(node for node, _ in there),
            where([place for _, place in there]),
        )
        for (name, before, after), there in found.items()
    )


def steps_of(change: SettingChange) -> tuple[Step, ...]:
    return steps((one.node, one, one.before, one.wanted) for one in change.nodes)


def in_short(change: SettingChange) -> str:
    """`policy noeviction → allkeys-lfu, memory limit no limit → 64 MB`: of where most nodes went."""
    most: dict[str, Step] = {}
    for step in steps_of(change):
        if step.name not in most or len(step.nodes) > len(most[step.name].nodes):
            most[step.name] = step
    said = ", ".join(f"{SHORT.get(one.name, one.name)} {one.before} → {one.after}" for one in most.values())
    return said or set_to(change.wanted)


@dataclass(frozen=True)
class Banner:
    """An open trial or measurement on the screens of its cache. text: how it stands, before the countdown, if one
    counts: epoch seconds of its end. level: info, warn or bad."""

    number: int
    purpose: trials.Purpose
    title: str
    text: str
    level: str
    ends_at: float | None = None


def banner(trial: Trial, now: float, workers: int) -> Banner:
    """How an open trial stands. workers: how many live; none takes it back when its time is over."""
    title, late = title_of(trial), now - trial.ends_at
    if trial.state == "stuck":
        text = "It could not be taken back everywhere yet. It is tried again and again."
        return Banner(trial.number, trial.purpose, title, text, "bad")
    if trial.state == "ending":
        return Banner(trial.number, trial.purpose, title, "It is being taken back.", "info")
    if late > 0:
        said = f"Its time was over {span(late)} ago"
        text = f"{said}: it is being taken back." if workers else f"{said}, and no worker runs to take it back."
        return Banner(trial.number, trial.purpose, title, text, "info" if workers else "bad")
    if not workers:
        text = "No worker runs: nobody watches it, and nothing goes back until one is started. Due to end in"
        return Banner(trial.number, trial.purpose, title, text, "bad", trial.ends_at)
    return Banner(trial.number, trial.purpose, title, "It goes back by itself in", "info", trial.ends_at)
