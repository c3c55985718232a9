"""A second of the run as the driver and the shop saw it, and the figures of several such blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dashboard.demo.bench.shops import Standing
from dashboard.demo.visitors.tally import Tally

SERIES = ("requests", "hit_ratio", "p50_ms", "p99_ms", "queries", "duplicates", "stale_reads", "errors", "lag_s")


@dataclass(frozen=True)
class Block:
    """`at`: when it ended, in seconds since the epoch; `growth`: of the shop's counters, over all its processes.

    `growth` is None and the queue's figures 0 where the shop did not say.
    """

    at: float
    seconds: float
    tally: Tally
    growth: Mapping[str, float] | None
    queued: int = 0
    lag_seconds: float = 0.0
    dead: int = 0

    def grew(self, name: str) -> float:
        return self.growth.get(name, 0.0) if self.growth is not None else 0.0


@dataclass(frozen=True)
class Figures:
    """Of a while; requests, queries, duplicates, stale_reads, errors, dropped and copies a second.

    None is what nothing was seen of. `duplicates` are loads of what somebody else was loading. `lag_s`, `queue` and
    `dead` are the write-behind queue's: the largest, and the last ones. `ack_ms` is how long, on average, other
    processes took to acknowledge that they forgot a copy.
    """

    requests: float
    hit_ratio: float | None
    p50_ms: float | None
    p99_ms: float | None
    queries: float | None
    duplicates: float | None
    stale_reads: float
    errors: float
    dropped: float
    lag_s: float
    queue: int
    dead: int
    copies: float | None
    ack_ms: float | None

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def figures(blocks: Sequence[Block]) -> Figures:
    """Of blocks that follow one another; of none where there are none."""
    tally = Tally.together(block.tally for block in blocks)
    seconds = sum(block.seconds for block in blocks) or 1.0
    p50, p99 = tally.latencies.percentiles(0.5, 0.99)
    acks = sum(block.grew("acks") for block in blocks)
    return Figures(
        requests=tally.requests / seconds,
        hit_ratio=tally.hit_ratio,
        p50_ms=_milliseconds(p50),
        p99_ms=_milliseconds(p99),
        queries=rate(blocks, "queries"),
        duplicates=rate(blocks, "duplicate_loads"),
        stale_reads=tally.stale / seconds,
        errors=tally.errors / seconds,
        dropped=tally.dropped / seconds,
        lag_s=max((block.lag_seconds for block in blocks), default=0.0),
        queue=blocks[-1].queued if blocks else 0,
        dead=blocks[-1].dead if blocks else 0,
        copies=rate(blocks, "copies"),
        ack_ms=sum(block.grew("ack_ms_total") for block in blocks) / acks if acks else None,
    )


def rate(blocks: Sequence[Block], name: str) -> float | None:
    """How much a counter of the shop grew in a second; None where the shop said nothing."""
    told = [block for block in blocks if block.growth is not None]
    seconds = sum(block.seconds for block in told)
    return sum(block.grew(name) for block in told) / seconds if seconds else None


def growth(before: Sequence[Standing], after: Sequence[Standing]) -> dict[str, float]:
    """How much counters grew, over all processes. One that was started anew in between began at 0."""
    begun = {one.process: one.counters for one in before}
    grown: dict[str, float] = {}
    for one in after:
        earlier = begun.get(one.process, {})
        for name, value in one.counters.items():
            grown[name] = grown.get(name, 0.0) + value - earlier.get(name, 0.0)
    return grown


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
