"""Two results of the same selection of one cache: what grew, what shrank, what is new. Pure.

Both may be estimates. A difference of independent estimates has an interval recovered from theirs (the
MOVER rule, as in estimate.sum_of), and one whose interval contains zero is no certain change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboard.cache.analysis.report import OTHER, Group, NamespaceRow, Report
from dashboard.cache.estimate import NOTHING, Estimate, exactly, sum_of
from dashboard.cache.wording import count, signed, size

NAMED = 3  # differences that the sentence names
Kind = Literal["both", "new", "gone", "unlisted"]


@dataclass(frozen=True)
class Amount:
    """One quantity in both results. `delta` is after minus before."""

    before: Estimate
    after: Estimate

    @property
    def delta(self) -> Estimate:
        return difference(self.after, self.before)

    @property
    def certain(self) -> bool:
        """Whether it has changed for certain: zero lies outside of the interval."""
        return not self.delta.low <= 0 <= self.delta.high

    @property
    def unchanged(self) -> bool:
        """Whether it is the same for certain."""
        return self.delta.exact and self.delta.value == 0


@dataclass(frozen=True)
class Difference:
    """How one namespace, type or TTL bucket differs. memory: None where either result lacks it.

    kind: "new" and "gone" where one result has no such keys; "unlisted" where one of them does not list it although
    it may have had a few, because it is an estimate or had too many namespaces to list.
    """

    name: str
    keys: Amount
    memory: Amount | None
    kind: Kind = "both"

    @property
    def certain(self) -> bool:
        """Whether keys or memory have changed for certain."""
        return self.keys.certain or (self.memory is not None and self.memory.certain)

    @property
    def unchanged(self) -> bool:
        return self.keys.unchanged and (self.memory is None or self.memory.unchanged)

    @property
    def weight(self) -> tuple[bool, float, float]:
        """By which differences stand in order, the largest first."""
        return self.certain, abs(self.memory.delta.value if self.memory else 0.0), abs(self.keys.delta.value)


@dataclass(frozen=True)
class Comparison:
    """before_at, after_at: epoch seconds at which the two analyses began. Each list has most first."""

    before_at: float
    after_at: float
    whole: Difference
    without_ttl: Difference
    namespaces: tuple[Difference, ...]
    types: tuple[Difference, ...]
    ttl: tuple[Difference, ...]

    @property
    def sentence(self) -> str:
        """What has changed most, to follow "Since <time>: ": `api:search:* + 1.1 GB, sess:* + 210 MB`."""
        changed = [one for one in self.namespaces if one.certain]
        if not changed:
            return "no certain change."
        named = ", ".join(_said(one) for one in changed[:NAMED])
        more = len(changed) - NAMED
        rest = f", and {count(more)} more namespace{'s' if more > 1 else ''}" if more > 0 else ""
        return f"{named}{rest}; {_said(self.whole)}."


def difference(after: Estimate, before: Estimate) -> Estimate:
    """after minus before, of independent estimates."""
    return sum_of((after, Estimate(-before.value, -before.high, -before.low)))


def compare(before: Report, after: Report) -> Comparison:
    """The differences between two results, which are of the same selection (that is the caller's to see to)."""
    return Comparison(
        before.started_at,
        after.started_at,
        Difference("all keys", Amount(before.keys, after.keys), _amount(before.memory, after.memory)),
        Difference(
            "without TTL",
            Amount(before.without_ttl, after.without_ttl),
            _amount(before.without_ttl_memory, after.without_ttl_memory),
        ),
        _namespaces(before, after),
        _groups(before.types, after.types),
        _groups(before.ttl, after.ttl, ordered=False),
    )


def _namespaces(before: Report, after: Report) -> tuple[Difference, ...]:
    earlier, later = ({row.name: row for row in report.namespaces} for report in (before, after))
    found = []
    for name in dict.fromkeys((*later, *earlier)):
        if name == OTHER:
            continue  # what it holds differs from one result to the next, so its difference says nothing
        old, new = earlier.get(name), later.get(name)
        keys = Amount(old.keys if old else _unseen(before), new.keys if new else _unseen(after))
        found.append(Difference(name, keys, _memory(old, new, keys, before, after), _kind(old, new, keys)))
    return _most_first(found)


def _kind(old: NamespaceRow | None, new: NamespaceRow | None, keys: Amount) -> Kind:
    if old and new:
        return "both"
    missing = keys.after if old else keys.before
    if missing.high > 0:
        return "unlisted"
    return "gone" if old else "new"


def _unseen(report: Report) -> Estimate:
    """How many keys a namespace may have that a result does not list: none of the sample, or less than its bound."""
    at_most = (report.estimate(0).high if report.sample < report.population else 0.0) + report.bound
    return Estimate(0.0, 0.0, at_most)


def _memory(
    old: NamespaceRow | None, new: NamespaceRow | None, keys: Amount, before: Report, after: Report
) -> Amount | None:
    """What a namespace takes in both; where one does not list it, its keys are taken to be as large as in the other."""
    if before.memory is None or after.memory is None:
        return None
    row = new or old
    if row is None or row.memory is None:
        return None
    mean = row.memory.value / row.keys.value if row.keys.value else 0.0

    def of(known: NamespaceRow | None, unseen: Estimate) -> Estimate | None:
        return known.memory if known else Estimate(0.0, 0.0, unseen.high * mean)

    return _amount(of(old, keys.before), of(new, keys.after))


def _groups(before: Sequence[Group], after: Sequence[Group], *, ordered: bool = True) -> tuple[Difference, ...]:
    earlier, later = ({group.name: group for group in groups} for groups in (before, after))
    # TTL buckets have an order of their own, which both results share.
    names = dict.fromkeys((*later, *earlier))
    found = [_of_group(name, earlier.get(name), later.get(name), earlier, later) for name in names]
    return _most_first(found) if ordered else tuple(found)


def _of_group(
    name: str, old: Group | None, new: Group | None, earlier: Mapping[str, Group], later: Mapping[str, Group]
) -> Difference:
    told = all(group.memory is not None for group in (*earlier.values(), *later.values()))
    nothing = exactly(0.0)

    def of(group: Group | None) -> Estimate:
        return (group.memory or NOTHING) if group else nothing

    keys = Amount(old.keys if old else nothing, new.keys if new else nothing)
    return Difference(name, keys, Amount(of(old), of(new)) if told else None)


def _amount(before: Estimate | None, after: Estimate | None) -> Amount | None:
    return None if before is None or after is None else Amount(before, after)


def _most_first(found: Iterable[Difference]) -> tuple[Difference, ...]:
    return tuple(sorted(found, key=lambda one: one.weight, reverse=True))


def _said(one: Difference) -> str:
    """`api:search:* + 1.1 GB`, or in keys where memory is not told or has not changed for certain."""
    if one.memory is not None and one.memory.certain:
        return f"{one.name} {signed(one.memory.delta.value, size)}"
    if one.keys.certain:
        return f"{one.name} {signed(one.keys.delta.value, count)} keys"
    return f"{one.name} no certain change"
