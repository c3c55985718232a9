"""What a retiming would do, or has done: counted batch by batch, and drawn up as a snapshot. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dashboard.cache.analysis.report import Expiry, Group
from dashboard.cache.analysis.slots import LATER, TTL_BOUNDS, TTL_LABELS, start_of
from dashboard.cache.estimate import NOTHING, Estimate, count_from_sample
from dashboard.cache.walking.progress import Progress

NO_TTL = "no TTL"


@dataclass(frozen=True)
class Acted:
    """One batch. found: keys of the selection; changed: given a new TTL (in a trial: that would be), of which some
    `lengthened`, some `shortened`, some `given` one that had none; unchanged: have a TTL that stays; without: have
    none and stay so; gone: expired or removed between SCAN and us; refused: by the server, the first one's words in
    `refusal`. before, after: keys with a TTL in each slot of time (slots.py).
    """

    found: int = 0
    changed: int = 0
    unchanged: int = 0
    without: int = 0
    gone: int = 0
    refused: int = 0
    lengthened: int = 0
    shortened: int = 0
    given: int = 0
    refusal: str = ""
    before: Mapping[int, int] = field(default_factory=dict)
    after: Mapping[int, int] = field(default_factory=dict)


class Tally:
    """The sum of all batches so far. Batches of different primaries may be added by different threads."""

    def __init__(self, started_at: float, origin: float) -> None:
        """started_at: seconds since 1970, by the server; origin: from when the slots count."""
        self.started_at = started_at
        self.origin = origin
        self.counts: Counter[str] = Counter()
        self.before: Counter[int] = Counter()
        self.after: Counter[int] = Counter()
        self.refusal = ""
        self.unsure = 0

    def add(self, batch: Acted) -> None:
        for name in COUNTED:
            self.counts[name] += getattr(batch, name)
        self.before.update(batch.before)
        self.after.update(batch.after)
        self.refusal = self.refusal or batch.refusal


COUNTED = ("found", "changed", "unchanged", "without", "gone", "refused", "lengthened", "shortened", "given")


@dataclass(frozen=True)
class Peak:
    """The slot of time in which most keys expire: `keys` within `seconds` from `at` (seconds since 1970) on."""

    at: float
    seconds: int
    keys: Estimate

    @property
    def rate(self) -> float:
        """Keys per second."""
        return self.keys.value / self.seconds


@dataclass(frozen=True)
class Load:
    """When the keys expire. expiry: in slots; peak: its busiest one, None where nothing expires within 30 days.
    ttl: keys by how long they had left when this began, in slots.TTL_LABELS, after NO_TTL."""

    expiry: Expiry = field(default_factory=Expiry)
    peak: Peak | None = None
    ttl: tuple[Group, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a retiming would do, as far as the walk has got: estimates, and exact at its end. As Acted."""

    progress: Progress
    started_at: float
    found: Estimate = NOTHING
    changed: Estimate = NOTHING
    unchanged: Estimate = NOTHING
    without: Estimate = NOTHING
    lengthened: Estimate = NOTHING
    shortened: Estimate = NOTHING
    given: Estimate = NOTHING
    refused: int = 0
    refusal: str = ""
    before: Load = field(default_factory=Load)
    after: Load = field(default_factory=Load)
    method: str = ""


@dataclass(frozen=True)
class Done:
    """What a retiming has done, counted. As Acted; `unsure` keys were in calls whose answer was lost, so that they
    may have been changed and stand in no other count."""

    progress: Progress
    started_at: float
    found: int = 0
    changed: int = 0
    unchanged: int = 0
    without: int = 0
    gone: int = 0
    refused: int = 0
    lengthened: int = 0
    shortened: int = 0
    given: int = 0
    unsure: int = 0
    refusal: str = ""
    before: Load = field(default_factory=Load)
    after: Load = field(default_factory=Load)
    method: str = ""
    atomic: bool = True


def plan_of(tally: Tally, progress: Progress, method: str) -> Plan:
    """The plan so far: every count with its interval, as a sample of so many keys as were examined."""
    population = progress.total
    sample = population if progress.complete else min(progress.examined, max(population - 1, 0))

    def estimate(hits: float) -> Estimate:
        return count_from_sample(hits, sample, population)

    counts = tally.counts
    figures = {name: estimate(counts[name]) for name in COUNTED if name not in ("gone", "refused")}
    before, after = _loads(tally, sample, population)
    return Plan(
        progress, tally.started_at, **figures, refused=counts["refused"], refusal=tally.refusal,
        before=before, after=after, method=method,
    )  # fmt: skip


def done_of(tally: Tally, progress: Progress, method: str, *, atomic: bool) -> Done:
    """What was done so far."""
    before, after = _loads(tally, 1, 1)
    figures = {name: tally.counts[name] for name in COUNTED}
    return Done(
        progress, tally.started_at, **figures, unsure=tally.unsure, refusal=tally.refusal,
        before=before, after=after, method=method, atomic=atomic,
    )  # fmt: skip


def _loads(tally: Tally, sample: int, population: int) -> tuple[Load, Load]:
    counts = tally.counts
    gained = counts["given"]
    return (
        _load(tally, tally.before, counts["without"] + gained, sample, population),
        _load(tally, tally.after, counts["without"], sample, population),
    )


def _load(tally: Tally, slots: Counter[int], without: int, sample: int, population: int) -> Load:
    scale = population / sample if sample else 0.0

    def estimate(hits: float) -> Estimate:
        return count_from_sample(hits, sample, population)

    expiry = Expiry(tally.origin, tuple((slot, slots[slot] * scale) for slot in sorted(slots)))
    busiest = min(
        (slot for slot in slots if slot < LATER), key=lambda slot: (-slots[slot] / width_of(slot), slot), default=None
    )
    peak = None
    if busiest is not None:
        peak = Peak(tally.origin + start_of(busiest), width_of(busiest), estimate(slots[busiest]))
    return Load(expiry, peak, tuple(_groups(slots.items(), tally.origin - tally.started_at, without, estimate)))


def _groups(slots: Iterable[tuple[int, int]], shift: float, without: int, estimate: object) -> Iterable[Group]:
    assert callable(estimate)  # noqa: S101  (its type is the inner function's above)
    yield Group(NO_TTL, estimate(without))
    buckets: Counter[int] = Counter()
    for slot, keys in slots:
        buckets[bisect_right(TTL_BOUNDS, start_of(slot) + shift)] += keys
    for index, label in enumerate(TTL_LABELS):
        yield Group(label, estimate(buckets[index]))


def width_of(slot: int) -> int:
    """Seconds that a slot lasts; not of the last one, which has no end."""
    return start_of(slot + 1) - start_of(slot)
