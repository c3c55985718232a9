"""What an invalidation would do or has done, and what its undo gave back: the snapshots. Pure, and plain for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dashboard.cache.analysis.report import Report
from dashboard.cache.estimate import NOTHING, Estimate
from dashboard.cache.walking.progress import Progress


@dataclass(frozen=True)
class HotKey:
    """One of the most used keys of a selection. `name`: printable, cut at 200 characters.

    idle: seconds since its last use, where the policy keeps that; frequency: the LFU counter (0 to 255,
    logarithmic), where it keeps this; None otherwise. memory: bytes, None where not told.
    """

    name: str
    type: str
    memory: int | None = None
    ttl: float = -1.0
    idle: int | None = None
    frequency: int | None = None


@dataclass(frozen=True)
class Effect:
    """What the removal would mean. Each is None where the server or the samples do not tell.

    memory_share: of the memory in use, 0 to 1. keys_share: of all keys. misses: reads a second in the first minute
    that would find nothing (invalidation/effect.py says how that is estimated, `basis` in a sentence); now: misses a
    second at present. refill: bytes that are likely to come back within the first minute.
    """

    memory_share: float | None = None
    keys_share: float | None = None
    misses: Estimate | None = None
    now: float | None = None
    basis: str = ""


@dataclass(frozen=True)
class Plan:
    """What an invalidation is about, as far as the walk has got: estimates, and exact at its end.

    report: the selection's keys, memory, types, namespaces, TTLs, sizes (report.py). examples: printable names, at most
    EXAMPLES. hottest: most used first. vault: bytes that it would take in the vault, compressed; None where
    it cannot be said. too_large: keys that are larger than the vault takes. notes: sentences about what stands in the
    way of it, or of its undo.
    """

    progress: Progress
    report: Report
    examples: tuple[str, ...] = ()
    hottest: tuple[HotKey, ...] = ()
    effect: Effect = Effect()
    vault: Estimate | None = None
    too_large: Estimate = NOTHING
    notes: tuple[str, ...] = ()


EXAMPLES = 10
NAMED = 100  # keys that are named one by one where something is wrong with them


@dataclass(frozen=True)
class Named:
    """A key that was left as it is, and why, in a sentence."""

    name: str
    why: str


@dataclass(frozen=True)
class Counts:
    """Counted one by one, and exact, but for `unsure`.

    found: keys of the selection that were met. removed: by us; lowered: given a shorter TTL by us. unchanged: had a TTL
    that was short enough. gone: expired or removed by others before we came to them. kept: put into the vault (one
    that was changed meanwhile is kept again). too_large: left, because the vault takes none of that size. refused: by
    the server. unsure: in calls whose answer was lost, so that they may have been done and stand in no other count.
    memory: bytes freed, as MEMORY USAGE counts them, where that was measured. messages, receivers: published, and the
    sum of what PUBLISH answered.
    """

    found: int = 0
    removed: int = 0
    lowered: int = 0
    unchanged: int = 0
    gone: int = 0
    kept: int = 0
    too_large: int = 0
    refused: int = 0
    unsure: int = 0
    memory: int = 0
    messages: int = 0
    receivers: int = 0

    @property
    def done(self) -> int:
        return self.removed + self.lowered

    def plus(self, **more: int) -> Counts:
        return Counts(**{name: getattr(self, name) + more.get(name, 0) for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class Done:
    """What an invalidation has done so far. named: keys left as they are, at most NAMED, with why.

    pace: keys a second over the last seconds. expiry: in the lowering modes, how many keys now expire in which of
    `expiry_seconds` equal parts of the window, () otherwise.
    """

    progress: Progress
    started_at: float
    counts: Counts = Counts()
    named: tuple[Named, ...] = ()
    pace: float = 0.0
    method: str = ""
    expiry: tuple[int, ...] = ()
    expiry_seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Undone:
    """What an undo has given back so far. Progress counts keys of the vault.

    restored: made anew from the vault; retimed: were still there, and have their old TTL again. newer: exist again or
    were changed since, and are left as they are. same: are as the vault has them, by an earlier undo perhaps. expired:
    would have expired by now. other: not of the pattern. refused: by the server, by why.
    """

    progress: Progress
    restored: int = 0
    retimed: int = 0
    newer: int = 0
    same: int = 0
    expired: int = 0
    other: int = 0
    unsure: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    named: tuple[Named, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def back(self) -> int:
        return self.restored + self.retimed
