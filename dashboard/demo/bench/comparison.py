"""All patterns one after the other: same seed, same traffic, an empty cache to begin with; a row of figures each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dashboard.demo.bench.blocks import Block, rate
from dashboard.demo.bench.intervals import Interval, intervals
from dashboard.demo.bench.recorder import Recorder
from dashboard.demo.bench.settling import settle
from dashboard.demo.bench.shops import Shops, ShopTrouble
from dashboard.demo.knobs import PATTERNS
from dashboard.demo.visitors.open_loop import Driver
from dashboard.demo.visitors.tally import Tally
from dashboard.demo.visitors.traffic import Traffic

WARM_UP_SHARE = 1 / 6  # of the measured time, within these bounds
WARM_UP_SECONDS = (2.0, 10.0)
QUIET_SECONDS = 5.0
DRAIN_SECONDS = 10.0
BLOCK_PATIENCE_SECONDS = 10.0

State = Literal["running", "finished", "cancelled", "failed"]


@dataclass(frozen=True)
class Plan:
    """`seconds` for each pattern; `knobs` that are the same for all of them, the prevention among them."""

    seconds: int
    seed: int
    traffic: Traffic
    knobs: Mapping[str, Any]
    patterns: Sequence[str] = PATTERNS

    @property
    def warm_up(self) -> float:
        """Seconds of the same traffic that are not counted."""
        low, high = WARM_UP_SECONDS
        return min(max(self.seconds * WARM_UP_SHARE, low), high)

    @property
    def in_turn(self) -> Sequence[str]:
        """The patterns as they are driven: another is first with each seed, so that over as many seeds as there are
        patterns each has stood in each place, and what a machine does over time falls on none of them alone."""
        first = (self.seed - 1) % len(self.patterns)
        return (*self.patterns[first:], *self.patterns[:first])


@dataclass(frozen=True)
class Result:
    """Of one pattern. `queries` and `duplicates` a second; `lag_s` the longest; `lost` None where the queue was not
    written in time, so that nobody knows. `bypasses` are reads past the cache, as it did not answer in time: of rows
    whose changes are still in its queue they may be stale."""

    pattern: str
    prevention: str
    requests: int
    figures: Mapping[str, Interval]
    duplicate_total: int
    stale_reads: int
    reads_judged: int
    bypasses: int
    lag_s: float
    lost: int | None
    errors: int
    dropped: int

    def to_plain(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name != "figures"}
        return plain | {name: interval.to_plain() for name, interval in self.figures.items()}


@dataclass(frozen=True)
class Snapshot:
    """How a comparison stands; times in seconds since the epoch, `progress` 0 to 1."""

    state: State
    begun: float
    seconds: int
    seed: int
    progress: float = 0.0
    sentence: str = ""
    ended: float | None = None
    rows: tuple[Result, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        return vars(self) | {"rows": [row.to_plain() for row in self.rows]}


def compare(
    shops: Shops, driver: Driver, recorder: Recorder, plan: Plan, halted: threading.Event
) -> Iterator[Snapshot]:
    """Run the plan; a snapshot each second and a last one that says how it ended. `halted` cancels it.

    Knobs and traffic are put back afterwards.
    """
    now = Snapshot("running", time.time(), plan.seconds, plan.seed, sentence="The comparison begins.")
    traffic, knobs = driver.traffic, None
    try:
        yield now
        knobs = shops.knobs()
        for number, pattern in enumerate(plan.in_turn):
            for step in _measure(shops, driver, recorder, plan, pattern, halted):
                if isinstance(step, Result):
                    rows = sorted((*now.rows, step), key=lambda row: plan.patterns.index(row.pattern))
                    now = replace(now, rows=tuple(rows))
                else:
                    share, sentence = step
                    now = replace(now, progress=(number + share) / len(plan.patterns), sentence=sentence)
                if halted.is_set():
                    break
                yield now
            if halted.is_set():
                now = replace(now, state="cancelled", sentence="The comparison was cancelled.")
                break
        else:
            said = (
                f"All patterns were driven for {plan.seconds} s each, with the same requests, {plan.in_turn[0]} first."
            )
            now = replace(now, state="finished", progress=1.0, sentence=said)
    except ShopTrouble as error:
        now = replace(now, state="failed", sentence=f"The comparison failed: {error}.")
    finally:
        driver.restart(plan.seed, traffic)
        sentence = _put_back(shops, knobs)
    yield replace(now, ended=time.time(), sentence=f"{now.sentence} {sentence}".strip())


def _put_back(shops: Shops, knobs: Mapping[str, Any] | None) -> str:
    try:
        if knobs is not None:
            shops.turn(knobs)
    except ShopTrouble as error:
        return f"The knobs are not as they were before: {error}."
    return ""


def _measure(
    shops: Shops, driver: Driver, recorder: Recorder, plan: Plan, pattern: str, halted: threading.Event
) -> Iterator[tuple[float, str] | Result]:
    """How far one pattern is, 0 to 1, with a sentence; then its result."""
    total = plan.warm_up + plan.seconds
    driver.pause()
    driver.is_quiet(QUIET_SECONDS)
    shops.turn({**plan.knobs, "pattern": pattern})
    shops.remove()
    _settle_all(shops, driver)
    lost = driver.truth.lost
    driver.restart(plan.seed, plan.traffic)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < plan.warm_up and not halted.is_set():
        yield passed / total, f"Warming up {pattern}."
        halted.wait(min(1.0, plan.warm_up - passed))
    blocks: list[Block] = []
    # The block under way holds some of the warm-up.
    first = recorder.taken + 1
    while not enough(blocks, plan.seconds) and not halted.is_set():
        block = recorder.next_block(first + len(blocks), BLOCK_PATIENCE_SECONDS)
        if block is None:
            raise ShopTrouble("nothing was measured for a while")
        blocks.append(block)
        yield (plan.warm_up + min(len(blocks), plan.seconds)) / total, f"Measuring {pattern}."
    driver.pause()
    if not halted.is_set():
        driver.is_quiet(QUIET_SECONDS)
        settled = _settle_all(shops, driver)
        yield result(plan, pattern, blocks, driver.truth.lost - lost if settled else None)


def enough(blocks: Sequence[Block], seconds: float) -> bool:
    """Whether one block more would be farther from so many seconds. Blocks last a second or a little less or more, so
    that by "not before they are over" one pattern would be counted for a second longer than another."""
    return bool(blocks) and sum(block.seconds for block in blocks) + blocks[-1].seconds / 2 >= seconds


def _settle_all(shops: Shops, driver: Driver) -> bool:
    """Whether it is known of every change whether it was lost."""
    while (settled := settle(driver.truth, shops, DRAIN_SECONDS)) == "some":
        continue
    return settled == "all"


def result(plan: Plan, pattern: str, blocks: Sequence[Block], lost: int | None) -> Result:
    """What the blocks of one pattern come to."""
    tally = Tally.together(block.tally for block in blocks)
    return Result(
        pattern=pattern,
        prevention=str(plan.knobs.get("prevention", "none")),
        requests=tally.requests,
        figures=intervals(blocks, _figures, seed=plan.seed),
        duplicate_total=round(sum(block.grew("duplicate_loads") for block in blocks)),
        stale_reads=tally.stale,
        reads_judged=tally.judged,
        bypasses=tally.sources["bypass"],
        lag_s=max((block.lag_seconds for block in blocks), default=0.0),
        lost=lost,
        errors=tally.errors,
        dropped=tally.dropped,
    )


def _figures(blocks: Sequence[Block]) -> dict[str, float | None]:
    tally = Tally.together(block.tally for block in blocks)
    p50, p99 = tally.latencies.percentiles(0.5, 0.99)
    return {
        "hit_ratio": tally.hit_ratio,
        "p50_ms": None if p50 is None else 1000 * p50,
        "p99_ms": None if p99 is None else 1000 * p99,
        "queries": rate(blocks, "queries"),
        "duplicates": rate(blocks, "duplicate_loads"),
    }
