"""Changing a cache's settings: seen beforehand, written down, put on every node, read back, and taken back.

The rules stand here once, for pages, command line, trials and measurements alike; each act is audited in the name of
who asked (`Caller`). That only admins may is for the door through which they came to check. What is refused is a
tuning_refused.Refused, with a sentence and an advice; StoreUnavailable and CacheError come through as they are.
"""

from __future__ import annotations

import hashlib
import json
import time
import weakref
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dashboard.cache.servers.capability import NOT_ALLOWED, NOT_KNOWN, READ_ONLY
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.setting import BadValue, canonical
from dashboard.cache.tuning import config_file, node_settings, policies
from dashboard.cache.tuning.effect import Evidence, Planned, Remark, remarks
from dashboard.cache.tuning.node_settings import NodeSettings
from dashboard.jobs import putting
from dashboard.jobs.caller import Caller, audited
from dashboard.jobs.seeing import evidence
from dashboard.jobs.tuning_refused import (
    Altered,
    NoSuchChange,
    NothingToChange,
    TrialOpen,
    Unchangeable,
    Unconfirmed,
)
from dashboard.settings import Settings
from dashboard.store import setting_changes, trials
from dashboard.store.audit import JSON
from dashboard.store.engine import Store
from dashboard.store.setting_changes import Asked, Kind, SettingChange

POLICIES_SECONDS = 300.0
"""A server's list of policies changes with its version only, and each question is an error in its statistics."""

ACTIONS: Mapping[str, str] = {
    "change": "settings.change",
    "return": "settings.return",
    "rollback": "settings.rollback",
}
_MANAGED = (
    "Where the server is managed, its settings are changed there: in the parameter group of Amazon ElastiCache or "
    "MemoryDB, with gcloud redis instances update for Google Memorystore, under Advanced settings for Azure Cache."
)
HOW: Mapping[str, tuple[str, str]] = {
    READ_ONLY: (
        "{name} is declared read-only here.",
        "Remove read_only from its URL in CACHEDECK_CACHES if its settings are to be changed here.",
    ),
    NOT_ALLOWED: (
        "Cachedeck's user on {name} may not run CONFIG SET.",
        f"Allow it (ACL SETUSER ... +config|get +config|set). {_MANAGED}",
    ),
    NOT_KNOWN: (
        "{name} knows no CONFIG SET: it was renamed or taken out.",
        f"{_MANAGED} On a server of your own, write them into its configuration file.",
    ),
}


@dataclass(frozen=True)
class Current:
    """The settings as they are. nodes: each primary followed by its replicas. policies: those that the server knows;
    told: whether it said so itself (else they are what every server knows). seen: what is known of the cache.
    why_not: why nothing can be changed here, "" where it can. how: how it is changed there instead, "" where it can."""

    nodes: tuple[NodeSettings, ...]
    policies: tuple[str, ...]
    told: bool
    seen: Evidence
    why_not: str = ""
    how: str = ""


@dataclass(frozen=True)
class Preview:
    """What a change would do, frozen: `fingerprint` is of what the nodes have and would get, and is given to apply().

    wanted: canonical values. planned: only nodes that would change. asks: what has to be confirmed in so many words
    (sentences), empty where nothing has to be.
    """

    wanted: Mapping[str, str]
    replicas: bool
    planned: tuple[Planned, ...]
    remarks: tuple[Remark, ...]
    fingerprint: str

    @property
    def asks(self) -> tuple[str, ...]:
        return tuple(one.sentence for one in self.remarks if one.asks)


def current(store: Store, settings: Settings, cache: Cache) -> Current:
    """The settings of every node now. Two round trips a node, and one more. Raises CacheError, StoreUnavailable."""
    nodes = node_settings.read(cache)
    why_not, how = _obstacle(cache)
    listed = () if why_not else _policies(cache)
    seen = evidence(store, cache.name, settings.sample_seconds)
    return Current(nodes, listed or policies.EVERYWHERE, bool(listed), seen, why_not, how)


def preview(
    store: Store, settings: Settings, cache: Cache, wanted: Mapping[str, str], *, replicas: bool = False
) -> Preview:
    """What would change where, and what that would do. wanted: as typed.

    Raises setting.BadValue, Refused (Unchangeable, NothingToChange, TrialOpen), CacheError.
    """
    now = current(store, settings, cache)
    if now.why_not:
        raise Unchangeable(now.why_not, now.how)
    refuse_while_tried(store, cache, wanted)
    nodes = [node for node in now.nodes if replicas or not node.is_replica]
    for node in nodes:
        if node.problem:
            raise Unchangeable(
                f"The settings of {node.node} cannot be read: {node.problem}", "All nodes, or none, are changed."
            )
    listed = now.policies if now.told else ()
    machines = _memory_of(nodes, now.seen)
    exact = {name: canonical(name, text, policies=listed, of_memory=machines) for name, text in wanted.items()}
    for name in exact:
        if any(name not in node.values for node in nodes):
            raise BadValue(name, f"{cache.name} has no setting {name}: its version does not know it.")
    planned = putting.planned_on(nodes, exact, replicas=replicas)
    if not planned:
        raise NothingToChange(f"{cache.name} has {_said(exact)} already, on every node.")
    return Preview(exact, replicas, planned, remarks(planned, now.seen), _fingerprint(exact, planned))


def apply(
    store: Store,
    settings: Settings,
    cache: Cache,
    wanted: Mapping[str, str],
    caller: Caller,
    reason: str = "",
    *,
    replicas: bool = False,
    fingerprint: str = "",
    confirmed: bool = False,
    kind: Kind = "change",
    takes_back: int | None = None,
) -> SettingChange:
    """Put settings on every primary (and replica), and read them back. What came of it on each node is in the answer.

    fingerprint: of the preview that was looked at; "" for none. Raises as preview(), and Refused: Altered where it is
    not any more what was looked at, Unconfirmed where something has to be confirmed (`asks`) and is not.
    """
    seen = agreed(store, settings, cache, wanted, replicas=replicas, fingerprint=fingerprint, confirmed=confirmed)
    subject = in_words(seen.wanted, seen.planned)
    with audited(
        store, caller, cache, ACTIONS.get(kind, "settings.change"), subject, reason, had(seen.planned)
    ) as said:
        asked = Asked(caller.name, caller.address, reason)
        begun = putting.begin(
            store, cache, kind, seen.wanted, seen.planned, asked, replicas=replicas, takes_back=takes_back
        )
        done = putting.send(store, cache, begun)
        said.done(after=outcome(done))
    return done


def agreed(
    store: Store,
    settings: Settings,
    cache: Cache,
    wanted: Mapping[str, str],
    *,
    replicas: bool,
    fingerprint: str,
    confirmed: bool,
) -> Preview:
    """The preview, if it is what was looked at and confirmed. Raises as apply()."""
    seen = preview(store, settings, cache, wanted, replicas=replicas)
    if fingerprint and fingerprint != seen.fingerprint:
        raise Altered(
            f"The settings of {cache.name} are not any more what was looked at.", "Look at the preview once more."
        )
    if seen.asks and not confirmed:
        raise Unconfirmed(seen.asks)
    return seen


def roll_back(store: Store, cache: Cache, number: int, caller: Caller, reason: str = "") -> SettingChange:
    """Give every node that took a change (or may have) what it had before. Raises Refused, CacheError.

    A node that has a third value by now, set by somebody else, keeps it and is told so.
    """
    change = change_of(store, cache, number)
    cache.require_writable()
    refuse_while_tried(store, cache, change.wanted)
    way = putting.way_back(cache, [change])
    if not way.due:
        told = " ".join(f"{one.node}: {one.sentence}" for one in way.steps if one.sentence)
        raise NothingToChange(f"No node of {cache.name} has any of change {number} (any more). {told}".strip())
    asked = Asked(caller.name, caller.address, reason)
    with audited(store, caller, cache, ACTIONS["rollback"], f"change {number}", reason) as said:
        done = putting.give_back(store, cache, way, "rollback", asked)
        said.done(after=outcome(done))
    return done


def state_before(store: Store, cache: Cache, number: int) -> Mapping[str, str]:
    """Every setting that a change has, or a later one has changed, as it was before change `number`, from the history:
    what preview() and apply(kind="return") are given for a return to that state. Of the first primary, where they
    differed. Raises Refused."""
    change_of(store, cache, number)
    found: dict[str, str] = {}
    for change in setting_changes.since(store, cache.name, number):
        first = next((one for one in change.nodes if not one.is_replica), None)
        for name, value in (first.before if first else {}).items():
            if name in change.wanted:
                found.setdefault(name, value)
    return found


def persist(store: Store, cache: Cache, caller: Caller, reason: str = "") -> Mapping[str, str]:
    """CONFIG REWRITE on every node: node -> "" or why it did not work. Raises Refused, CacheError."""
    cache.require_writable()
    refuse_while_tried(store, cache, None)
    with audited(store, caller, cache, "settings.persist", "all settings, into the configuration file", reason) as said:
        told = {node.name: node_settings.rewrite(cache, node) for node, _ in node_settings.nodes_of(cache)}
        said.done(after={node: why or "written" for node, why in told.items()})
    if not any(told.values()):
        setting_changes.all_persisted(store, cache.name, time.time())
    return told


def change_of(store: Store, cache: Cache, number: int) -> SettingChange:
    """A change of this cache. Raises NoSuchChange."""
    found = setting_changes.get(store, number)
    if found is None or found.cache != cache.name:
        raise NoSuchChange(f"{cache.name} has no change of settings {number}.")
    return found


def refuse_while_tried(store: Store, cache: Cache, names: Collection[str] | None) -> None:
    """Raises TrialOpen where a trial holds any of these settings (None: any at all)."""
    for trial in trials.open_on(store, [cache.name]):
        held = sorted(trial.wanted if names is None else set(trial.wanted) & set(names))
        if held:
            what = "Trial" if trial.purpose == "trial" else "The measurement of trial"
            raise TrialOpen(
                f"{what} {trial.number} holds {', '.join(held)} on {cache.name}.", "End it first.", trial.number
            )


def in_words(wanted: Mapping[str, str], planned: Sequence[Planned]) -> str:
    """'maxmemory-policy=allkeys-lfu on 3 nodes', for the audit trail."""
    nodes = planned[0].node if len(planned) == 1 else f"{len(planned)} nodes"
    return f"{_said(wanted)} on {nodes}"


def had(planned: Sequence[Planned]) -> JSON:
    return {one.node: dict(one.now) for one in planned}


def outcome(change: SettingChange) -> JSON:
    """What came of a change, for the audit trail."""
    nodes = {
        one.node: one.sentence if one.state != "applied" or not one.wanted else dict(one.now or one.wanted)
        for one in change.nodes
    }
    return {"change": change.number, "state": change.state, "nodes": nodes}


def _said(wanted: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in wanted.items())


_known: weakref.WeakKeyDictionary[Cache, tuple[float, tuple[str, ...]]] = weakref.WeakKeyDictionary()


def _policies(cache: Cache) -> tuple[str, ...]:
    known = _known.get(cache)
    if known is None or time.monotonic() - known[0] > POLICIES_SECONDS or not known[1]:
        known = _known[cache] = (time.monotonic(), node_settings.policies_of(cache))
    return known[1]


def _obstacle(cache: Cache) -> tuple[str, str]:
    """(why settings cannot be changed here, how they are changed instead); empty where they can."""
    reason = cache.capabilities().denied.get("CONFIG SET", "")
    why, how = HOW.get(reason, ("", ""))
    return why.format(name=cache.name), how


def _memory_of(nodes: Sequence[NodeSettings], seen: Evidence) -> int | None:
    """What a percentage is of: the smallest container or machine of these nodes; None where one is not known."""
    limits = seen.limits or {}
    found = [limits.get(node.node) or node.machine for node in nodes]
    return min(found) if found and all(found) else None


def _fingerprint(wanted: Mapping[str, str], planned: Sequence[Planned]) -> str:
    told = [
        sorted(wanted.items()),
        [[one.node, sorted(one.now.items()), sorted(one.wanted.items())] for one in planned],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def not_in_file(cache: Cache, nodes: Sequence[NodeSettings]) -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """node -> setting -> (what is running, what its file would give at a restart), of nodes that differ from it.

    Nodes that are missing are in step with it, or have none that can be read here (config_file.py).
    """
    found = {node.node: config_file.differences(cache.target, node) for node in nodes}
    return {node: told for node, told in found.items() if told}
