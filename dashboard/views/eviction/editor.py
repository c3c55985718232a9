"""The form of a cache's settings: each with what the nodes have now, what it takes, and what each policy would mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboard.cache.servers.setting import BY_NAME, Setting, shown
from dashboard.cache.tuning.effect import Remark, judged
from dashboard.cache.tuning.node_settings import NodeSettings
from dashboard.cache.tuning.policies import Policy, policy_of
from dashboard.cache.wording import size
from dashboard.jobs.tuning import Current
from dashboard.views.eviction.setting_words import typed, where

POLICY = "maxmemory-policy"
HAD = "had."
"""Before the name of what a field was filled with, so that what was not touched is told from what was."""
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Limits", ("maxmemory", "maxmemory-clients")),
    ("How keys are chosen", ("maxmemory-samples", "maxmemory-eviction-tenacity", "lfu-log-factor", "lfu-decay-time")),
    ("Expiry", ("active-expire-effort",)),
    (
        "Freeing in the background",
        (
            "lazyfree-lazy-eviction",
            "lazyfree-lazy-expire",
            "lazyfree-lazy-server-del",
            "lazyfree-lazy-user-del",
            "lazyfree-lazy-user-flush",
        ),
    ),
)


@dataclass(frozen=True)
class Held:
    """A value that some nodes have. where: `2 primaries`; nodes: their names."""

    value: str
    words: str
    where: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """One setting in the form. value: what stands in it, "" where the nodes differ; had: what it was filled with.
    held: what the nodes have, what most have first; one where all agree. unset: nodes that do not know it."""

    setting: Setting
    value: str
    had: str
    held: tuple[Held, ...]
    hint: str = ""
    error: str = ""
    unset: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return len(self.held) > 1


@dataclass(frozen=True)
class Choice:
    """One policy. here: where it is in force now, "" where nowhere."""

    policy: Policy
    means: Remark
    here: str
    chosen: bool


@dataclass(frozen=True)
class Editor:
    """The form. had: the policy that all nodes have, "" where they differ. replicas: how many there are. troubles:
    (node, why it cannot be read). filled: whether somebody has typed something already."""

    choices: tuple[Choice, ...]
    policy: Field | None
    had: str
    groups: tuple[tuple[str, tuple[Field, ...]], ...]
    nodes: tuple[NodeSettings, ...]
    told: bool
    why_not: str
    how: str
    replicas: int
    troubles: tuple[tuple[str, str], ...]
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def primaries(self) -> int:
        return len(self.nodes) - self.replicas


def editor(now: Current, sent: Mapping[str, str] | None = None, error: tuple[str, str] | None = None) -> Editor:
    """sent: what was typed, and refused: `error` is (name of the setting, sentence)."""
    sent = sent or {}
    names = [one for _, group in GROUPS for one in group]
    fields = {
        name: made for name in [POLICY, *names] if (made := _field(BY_NAME[name], now.nodes, sent, error)) is not None
    }
    policy = fields.get(POLICY)
    return Editor(
        choices=_choices(now, policy),
        policy=policy,
        had=policy.had if policy else "",
        groups=tuple(
            (title, found) for title, group in GROUPS if (found := tuple(fields[one] for one in group if one in fields))
        ),
        nodes=now.nodes,
        told=now.told,
        why_not=now.why_not,
        how=now.how,
        replicas=sum(one.is_replica for one in now.nodes),
        troubles=tuple((one.node, one.problem) for one in now.nodes if one.problem),
        fields=fields,
    )


def touched(sent: Mapping[str, str]) -> dict[str, str]:
    """The settings that were given another value than the form was filled with; empty fields are left as they are."""
    return {
        name: text.strip()
        for name, text in sent.items()
        if name in BY_NAME and BY_NAME[name].editable and text.strip() and text.strip() != sent.get(HAD + name)
    }


def _field(
    setting: Setting, nodes: Sequence[NodeSettings], sent: Mapping[str, str], error: tuple[str, str] | None
) -> Field | None:
    held = _held(setting.name, nodes)
    if not held:
        return None
    had = typed(setting.name, held[0].value) if len(held) == 1 else ""
    return Field(
        setting,
        sent.get(setting.name, had),
        had,
        held,
        _hint(setting, nodes),
        error[1] if error and error[0] == setting.name else "",
        tuple(one.node for one in nodes if one.values and setting.name not in one.values),
    )


def _held(name: str, nodes: Sequence[NodeSettings]) -> tuple[Held, ...]:
    there: dict[str, list[NodeSettings]] = {}
    for node in nodes:
        if name in node.values:
            there.setdefault(node.values[name], []).append(node)
    most = sorted(there.items(), key=lambda pair: -len(pair[1]))
    return tuple(
        Held(value, shown(name, value), where(found), tuple(one.node for one in found)) for value, found in most
    )


def _hint(setting: Setting, nodes: Sequence[NodeSettings]) -> str:
    """What may be typed."""
    if setting.kind == "memory":
        machines = [one.machine for one in nodes if one.machine]
        percent = f", or 75% of the machine ({size(min(machines))})" if machines else ""
        return f"2gb, 512mb{percent}"
    if setting.kind == "client memory":
        return "512mb, or 5% of maxmemory"
    if setting.kind == "number":
        most = "" if setting.most == 2**31 - 1 else f" to {setting.most}"
        return f"{setting.least}{most or ' or more'}"
    return ""


def _choices(now: Current, policy: Field | None) -> tuple[Choice, ...]:
    held = {one.value: one for one in policy.held} if policy else {}
    # What a server has and did not list is its own all the same.
    names = [*now.policies, *(name for name in held if name not in now.policies)]
    return tuple(
        Choice(
            policy_of(name),
            judged(name, now.seen),
            "" if name not in held else held[name].where if len(held) > 1 else "in force",
            policy is not None and policy.value == name,
        )
        for name in names
    )
