"""Cliffs: instants at which far more keys expire than their neighbourhood explains. Pure.

Looked at are windows of 1 to 5 slots of time (slots.py), of seconds, minutes and hours each for itself, and of
1 to 5 times 5 s within the next hour, because writing very many keys takes its time too. A window is a cliff where

1. it holds enough: LEAST_SEEN keys, and LEAST_SHARE of those looked at;
2. it is STEEP times as high as what lies next to it, on either side, near (5 slots) and far (60 slots). So the edge
   of a plateau is none, such as the one that steady traffic with one TTL makes between now and that TTL, and
   neither is a cliff that was spread over more than 8 slots;
3. chance does not explain it. If keys came at one rate in the window and beside it, the number c in the window's w
   slots, given the number n in it and in the m slots of a side, is binomial with q = w / (w + m) (J. Przyborowski
   and H. Wilenski, Biometrika 31, 1940, 313-323), and P(C >= c) <= exp(-n KL(c/n, q)), where KL is the relative
   entropy (W. Hoeffding, JASA 58, 1963, 13-30, theorem 1). That bound must be at most CHANCE for each side.

There are 32,000 windows, so by Boole's inequality a namespace whose keys expire at random has a false cliff with a
probability of less than 4e-6, and an analysis of 500 namespaces with less than 0.002; a sample changes nothing of
that, since what is seen of random keys is random too. Rules 1 and 2 make it smaller still, and are what stands
against the lumps of real traffic, which is not quite random.

Found are the clearest first; what was found counts as nobody's neighbour any more, so that two cliffs do not hide
each other. What expires in the first 5 s is only looked at as a neighbour: nobody could do anything about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.report import Cliff

LEAST_SEEN = 25
LEAST_SHARE = 0.005
STEEP = 4.0
CHANCE = 1e-10
WIDEST = 5  # bins of a window
NEAR, FAR = 5, 60  # bins on each side
ENOUGH = 10  # bins of a side, fewer say nothing about a rate
MOST = 30  # cliffs of each scale; what has more is no flat land with cliffs in it


@dataclass(frozen=True, order=True)
class Found:
    """A cliff: its first slot, how many slots it lasts, keys seen in it, and how many per second around it.

    Both figures are of what was seen, not scaled up.
    """

    slot: int
    slots: int
    count: int
    usual_per_second: float

    @property
    def seconds(self) -> int:
        """How long it lasts."""
        return slots.start_of(self.slot + self.slots) - slots.start_of(self.slot)


@dataclass(frozen=True)
class _Scale:
    """Slots `first` to `end`, `step` of them in a bin of `seconds`."""

    first: int
    end: int
    step: int
    seconds: int


_SCALES = (
    _Scale(0, slots.FIRST_MINUTE, 1, 1),
    _Scale(0, slots.FIRST_MINUTE, 5, 5),
    _Scale(slots.FIRST_MINUTE, slots.FIRST_HOUR, 1, slots.MINUTE),
    _Scale(slots.FIRST_HOUR, slots.LATER, 1, slots.HOUR),
)
_STARTS = tuple(slots.start_of(slot) for slot in range(slots.COUNT))


class _Window(NamedTuple):
    clearness: float
    first: int
    bins: int
    usual: float


def cliffs(
    counts: Mapping[int, int] | Sequence[int], *, least: int = LEAST_SEEN, share: float = LEAST_SHARE
) -> list[Found]:
    """The cliffs in the keys of one namespace, the earliest first.

    counts: keys seen in each slot, as a sequence from slot 0 on or as a mapping of the slots that have some. least,
    share: how many keys, and how much of all that are given here, a cliff holds at least.
    """
    pairs = counts.items() if isinstance(counts, Mapping) else enumerate(counts)
    seen = {slot: count for slot, count in pairs if count > 0 and 0 <= slot < slots.LATER}
    enough = max(least, share * sum(seen.values()), 1)
    # Most namespaces have no slot that could be a part of one.
    if not any(count * WIDEST >= enough for count in _by_five(seen).values()):
        return []
    taken: set[int] = set()
    for scale in _SCALES:
        for first, end in _in_one_scale(seen, scale, taken, enough):
            taken.update(range(first, end))
    return _merged(seen, taken)


def smoothed_peak(cliff: Cliff, jitter_seconds: float) -> float:
    """Keys per second at its highest if each key of a cliff expired up to `jitter_seconds` earlier or later.

    A cliff of s seconds whose keys move evenly within +-j becomes a trapezium of the height keys / max(s, 2 j); the
    usual keys come on top.
    """
    return cliff.keys.value / max(cliff.seconds, 2 * jitter_seconds, 1.0) + cliff.usual


def _by_five(seen: Mapping[int, int]) -> dict[int, int]:
    """Keys in each 5 s of the next hour, and in each slot after it."""
    sums: dict[int, int] = {}
    for slot, count in seen.items():
        place = slot - slot % 5 if slot < slots.FIRST_MINUTE else slot
        sums[place] = sums.get(place, 0) + count
    return sums


def _in_one_scale(seen: Mapping[int, int], scale: _Scale, taken: set[int], enough: float) -> Iterator[tuple[int, int]]:
    """The slots (from, to) of each cliff of this scale, the clearest first."""
    left, bins, right = _series(seen, scale, taken)
    values: list[float | None] = [*left, *bins, *right]
    # A bin with nothing but what was found already is no neighbour.
    for slot in taken:
        if scale.first <= slot < scale.end:
            values[len(left) + (slot - scale.first) // scale.step] = None
    begin = max(len(left), NEAR)
    end = len(left) + len(bins)
    windows = _windows(values, begin, end, enough)
    judged = {window: _judged(values, *window, enough) for window in windows}
    for gone in range(MOST):
        best = max((one for one in judged.values() if one), default=None)
        if best is None:
            return
        for index in range(best.first, best.first + best.bins):
            values[index] = None
        # Only those can have changed that count it among their own bins or their neighbours.
        reach = FAR + WIDEST * (gone + 2)
        for window in windows:
            if abs(window[0] - best.first) <= reach:
                judged[window] = _judged(values, *window, enough)
        first = scale.first + (best.first - len(left)) * scale.step
        yield _trimmed(seen, first, first + best.bins * scale.step)


def _series(seen: Mapping[int, int], scale: _Scale, taken: set[int]) -> tuple[list[float], list[float], list[float]]:
    """The bins of a scale, and what lies before and after it in bins of the same width.

    Finer slots before it are added up, coarser ones after it are shared out evenly.
    """
    start, width = slots.start_of(scale.first), scale.seconds
    left = [0.0] * min(FAR, start // width)
    bins = [0.0] * ((scale.end - scale.first) // scale.step)
    right = [0.0] * (FAR if scale.end < slots.LATER else 0)
    stop = slots.start_of(scale.end)
    for slot, count in seen.items():
        if slot in taken:
            continue
        if scale.first <= slot < scale.end:
            bins[(slot - scale.first) // scale.step] += count
        elif slot < scale.first:
            index = len(left) - 1 - (start - 1 - _STARTS[slot]) // width
            if index >= 0:
                left[index] += count
        else:
            wide = _STARTS[slot + 1] - _STARTS[slot]
            index = (_STARTS[slot] - stop) // width
            for place in range(index, min(index + wide // width, len(right))):
                right[place] += count * width / wide
    return left, bins, right


def _windows(values: Sequence[float | None], begin: int, end: int, enough: float) -> list[tuple[int, int]]:
    """The windows (first bin, bins) that may hold enough: those with a bin that has its share of it."""
    found: dict[tuple[int, int], None] = {}
    for index in range(begin, end):
        if (values[index] or 0.0) * WIDEST < enough:
            continue
        for width in range(1, WIDEST + 1):
            for first in range(max(index - width + 1, begin), min(index, end - width) + 1):
                found[first, width] = None
    return list(found)


def _judged(values: Sequence[float | None], first: int, width: int, enough: float) -> _Window | None:
    """The window, if it is a cliff by all three rules."""
    inside = values[first : first + width]
    count = sum(value or 0.0 for value in inside)
    if count < enough or None in inside:
        return None
    told: list[tuple[float, int]] = []
    for bins in (NEAR, FAR):
        told = [_side(values, first - 1, -1, bins), _side(values, first + width, 1, bins)]
        if any(count * there < STEEP * width * total for total, there in told):
            return None
    told = [(total, there) for total, there in told if there >= ENOUGH]
    if not told:
        return None
    clearness = min(_against_chance(count, width, total, bins) for total, bins in told)
    if clearness < -math.log(CHANCE):
        return None
    return _Window(clearness, first, width, sum(total for total, _ in told) / sum(bins for _, bins in told))


def _side(values: Sequence[float | None], start: int, step: int, most: int) -> tuple[float, int]:
    """The keys in up to `most` bins from `start` on outwards, without those of cliffs, and how many bins these are."""
    total, bins, index = 0.0, 0, start
    while 0 <= index < len(values) and bins < most:
        value = values[index]
        if value is not None:
            total += value
            bins += 1
        index += step
    return total, bins


def _against_chance(count: float, width: int, beside: float, bins: int) -> float:
    """-ln of the bound for the probability that chance puts so many keys into the window (rule 3); 0 where it may."""
    number, share = count + beside, width / (width + bins)
    part = count / number
    if part <= share:
        return 0.0
    entropy = part * math.log(part / share)
    if part < 1:
        entropy += (1 - part) * math.log((1 - part) / (1 - share))
    return number * entropy


def _trimmed(seen: Mapping[int, int], first: int, end: int) -> tuple[int, int]:
    """Without the slots at both ends that hold next to nothing of it."""
    little = sum(seen.get(slot, 0) for slot in range(first, end)) / (end - first) / 10
    while seen.get(first, 0) < little:
        first += 1
    while seen.get(end - 1, 0) < little:
        end -= 1
    return first, end


def _merged(seen: Mapping[int, int], taken: set[int]) -> list[Found]:
    """Slots that follow one another are one cliff."""
    runs: list[list[int]] = []
    for slot in sorted(taken):
        if runs and slot == runs[-1][-1] + 1:
            runs[-1].append(slot)
        else:
            runs.append([slot])
    return [
        Found(run[0], len(run), sum(seen.get(slot, 0) for slot in run), _usual(seen, taken, run[0], run[-1]))
        for run in runs
    ]


def _usual(seen: Mapping[int, int], taken: set[int], first: int, last: int) -> float:
    """Keys per second in the FAR slots on either side, without those of cliffs."""
    around = [*range(max(first - FAR, 0), first), *range(last + 1, min(last + 1 + FAR, slots.LATER))]
    free = [slot for slot in around if slot not in taken]
    seconds = sum(_STARTS[slot + 1] - _STARTS[slot] for slot in free)
    return sum(seen.get(slot, 0) for slot in free) / seconds if seconds else 0.0
