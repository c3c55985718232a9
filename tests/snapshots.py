"""Snapshots as an analysis of a shop's cache would give them, for the screens and the sums that are drawn from one.

The figures hang together: every list is a part of the same keyspace, scaled up from the same sample.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from sqlalchemy import update

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.report import (
    Activity,
    BigKey,
    Cliff,
    Expiry,
    Group,
    NamespaceRow,
    Report,
    RuleRow,
    Sizes,
    Snapshot,
)
from dashboard.cache.estimate import Estimate, count_from_sample, exactly
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.walking.progress import Progress
from dashboard.jobs import results
from dashboard.jobs.analysis_job import KIND as ANALYSIS
from dashboard.jobs.analysis_job import arguments
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job
from dashboard.store.schema import JobRow

STARTED = 1_767_322_800.0


@dataclass(frozen=True)
class Kind:
    """Keys of one namespace: how many, bytes each, seconds they have left (low to high; None: no TTL)."""

    name: str
    keys: int
    size: int
    low: float | None
    high: float
    type: str
    encoding: str
    example: str


KINDS = (
    Kind("api:search:*", 420_000, 2_100, 1, 900, "string", "raw", "api:search:q=tea&page=1"),
    Kind("api:user:*", 260_000, 310, 60, 86_400, "string", "embstr", "api:user:42"),
    Kind("sess:*", 180_000, 540, 1, 1_800, "hash", "listpack", "sess:9f3a77"),
    Kind("api:user:*:posts", 90_000, 5_200, 3_600, 21_600, "string", "raw", "api:user:42:posts"),
    Kind("catalogue:*", 40_000, 1_400, None, 0, "hash", "hashtable", "catalogue:tea-1"),
    Kind("rate:*", 9_000, 96, 1, 60, "string", "int", "rate:10.0.0.7"),
    Kind("leaderboard:*", 1_000, 42_000, None, 0, "zset", "skiplist", "leaderboard:week"),
)
CLIFF_KEYS, CLIFF_SECONDS = 12_400, 1_264


def snapshot(
    share: float = 1.0,
    *,
    kinds: tuple[Kind, ...] = KINDS,
    started: float = STARTED,
    cliff: bool = True,
    memory: bool = True,
    rules: bool = True,
    lost: Mapping[str, str] | None = None,
    missing: tuple[str, ...] = (),
    ended: bool | None = None,
) -> Snapshot:
    """What is known after `share` of the walk; exact where that is 1. memory: whether the server tells sizes."""
    total = sum(kind.keys for kind in kinds) + (CLIFF_KEYS if cliff else 0)
    sample = round(total * share)
    ended = share >= 1 if ended is None else ended
    progress = Progress(
        examined=sample,
        total=total,
        elapsed=2.4 * share,
        busy=1.1 * share,
        calls=round(4_100 * share),
        longest_ms=0.94,
        lost=dict(lost or {}),
        ended=ended,
    )
    if not total:
        return Snapshot(progress, Report(started, method="Lua script", missing=missing))
    made = _Made(total, sample, memory)
    report = Report(
        started,
        sample=sample,
        population=total,
        keys=exactly(total),
        memory=made.bytes(sum(kind.keys * kind.size for kind in kinds)),
        namespaces=tuple(made.row(kind) for kind in sorted(kinds, key=lambda kind: -kind.keys * kind.size)),
        namespaces_found=len(kinds),
        rules=made.rules() if rules else (),
        missing=missing,
        method="Lua script",
        activity=Activity("idle", tuple(made.group(name, keys) for name, keys in made.idle()), 16),
        **made.overall(kinds),  # type: ignore[arg-type]
    )
    expiry, found = made.expiry(kinds, started, cliff)
    return Snapshot(progress, replace(report, expiry=expiry, cliffs=found))


class _Made:
    def __init__(self, total: int, sample: int, memory: bool) -> None:
        self.total, self.sample, self.memory = total, sample, memory

    def keys(self, truth: float) -> Estimate:
        return count_from_sample(round(truth * self.sample / self.total), self.sample, self.total)

    def bytes(self, truth: float) -> Estimate | None:
        if not self.memory:
            return None
        wide = 0.0 if self.sample >= self.total else 2 * truth / max(self.sample, 1) ** 0.5
        return Estimate(float(truth), truth - wide, truth + wide)

    def group(self, name: str, keys: float, size: float = 1_000) -> Group:
        return Group(name, self.keys(keys), self.bytes(keys * size))

    def ttl(self, kind: Kind) -> list[float]:
        """Keys of one kind in each of TTL_LABELS, as if they lay evenly between low and high."""
        if kind.low is None:
            return [0.0] * len(slots.TTL_LABELS)
        edges = (0.0, *slots.TTL_BOUNDS, float("inf"))
        spans = [max(min(high, kind.high) - max(low, kind.low), 0.0) for low, high in pairwise(edges)]
        return [kind.keys * span / (kind.high - kind.low) for span in spans]

    def row(self, kind: Kind) -> NamespaceRow:
        forever = kind.keys if kind.low is None else 0
        return NamespaceRow(
            kind.name,
            self.keys(kind.keys),
            self.bytes(kind.keys * kind.size),
            self.keys(forever),
            self.bytes(forever * kind.size),
            kind.example,
            ttl=tuple(self.keys(keys) for keys in self.ttl(kind)),
            types=(self.group(kind.type, kind.keys, kind.size),),
            sizes=Sizes(kind.size, kind.size * 0.9, kind.size * 1.6, kind.size * 2.4, kind.size * 4),
            odd={"large value": self.keys(kind.keys / 400)} if kind.size > 2_000 else {},
            odd_examples={"large value": kind.example} if kind.size > 2_000 else {},
        )

    def overall(self, kinds: tuple[Kind, ...]) -> dict[str, object]:
        forever = [kind for kind in kinds if kind.low is None]
        buckets = [sum(column) for column in zip(*(self.ttl(kind) for kind in kinds), strict=True)]
        types, encodings = Counter[str](), Counter[str]()
        for kind in kinds:
            types[kind.type] += kind.keys
            encodings[kind.encoding] += kind.keys
        largest = sorted(kinds, key=lambda kind: -kind.size)
        return {
            "without_ttl": self.keys(sum(kind.keys for kind in forever)),
            "without_ttl_memory": self.bytes(sum(kind.keys * kind.size for kind in forever)),
            "ttl": tuple(self.group(name, keys) for name, keys in zip(slots.TTL_LABELS, buckets, strict=True)),
            "types": tuple(self.group(name, keys) for name, keys in types.most_common()),
            "encodings": tuple(self.group(name, keys) for name, keys in encodings.most_common()),
            "sizes": Sizes(1_530, 620, 5_100, 11_000, 4_200_000),
            "biggest": tuple(
                BigKey(kind.example, kind.type, kind.size * 100, 600.0 if kind.low is not None else -1.0)
                for kind in largest
            ),
        }

    def idle(self) -> list[tuple[str, float]]:
        return [("under 1 min", self.total * 0.4), ("1 to 10 min", self.total * 0.35), ("over 10 min", self.total / 4)]

    def rules(self) -> tuple[RuleRow, ...]:
        return (
            RuleRow(1, "sess:*", 900, 1_800, "A session lives 30 min after its last request.",
                    self.keys(90_000), self.keys(90_000), self.keys(0), self.keys(0), 1_799.2),
            RuleRow(2, "api:search:*", 300, 900, "Results are 15 min old at the most.",
                    self.keys(280_000), self.keys(140_000), self.keys(0), self.keys(0), 899.0),
            RuleRow(3, "catalogue:*", 3_600, 21_600, "Prices change a few times a day.",
                    self.keys(0), self.keys(0), self.keys(0), self.keys(40_000), None),
        )  # fmt: skip

    def expiry(self, kinds: tuple[Kind, ...], started: float, cliff: bool) -> tuple[Expiry, tuple[Cliff, ...]]:
        """Slots as sampled: whole keys seen, scaled up."""
        dice, scale = random.Random(7), self.total / max(self.sample, 1)
        keys, memory = Counter[int](), Counter[int]()
        for kind in kinds:
            if kind.low is None:
                continue
            first, last = slots.slot_of(kind.low * 1000), slots.slot_of(kind.high * 1000)
            for slot in range(first, last + 1):
                share = (slots.start_of(slot + 1) - slots.start_of(slot)) / (kind.high - kind.low)
                mean = kind.keys * share / scale
                seen = max(round(dice.gauss(mean, mean**0.5)), 0)
                keys[slot] += seen
                memory[slot] += seen * kind.size
        found: tuple[Cliff, ...] = ()
        if cliff:
            for slot, count in ((CLIFF_SECONDS, CLIFF_KEYS * 2 // 3), (CLIFF_SECONDS + 1, CLIFF_KEYS // 3)):
                keys[slot] += round(count / scale)
                memory[slot] += round(count / scale) * 2_100
            found = (Cliff("api:search:*", "api:search:*", started + CLIFF_SECONDS, 2, self.keys(CLIFF_KEYS), 467.0),)
        bytes_of = tuple((slot, memory[slot] * scale) for slot in sorted(memory) if memory[slot])
        return (
            Expiry(
                started,
                tuple((slot, keys[slot] * scale) for slot in sorted(keys) if keys[slot]),
                bytes_of if self.memory else (),
            ),
            found,
        )


def keep(
    store: Store,
    shown: Snapshot | None,
    selection: Selection = Selection(),  # noqa: B008  (it is immutable)
    *,
    cache: str = "main",
    state: str = "finished",
    error: str = "",
    advice: str = "",
) -> Job:
    """An analysis as a worker leaves it in the store, with `shown` as its last snapshot.

    It is put together under another cache's name, so that a worker which runs just now does not take it.
    """
    apart = cache if state == "queued" else f"apart from {cache}"
    job = jobs.create(store, apart, "analysis", arguments(selection, 0.5), "otto", "127.0.0.1")
    if state != "queued":
        jobs.claim(store, "worker", [apart])
    if shown:
        text = results.text_of(ANALYSIS, shown)
        jobs.save(store, job.id, "worker", results.progress_of(shown.progress), text)
    if state not in ("queued", "running"):
        jobs.end(store, job.id, "worker", state, error, advice)  # type: ignore[arg-type]
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(cache=cache))
    found = jobs.get(store, job.id)
    assert found
    return found
