"""Putting settings on nodes one after the other, and giving back what they had: each step is in the store before it is
sent, so that a kill leaves a change of which can be told which nodes may have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.tuning import node_settings
from dashboard.cache.tuning.effect import Planned
from dashboard.cache.tuning.node_settings import NodeSettings, Put, differing
from dashboard.store import setting_changes
from dashboard.store.engine import Store
from dashboard.store.setting_changes import Asked, Kind, NodeChange, SettingChange, settled

GONE = "It is no part of this cache any more."
OTHERS = "It has another value by now, which somebody else has set: that was left."


def planned_on(nodes: Sequence[NodeSettings], wanted: Mapping[str, str], *, replicas: bool) -> tuple[Planned, ...]:
    """What each node would get that differs from what it has; nodes that have all of it are left out."""
    found = []
    for node in nodes:
        if node.is_replica and not replicas:
            continue
        other = differing(wanted, node.values)
        if other:
            has = {name: node.values.get(name, "") for name in other}
            gets = {name: wanted[name] for name in other}
            found.append(Planned(node.node, node.primary, has, gets, node.values, node.used, node.machine))
    return tuple(found)


def begin(
    store: Store,
    cache: Cache,
    kind: Kind,
    wanted: Mapping[str, str],
    planned: Sequence[Planned],
    asked: Asked,
    *,
    replicas: bool = False,
    takes_back: int | None = None,
) -> SettingChange:
    """Write down what is to be sent. Raises StoreUnavailable."""
    nodes = [NodeChange(one.node, one.primary, dict(one.now), dict(one.wanted)) for one in planned]
    return setting_changes.begin(
        store, cache.name, kind, wanted, nodes, asked, replicas=replicas, takes_back=takes_back
    )


def send(store: Store, cache: Cache, change: SettingChange, *, through: bool = False) -> SettingChange:
    """Send what was begun, one node after the other, and note what came of each.

    It ends at the first node that does not take it, so that what is wrong everywhere is not tried everywhere; through:
    it goes on, as for what is to be given back. Nodes that were left out stay "waiting". Raises StoreUnavailable.
    """
    nodes = list(change.nodes)
    try:
        reached = {node.name: node for node, _ in node_settings.nodes_of(cache)}
    except CacheError as error:
        nodes = [replace(one, state="unknown", sentence=error.sentence) for one in nodes]
        return setting_changes.note(store, change.number, nodes, settled(nodes))
    for place, one in enumerate(nodes):
        if one.state != "waiting":
            continue
        nodes[place] = _sent(cache, reached.get(one.node), one)
        state = nodes[place].state
        setting_changes.note(store, change.number, nodes)
        if state != "applied" and not through:
            break
    return setting_changes.note(store, change.number, nodes, settled(nodes))


@dataclass(frozen=True)
class WayBack:
    """What has to be done to give nodes back what they had. steps: "waiting" ones are to be sent; of the others there
    is something to tell: they cannot be reached ("unknown"), are gone, or have a third value."""

    last: int
    steps: tuple[NodeChange, ...]

    @property
    def due(self) -> bool:
        return any(one.state == "waiting" for one in self.steps)


def way_back(cache: Cache, changes: Sequence[SettingChange]) -> WayBack:
    """From what these changes put on nodes to what each had before the oldest of them. Nodes that have that already are
    left out; one with a third value is to keep it. Two round trips a node. Raises CacheError."""
    nodes = {node.node: node for node in node_settings.read(cache)}
    back: dict[str, dict[str, str]] = {}
    puts: dict[str, dict[str, str]] = {}
    primary: dict[str, str] = {}
    for change in sorted(changes, key=lambda one: -one.number):
        for one in change.nodes:
            if one.state == "refused":
                continue
            primary[one.node] = nodes[one.node].primary if one.node in nodes else one.primary
            # What the newest change put there is what a node should have now; what it had before the oldest, it gets.
            puts[one.node] = {**one.wanted, **puts.get(one.node, {})}
            back.setdefault(one.node, {}).update(one.before)
    found = (_returned(node, primary[node], nodes.get(node), puts[node], had) for node, had in back.items())
    return WayBack(max((one.number for one in changes), default=0), tuple(one for one in found if one is not None))


def give_back(store: Store, cache: Cache, way: WayBack, kind: Kind, asked: Asked) -> SettingChange:
    """Send what is due on a way back, on all nodes whatever becomes of one. Raises StoreUnavailable."""
    wanted = {name: value for one in way.steps for name, value in one.wanted.items()}
    replicas = any(one.is_replica for one in way.steps)
    begun = setting_changes.begin(
        store, cache.name, kind, wanted, way.steps, asked, replicas=replicas, takes_back=way.last
    )
    return send(store, cache, begun, through=True)


def _returned(
    node: str, primary: str, has: NodeSettings | None, puts: Mapping[str, str], back: Mapping[str, str]
) -> NodeChange | None:
    """One node's way back; None where it has what it had before already."""
    if has is None:
        return NodeChange(node, primary, dict(puts), {}, "applied", {}, GONE)
    if has.problem:
        return NodeChange(node, primary, dict(puts), dict(back), "unknown", {}, has.problem)
    now = {name: has.values.get(name, "") for name in back}
    theirs = [name for name in back if name in puts and not node_settings.same(name, puts[name], now[name])]
    mine = {name: value for name, value in back.items() if name not in theirs and name in puts}
    due = {name: mine[name] for name in differing(mine, now)}
    third = [name for name in theirs if not node_settings.same(name, back[name], now[name])]
    if due:
        return NodeChange(node, primary, {name: now[name] for name in due}, due, sentence=OTHERS if third else "")
    return NodeChange(node, primary, now, {}, "applied", now, OTHERS) if third else None


def _sent(cache: Cache, node: Node | None, one: NodeChange) -> NodeChange:
    if node is None:
        return replace(one, state="unknown", sentence=GONE)
    put: Put = node_settings.put(cache, node, one.wanted)
    return replace(one, state=put.state, now=dict(put.now), sentence=put.sentence or one.sentence)
