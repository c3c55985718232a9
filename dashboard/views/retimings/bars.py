"""When keys expire now and after a retiming, as columns over the same stretch of time and on the same scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.cache.analysis.slots import LATER, start_of
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.retiming.tally import Load, Plan, width_of
from dashboard.views.bars import Columns, Row, columns, distribution
from dashboard.views.filters import duration, number, utc

WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
MOST = 72  # columns
TRIMMED = 0.005  # of the keys at either end: one straggler must not squeeze all others into a corner
WIDENED = 1.5  # so much wider may the charts be to leave none out
LOW = 3.0  # per cent of the scale: columns of less are a line at the chart's foot, and are said in figures
HARDLY = 0.05  # keys per second: less would be written as 0.0


@dataclass(frozen=True)
class Sides:
    """Both charts. start, end: seconds since 1970; width: seconds of one column, whose height is its busiest moment
    in keys per second. before_low, after_low: whether none of its columns is high enough to be seen on the common
    scale. left_out: keys that expire outside of it, before and after, or later than in 30 days."""

    start: float
    end: float
    width: int
    before: Columns
    after: Columns
    before_low: bool
    after_low: bool
    left_out: float


def sides(before: Load, after: Load) -> Sides | None:
    """The stretch of time in which nearly all keys of both expire; None where none does."""
    edges = [_edges(load) for load in (before, after)]
    found = [edge for edge in edges if edge is not None]
    if not found:
        return None
    first, last = min(low for low, _ in found), max(high for _, high in found)
    width = next((width for width in WIDTHS if (last - first) / width <= MOST - 2), WIDTHS[-1])
    start = (first // width) * width
    count = min(int((last - start) // width) + 1, MOST)
    heights = [_heights(load, start, width, count) for load in (before, after)]
    top = max([*heights[0], *heights[1], 1.0])
    origin = before.expiry.origin

    def drawn(values: list[float]) -> Columns:
        words = [_words(origin + start + index * width, width, value) for index, value in enumerate(values)]
        return columns([exactly(value) for value in values], words, least=top)

    end = start + count * width
    left_out = max(_outside(load, start, end) for load in (before, after))
    now, then = drawn(heights[0]), drawn(heights[1])
    return Sides(origin + start, origin + end, width, now, then, _low(now), _low(then), left_out)


def ttl_rows(plan: Plan) -> list[tuple[Row, Row]]:
    """Each bucket of TTLs, now and after."""
    before, after = (
        distribution([(group, "") for group in load.ttl], plan.found) for load in (plan.before, plan.after)
    )
    return list(zip(before, after, strict=True))


def rate(load: Load) -> Estimate | None:
    """Keys per second in the busiest slot."""
    if load.peak is None:
        return None
    return Estimate(*(value / load.peak.seconds for value in load.peak.keys))


def crowd(load: Load) -> str:
    """The busiest moment with its measure, `at most 6 163 keys in one second`; "" where nothing expires in 30 days.

    Slots grow with the time from now on, so a moment that is far off is told as the mean of a minute or an hour.
    """
    if load.peak is None:
        return ""
    if load.peak.rate < HARDLY:
        return "hardly any in one second"
    if load.peak.seconds == 1:
        keys = round(load.peak.keys.value)
        return f"at most {number(keys)} {'key' if keys == 1 else 'keys'} in one second"
    return f"at most {_per_second(load.peak.rate)} in the mean second of {duration(load.peak.seconds)}"


def _slots(load: Load) -> Iterable[tuple[int, int, float]]:
    """(seconds from the origin, width, keys) of every slot that has an end."""
    return ((start_of(slot), width_of(slot), keys) for slot, keys in load.expiry.keys if slot < LATER)


def _edges(load: Load) -> tuple[int, int] | None:
    """Where the keys begin and end to expire, without a few at either end where these lie far off."""
    slots = list(_slots(load))
    whole = sum(keys for _, _, keys in slots)
    if not whole:
        return None
    seen, inside = 0.0, False
    whole_first, whole_last = first, last = slots[0][0], slots[-1][0] + slots[-1][1] - 1
    for start, width, keys in slots:
        seen += keys
        if not inside and seen > whole * TRIMMED:
            first, inside = start, True
        if seen >= whole * (1 - TRIMMED):
            last = start + width - 1
            break
    return (whole_first, whole_last) if whole_last - whole_first <= WIDENED * (last - first) else (first, last)


def _heights(load: Load, start: int, width: int, count: int) -> list[float]:
    heights = [0.0] * count
    for at, wide, keys in _slots(load):
        low, high = (at - start) // width, (at + wide - 1 - start) // width
        for index in range(max(low, 0), min(high, count - 1) + 1):
            heights[index] = max(heights[index], keys / wide)
    return heights


def _outside(load: Load, start: int, end: int) -> float:
    return sum(keys for slot, keys in load.expiry.keys if slot >= LATER or not start <= start_of(slot) < end)


def _low(drawn: Columns) -> bool:
    return 0 < max(one.height for one in drawn.columns) < LOW


def _words(at: float, width: int, value: float) -> str:
    said = f"up to {_per_second(value)} a second" if value >= HARDLY else "hardly any" if value else "nothing"
    return f"{utc(at)}, {duration(width)}: {said}"


def _per_second(rate: float) -> str:
    figure = number(rate, 0 if rate >= 10 or rate == int(rate) else 1)
    return f"{figure} {'key' if rate == 1 else 'keys'}"
