"""What expires when: keys and bytes per second of the next minute, per minute of the next hour, per hour of the
next day. Pure.

An analysis knows expiries by slots of time (slots.py) that count from its beginning. A forecast counts from now,
which may be an hour later: what has passed is gone, and a slot that lies across the edge of a bin is shared out
between the bins as if its keys expired evenly within it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.report import Report
from dashboard.cache.estimate import Estimate

_STARTS = tuple(slots.start_of(slot) for slot in range(slots.COUNT + 1))


@dataclass(frozen=True)
class Bin:
    """What expires from `at` (epoch seconds) on, within the width of its series. memory: bytes, scaled up."""

    at: float
    keys: Estimate
    memory: float | None


@dataclass(frozen=True)
class Series:
    """Bins of `seconds` each, one after the other. `total`: keys in all of them.

    grain: seconds of the widest slot that lies in them. Where it is wider than a bin, nothing is known of what
    happens within it, so its keys are spread evenly and an instant at which many expire would not be seen.
    """

    unit: str
    seconds: int
    bins: tuple[Bin, ...]
    total: Estimate
    grain: int

    @property
    def blurred(self) -> bool:
        return self.grain > self.seconds

    @property
    def highest(self) -> Bin:
        return max(self.bins, key=lambda one: one.keys.value)


@dataclass(frozen=True)
class Forecast:
    """The next minute by seconds, the next hour by minutes, the next day by hours, all from `now` on."""

    now: float
    minute: Series
    hour: Series
    day: Series

    @property
    def series(self) -> tuple[Series, ...]:
        return (self.minute, self.hour, self.day)


def forecast(report: Report, now: float) -> Forecast:
    """What of a report's expiries is still to come at `now` (epoch seconds).

    The bins begin with the second in which `now` lies, by the seconds of the analysis.
    """
    age = max(math.floor(now - report.expiry.origin), 0)
    return Forecast(
        report.expiry.origin + age,
        _series(report, "second", age, 1, 60),
        _series(report, "minute", age, slots.MINUTE, 60),
        _series(report, "hour", age, slots.HOUR, 24),
    )


def _series(report: Report, unit: str, age: int, seconds: int, count: int) -> Series:
    expiry = report.expiry
    keys = _shared_out(expiry.keys, age, seconds, count)
    memory = _shared_out(expiry.memory, age, seconds, count) if expiry.memory else None
    bins = (
        Bin(expiry.origin + age + index * seconds, report.estimate(keys[index]), memory[index] if memory else None)
        for index in range(count)
    )
    last = slots.slot_of((age + seconds * count - 1) * 1000)
    grain = slots.start_of(last + 1) - slots.start_of(last) if last < slots.LATER else slots.DAY
    return Series(unit, seconds, tuple(bins), report.estimate(sum(keys)), grain)


def _shared_out(pairs: Iterable[tuple[int, float]], age: int, seconds: int, count: int) -> list[float]:
    """The values of slots (in order) in `count` bins of `seconds` from `age` seconds after the origin on."""
    found = [0.0] * count
    for slot, value in pairs:
        begin, end = _STARTS[slot] - age, _STARTS[slot + 1] - age
        if slot >= slots.LATER or begin >= seconds * count:
            break
        first, last = max(begin // seconds, 0), min((end - 1) // seconds, count - 1)
        for index in range(first, last + 1):
            overlap = min(end, (index + 1) * seconds) - max(begin, index * seconds)
            found[index] += value * overlap / (end - begin)
    return found
