"""The history of servers' settings as far as Cachedeck changed them: what each node had before, and has since."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlalchemy import select, update

from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.schema import SettingChangeRow
from dashboard.store.trail import storable

State = Literal["applying", "applied", "partial", "failed"]
STATES: tuple[State, ...] = ("applying", "applied", "partial", "failed")
"""applying: begun and not ended, or ended by a kill. partial: some nodes have it, others not, or it is not known."""

Kind = Literal["change", "return", "rollback", "trial", "trial end", "again", "events", "events end"]
"""return: to an earlier state, on request. rollback: of a change that was partial. again: a trial's settings on a node
that had lost them. events: notifications for a measurement."""

NodeState = Literal["waiting", "applied", "refused", "unknown", "different"]
"""unknown: no answer came, before or after. different: the server said OK and has another value all the same."""


@dataclass(frozen=True)
class NodeChange:
    """One node's part. `primary`: its own name, or for a replica its primary's. before, wanted, now: setting -> value,
    of what differs only. `now` is as read back, empty where that failed. `sentence` says what went wrong."""

    node: str
    primary: str
    before: Mapping[str, str]
    wanted: Mapping[str, str]
    state: NodeState = "waiting"
    now: Mapping[str, str] | None = None
    sentence: str = ""

    @property
    def is_replica(self) -> bool:
        return self.node != self.primary


@dataclass(frozen=True)
class SettingChange:
    """One change. takes_back: the number of the change that it takes back."""

    number: int
    cache: str
    kind: Kind
    state: State
    wanted: Mapping[str, str]
    replicas: bool
    nodes: tuple[NodeChange, ...]
    actor: str
    address: str
    reason: str
    at: float
    takes_back: int | None = None
    persisted_at: float | None = None

    @property
    def touched(self) -> tuple[NodeChange, ...]:
        """The nodes that have it, or may have it."""
        return tuple(one for one in self.nodes if one.state in ("applied", "unknown", "different", "waiting"))


@dataclass(frozen=True)
class Asked:
    """Who asks for a change, and why."""

    actor: str
    address: str
    reason: str = ""


class NoSuchChange(StoreError):
    """No change of settings has this number."""


def begin(
    store: Store,
    cache: str,
    kind: Kind,
    wanted: Mapping[str, str],
    nodes: Sequence[NodeChange],
    asked: Asked,
    *,
    replicas: bool = False,
    takes_back: int | None = None,
) -> SettingChange:
    """Write down what is about to be sent, before it is. Raises StoreUnavailable."""
    row = SettingChangeRow(
        cache=cache,
        kind=kind,
        state="applying",
        wanted=json.dumps(dict(wanted)),
        replicas=replicas,
        nodes=_written(nodes),
        actor=storable(asked.actor),
        address=storable(asked.address),
        reason=storable(asked.reason),
        at=time.time(),
        takes_back=takes_back,
    )
    with store.write() as session:
        session.add(row)
        session.flush()
        return _change(row)


def note(store: Store, number: int, nodes: Sequence[NodeChange], state: State = "applying") -> SettingChange:
    """Write down how far it has got; with another state, how it ended. Raises NoSuchChange, StoreUnavailable."""
    with store.write() as session:
        row = session.get(SettingChangeRow, number)
        if row is None:
            raise NoSuchChange("There is no such change of settings.")
        row.nodes, row.state = _written(nodes), state
        return _change(row)


def all_persisted(store: Store, cache: str, at: float) -> None:
    """Write down that the nodes have written what they have into their files. Raises StoreUnavailable."""
    mine = (SettingChangeRow.cache == cache, SettingChangeRow.persisted_at.is_(None))
    with store.write() as session:
        session.execute(update(SettingChangeRow).where(*mine).values(persisted_at=at))


def get(store: Store, number: int) -> SettingChange | None:
    """One change. Raises StoreUnavailable."""
    if not 0 < number < 2**63:
        return None
    with store.read() as session:
        row = session.get(SettingChangeRow, number)
        return _change(row) if row else None


def of_cache(store: Store, cache: str, most: int = 100, before: int | None = None) -> list[SettingChange]:
    """A cache's changes, the newest first; `before`: only those with a smaller number. Raises StoreUnavailable."""
    query = select(SettingChangeRow).where(SettingChangeRow.cache == cache)
    if before is not None:
        query = query.where(SettingChangeRow.id < before)
    with store.read() as session:
        return [_change(row) for row in session.scalars(query.order_by(SettingChangeRow.id.desc()).limit(most))]


def since(store: Store, cache: str, number: int, kind: Kind | None = None) -> list[SettingChange]:
    """A cache's changes from `number` on, the oldest first; `kind`: only these. Raises StoreUnavailable."""
    query = select(SettingChangeRow).where(SettingChangeRow.cache == cache, SettingChangeRow.id >= number)
    if kind is not None:
        query = query.where(SettingChangeRow.kind == kind)
    with store.read() as session:
        return [_change(row) for row in session.scalars(query.order_by(SettingChangeRow.id))]


def settled(nodes: Sequence[NodeChange]) -> State:
    """How a change has ended, by its nodes."""
    states = {one.state for one in nodes}
    if states <= {"applied"}:
        return "applied"
    return "failed" if states <= {"refused", "waiting"} else "partial"


def _written(nodes: Sequence[NodeChange]) -> str:
    return json.dumps([asdict(replace(one, sentence=storable(one.sentence))) for one in nodes])


def _change(row: SettingChangeRow) -> SettingChange:
    nodes: list[dict[str, Any]] = json.loads(row.nodes)
    return SettingChange(
        number=row.id,
        cache=row.cache,
        kind=row.kind,  # type: ignore[arg-type]
        state=row.state,  # type: ignore[arg-type]
        wanted=json.loads(row.wanted),
        replicas=row.replicas,
        nodes=tuple(NodeChange(**one) for one in nodes),
        actor=row.actor,
        address=row.address,
        reason=row.reason,
        at=row.at,
        takes_back=row.takes_back,
        persisted_at=row.persisted_at,
    )
