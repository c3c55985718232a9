"""What an analysis says of a keyspace, as far as it has got. Pure, and plain enough to be stored as JSON.

Every figure that is not exact is an Estimate with its 95 % interval. Names are printable text
(key_token.printable), because that is how they are shown and stored; from_printable() gives the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dashboard.cache.estimate import NOTHING, Estimate, count_from_sample
from dashboard.cache.walking.progress import Progress

OTHER = "(other)"
"""The name of the row of all namespaces that were too many to be counted one by one."""


@dataclass(frozen=True)
class Group:
    """Keys that have something in common: a TTL bucket, a type, an encoding, an idle time. memory: bytes."""

    name: str
    keys: Estimate
    memory: Estimate | None = None


@dataclass(frozen=True)
class Sizes:
    """Bytes of a key, as MEMORY USAGE counts them, of those that were seen.

    The percentiles are right to within 6 %, the mean exactly; so is the largest of all keys, and that of one namespace
    to within 6 % again.
    """

    mean: float
    p50: float
    p90: float
    p99: float
    largest: int


@dataclass(frozen=True)
class NamespaceRow:
    """One namespace. `name` has its variable parts folded: `api:user:*:posts`.

    missed: keys that it may have besides, because it was counted as one of the others for a while (0 unless there
    are very many namespaces). ttl: keys in each of slots.TTL_LABELS; () beyond the first rows. types: most first.
    odd: how many keys have a remarkable name or size, by design.py's names ("long name", "large value",
    "one element", "millions of members"). example: one key's name, cut at 200 characters.
    """

    name: str
    keys: Estimate
    memory: Estimate | None
    without_ttl: Estimate
    without_ttl_memory: Estimate | None
    example: str
    missed: int = 0
    ttl: tuple[Estimate, ...] = ()
    types: tuple[Group, ...] = ()
    sizes: Sizes | None = None
    odd: Mapping[str, Estimate] = field(default_factory=dict)
    odd_examples: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BigKey:
    """One of the largest keys. ttl: seconds left, -1 none. members: of a collection, where they were counted.

    `cut`: bytes of its name that `name` leaves out, because it is very long.
    """

    name: str
    type: str
    memory: int
    ttl: float
    members: int | None = None
    cut: int = 0


@dataclass(frozen=True)
class Expiry:
    """When keys expire. `origin`: epoch seconds from which the slots (slots.py) count.

    keys, memory: (slot, how many keys or bytes) pairs of the slots in which something expires, in order: what was
    seen, scaled up to the whole keyspace.
    """

    origin: float = 0.0
    keys: tuple[tuple[int, float], ...] = ()
    memory: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Cliff:
    """Far more keys of one namespace expire at one moment than around it.

    at: epoch seconds; seconds: how long it lasts; usual: keys per second around it. name: the namespace, "" for
    the keyspace as a whole. pattern: a glob for its keys.
    """

    name: str
    pattern: str
    at: float
    seconds: int
    keys: Estimate
    usual: float


@dataclass(frozen=True)
class RuleRow:
    """How the keys of one TTL rule stand. longest: the longest TTL left, seconds; None where none has one."""

    rule: int
    pattern: str
    low: float
    high: float
    reason: str
    inside: Estimate = NOTHING
    below: Estimate = NOTHING
    above: Estimate = NOTHING
    without: Estimate = NOTHING
    longest: float | None = None


@dataclass(frozen=True)
class Activity:
    """How long keys have been idle (kind "idle") or how often used ("frequency"); "" where it is not kept.

    sampled: one key in so many was asked.
    """

    kind: Literal["idle", "frequency", ""] = ""
    groups: tuple[Group, ...] = ()
    sampled: int = 1


@dataclass(frozen=True)
class Report:
    """The figures of one analysis.

    keys, memory: of the selection. sample, population, effect: by which `estimate` turns a figure scaled up from
    the sample into an interval. namespaces: the largest by memory (by keys where memory is not told), with a last
    row OTHER if there were too many. bound: a namespace that is not listed has at most so many keys.
    missing: sentences that say what this server does not tell, and so is left out.
    """

    started_at: float
    sample: int = 0
    population: int = 0
    effect: float = 1.0
    keys: Estimate = NOTHING
    memory: Estimate | None = None
    without_ttl: Estimate = NOTHING
    without_ttl_memory: Estimate | None = None
    ttl: tuple[Group, ...] = ()
    types: tuple[Group, ...] = ()
    encodings: tuple[Group, ...] = ()
    sizes: Sizes | None = None
    namespaces: tuple[NamespaceRow, ...] = ()
    namespaces_found: int = 0
    bound: int = 0
    biggest: tuple[BigKey, ...] = ()
    expiry: Expiry = Expiry()
    cliffs: tuple[Cliff, ...] = ()
    rules: tuple[RuleRow, ...] = ()
    activity: Activity = Activity()
    missing: tuple[str, ...] = ()
    method: str = ""
    notes: tuple[str, ...] = ()

    def estimate(self, value: float) -> Estimate:
        """The interval of a count that was scaled up from the sample, such as one slot of `expiry`."""
        if self.sample >= self.population:
            return Estimate(value, value, value)
        return count_from_sample(value * self.sample / self.population, self.sample, self.population, self.effect)


@dataclass(frozen=True)
class Snapshot:
    """What an analysis yields again and again: how far it is, and what it knows so far."""

    progress: Progress
    report: Report
