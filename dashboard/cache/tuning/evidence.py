"""What the judgement of settings is made from: what is known of a cache, and what its nodes would get. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboard.cache.analysis.report import Report
from dashboard.cache.eviction.unexpiring import Unexpiring, of_picture
from dashboard.cache.statistics.picture import Analysed, Level, Picture, Span


@dataclass(frozen=True)
class Evidence:
    """What is known of a cache. picture: its samples. report: of the last complete analysis of all its keys, if there
    is one, finished at `analysed_at` (epoch seconds). limits: node -> bytes of its container or machine, where known.
    """

    picture: Picture
    report: Report | None = None
    analysed_at: float | None = None
    limits: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Planned:
    """What one primary (or replica) has and would get; `wanted` holds only what differs.

    has: all its settings that are known. used: its bytes that count against maxmemory, machine: those of its machine;
    0 where nobody has looked just now.
    """

    node: str
    primary: str
    now: Mapping[str, str]
    wanted: Mapping[str, str]
    has: Mapping[str, str] = field(default_factory=dict)
    used: int = 0
    machine: int = 0

    @property
    def is_replica(self) -> bool:
        return self.node != self.primary


@dataclass(frozen=True)
class Remark:
    """Something to know before a change is made. asks: it has to be confirmed in so many words."""

    level: Level
    sentence: str
    asks: bool = False


@dataclass(frozen=True)
class Side:
    """One node of a plan beside what its primary's samples say (None: there are none)."""

    planned: Planned
    seen: Evidence
    span: Span | None

    def had(self, name: str) -> str:
        """A setting as it is now; "" where it is not known."""
        planned = self.planned
        told = planned.now.get(name) or planned.has.get(name)
        if told is None and self.span is not None:
            if name == "maxmemory-policy":
                return self.span.policy
            if name == "maxmemory" and name in self.span.latest.values:
                return f"{self.span.latest.get(name):.0f}"
        return told or ""

    def gets(self, name: str) -> str:
        """A setting as it would be; "" where it is not known."""
        return self.planned.wanted.get(name) or self.had(name)

    def number(self, name: str, *, now: bool = False) -> int:
        """A whole number of a setting (as gets(), or had()); 0 for what is none."""
        text = self.had(name) if now else self.gets(name)
        return min(int(text), 2**63 - 1) if text.isascii() and text.isdecimal() else 0

    @property
    def used(self) -> float:
        """Bytes that count against maxmemory; 0 where they are not known."""
        return self.planned.used or (self.span.latest.counted_memory if self.span else 0.0)

    @property
    def keys(self) -> float:
        return self.span.latest.get("keys") if self.span else 0.0

    @property
    def room(self) -> int:
        """Bytes of its container or machine; 0 where they are not known."""
        limits = self.seen.limits or {}
        told = limits.get(self.planned.node) or self.planned.machine
        return told or (int(self.span.latest.get("total_system_memory")) if self.span else 0)

    @property
    def in_container(self) -> bool:
        return bool((self.seen.limits or {}).get(self.planned.node))


@dataclass(frozen=True)
class Plan:
    """All nodes of a plan, and what is known of the cache."""

    nodes: tuple[Side, ...]
    seen: Evidence

    def where(self, some: Sequence[Side]) -> str:
        """'' for the only node, else ' on 10.0.0.3:6379', ' on 2 of 3 nodes', ' on each of 3 nodes'."""
        if len(self.nodes) <= 1:
            return ""
        if len(some) == 1:
            return f" on {some[0].planned.node}"
        return f" on {'each' if len(some) == len(self.nodes) else len(some)} of {len(self.nodes)} nodes"


def plan_of(planned: Sequence[Planned], seen: Evidence) -> Plan:
    by_name = {one.name: one for one in seen.picture.fresh}
    return Plan(tuple(Side(one, seen, by_name.get(one.primary)) for one in planned), seen)


def unexpiring(seen: Evidence) -> Unexpiring | None:
    """What has no TTL, of the whole cache; None where it is not known, or there are no keys."""
    return of_picture(seen.picture, _analysed(seen))


def _analysed(seen: Evidence) -> Analysed | None:
    report = seen.report
    if report is None:
        return seen.picture.known.analysed
    if report.memory is None or report.without_ttl_memory is None or seen.analysed_at is None:
        return None
    return Analysed(report.memory.value, report.without_ttl_memory.value, seen.analysed_at)
