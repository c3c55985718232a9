"""What commands cost: counters of INFO commandstats and histograms of LATENCY HISTOGRAM, read and compared. Pure.

Calls and microseconds: https://valkey.io/commands/info/ (section Commandstats). A histogram counts calls by upper
bounds that double, in microseconds (latency.c: an HDR histogram read in steps of 1,024 ns times powers of two). Both
are since the start, or since CONFIG RESETSTAT. Time is that of the command in the server's main thread: what it waits
for before, and the network, are not in it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from operator import sub
from typing import NamedTuple

from dashboard.cache.statistics.command_families import of_applications

PERCENTILES = ("p50", "p99", "p99.9")
MOST_COMMANDS = 300
"""No server has so many; of one that claims more, those that took longest are kept."""
MOST_BUCKETS = 48
"""Doubling from 1 us, the last bound would be above four years."""
LONGEST_NAME = 64

Numbers = list[list[float] | str]
"""A Cost, written down: counters, buckets as text (read only where it is wanted), percentiles that are told."""

Histogram = Mapping[float, float]
"""Upper bound in microseconds -> calls that took longer than half of it (the one before), up to it."""


class Cost(NamedTuple):
    """Of one command, since the server's start or between two moments. usec: server time, microseconds.

    rejected: refused before they ran. failed: with an error while they ran. buckets: a histogram as bound, calls,
    bound, calls ... told: p50, p99 and p99.9 in microseconds since the start, where a server tells these and no
    histogram.
    """

    calls: float = 0.0
    usec: float = 0.0
    rejected: float = 0.0
    failed: float = 0.0
    buckets: tuple[float, ...] = ()
    told: tuple[float, ...] = ()

    @property
    def histogram(self) -> dict[float, float]:
        return dict(zip(self.buckets[::2], self.buckets[1::2], strict=True))

    def percentile(self, share: float) -> float | None:
        """Microseconds within which `share` (0 to 1) of the calls ended: see quantile(). None without a histogram."""
        return quantile(self.histogram, share)


def sum_of(costs: Iterable[Cost]) -> Cost:
    """What several commands cost together, or one on several nodes or in several stretches of time."""
    calls = usec = rejected = failed = 0.0
    histogram: dict[float, float] = defaultdict(float)
    told: tuple[float, ...] = ()
    for one in costs:
        calls, usec = calls + one.calls, usec + one.usec
        rejected, failed = rejected + one.rejected, failed + one.failed
        told = one.told or told
        for bound, many in zip(one.buckets[::2], one.buckets[1::2], strict=True):
            histogram[bound] += many
    return Cost(calls, usec, rejected, failed, flat(histogram), told)


def flat(histogram: Histogram) -> tuple[float, ...]:
    """A histogram as Cost.buckets has it, without empty buckets."""
    return tuple(number for pair in sorted(histogram.items()) if pair[1] for number in pair)


def quantile(histogram: Histogram, share: float) -> float | None:
    """The bound below which `share` (0 to 1) of the calls lie, in the histogram's unit; None where there are none.

    A bucket only says that a call took between half its bound and its bound, so the answer is within a factor of two
    of the truth. Within the bucket it is interpolated geometrically, which is right for times that are spread evenly
    on a logarithmic scale.
    """
    filled = sorted((bound, calls) for bound, calls in histogram.items() if calls > 0)
    wanted = share * sum(calls for _, calls in filled)
    below = 0.0
    for bound, calls in filled:
        if below + calls >= wanted:
            return bound / 2 * math.pow(2, (wanted - below) / calls)
        below += calls
    return None


@dataclass(frozen=True)
class Costs:
    """What one node's commands had cost at a moment. `run`: which server process, as info.py tells it.

    carried: what was counted before counters were set back, as far as samples saw it; it is no part of `commands`.
    together: all commands of applications (command_families.py), with what is carried along; it is written down with
    the others so that nobody who wants only their percentiles has to add up each.
    """

    at: float
    node: str
    commands: Mapping[str, Cost]
    run: float = 0.0
    carried: Mapping[str, Cost] = field(default_factory=dict)

    @cached_property
    def together(self) -> Cost:
        pairs = (*self.commands.items(), *self.carried.items())
        return sum_of(cost for name, cost in pairs if of_applications(name))

    def to_plain(self) -> dict[str, Numbers]:
        plain = {name: _numbers(cost) for name, cost in self.commands.items()}
        plain |= {f"+{name}": _numbers(cost) for name, cost in self.carried.items()}
        return plain | {_TOGETHER: _numbers(self.together), _RUN: [[self.run]]}


_TOGETHER, _RUN = "*", ""
"""Names that no command has."""


def costs_of(at: float, node: str, plain: Mapping[str, Numbers], timed: Collection[str] | None = None) -> Costs:
    """What to_plain() has written. timed: only these commands get their histograms, which take most of the time."""
    commands: dict[str, Cost] = {}
    carried: dict[str, Cost] = {}
    for name, numbers in plain.items():
        if name in (_RUN, _TOGETHER):
            continue
        place, own = (carried, name[1:]) if name[0] == "+" else (commands, name)
        # A page reads thousands of these: what is not wanted is not even looked at.
        place[own] = _cost(numbers) if timed is None or own in timed else Cost(*numbers[0])
    run = _floats(plain[_RUN][0])[0] if _RUN in plain else 0.0
    made = Costs(at, node, commands, run, carried)
    if _TOGETHER in plain:
        made.__dict__["together"] = _cost(plain[_TOGETHER])  # as cached_property would, had it added them up
    return made


def was_set_back(a: Costs, b: Costs) -> bool:
    """Whether the counters began anew between two moments: a restart, or CONFIG RESETSTAT.

    The latter is seen by a counter that is lower than before, so not where all have overtaken what they were.
    """
    if a.run and b.run and a.run != b.run:
        return True
    cut = len(b.commands) >= MOST_COMMANDS  # then one that is missing may only have lost its place
    after = b.commands
    return any(
        (now := after.get(name, _NOTHING)).calls < cost.calls or now.usec < cost.usec
        for name, cost in a.commands.items()
        if not cut or name in after
    )


def carry(before: Costs, now: Costs) -> Mapping[str, Cost]:
    """What `now` has to carry along so that nothing is lost which `before`, the sample before it, had counted."""
    if not was_set_back(before, now):
        return before.carried
    names = before.carried.keys() | before.commands.keys()
    return {name: sum_of(part[name] for part in (before.carried, before.commands) if name in part) for name in names}


def grown(a: Costs, b: Costs, only: Collection[str] | None = None) -> dict[str, Cost]:
    """What commands cost between two moments of one node, never negative; those that were not called are left out.

    Where counters were set back and nobody carried along what they had shown, it is what they show now. only: of these
    commands.
    """
    fresh = was_set_back(a, b)
    found = {}
    names = b.commands.keys() | b.carried.keys() if b.carried else b.commands.keys()
    for name in names if only is None else names & set(only):
        after, before = _ends(a, b, name, fresh)
        if after.calls > before.calls or after.rejected > before.rejected:
            found[name] = _minus(after, before)
    return found


def _ends(a: Costs, b: Costs, name: str, fresh: bool) -> tuple[Cost, Cost]:
    """What is to be taken from what. fresh: counters were set back in between."""
    after, before = b.commands.get(name, _NOTHING), a.commands.get(name, _NOTHING)
    later, earlier = b.carried.get(name, _NOTHING), a.carried.get(name, _NOTHING)
    if later.calls > earlier.calls:
        return sum_of((after, later)), sum_of((before, earlier))
    return after, _NOTHING if fresh else before


class Stretch(NamedTuple):
    """From one moment of a node to a later one. fresh: was_set_back() between them, which is dear to ask often."""

    before: Costs
    after: Costs
    fresh: bool


def stretch(a: Costs, b: Costs) -> Stretch:
    return Stretch(a, b, was_set_back(a, b))


def calls_grown(between: Stretch) -> dict[str, float]:
    """How often each command was called, as grown() says it: for who needs no more, as it takes a tenth of the time."""
    a, b, fresh = between
    found = {}
    names = b.commands.keys() | b.carried.keys() if b.carried else b.commands.keys()
    for name in names:
        after, before = b.commands.get(name, _NOTHING).calls, a.commands.get(name, _NOTHING).calls
        carried = b.carried.get(name, _NOTHING).calls - a.carried.get(name, _NOTHING).calls if b.carried else 0.0
        calls = after - before + carried if carried > 0 else after if fresh else after - before
        if calls > 0:
            found[name] = calls
    return found


def together_grown(a: Costs, b: Costs) -> Cost:
    """What all commands of applications cost between two moments of one node."""
    return _minus(*_together_ends(a, b))


def _together_ends(a: Costs, b: Costs) -> tuple[Cost, Cost]:
    lost = b.together.calls < a.together.calls  # set back, and nobody carried it along
    return b.together, _NOTHING if lost else a.together


def histogram_grown(stretches: Iterable[Stretch], name: str = "") -> Histogram:
    """Of a command, or of all of applications: the calls in several stretches together, each between two moments.

    As grown() and together_grown() tell it, for who draws hundreds of percentiles.
    """
    found: dict[float, float] = defaultdict(float)
    for a, b, fresh in stretches:
        after, before = _ends(a, b, name, fresh) if name else _together_ends(a, b)
        for bound, calls in zip(after.buckets[::2], _calls_since(after, before), strict=True):
            found[bound] += calls
    return found


def added(parts: Iterable[Mapping[str, Cost]]) -> dict[str, Cost]:
    """What commands cost on several nodes, or in several stretches of time, together."""
    found: dict[str, list[Cost]] = defaultdict(list)
    for part in parts:
        for name, cost in part.items():
            found[name].append(cost)
    return {name: costs[0] if len(costs) == 1 else sum_of(costs) for name, costs in found.items()}


_NOTHING = Cost()


def _minus(after: Cost, before: Cost) -> Cost:
    buckets: list[float] = []
    for bound, calls in zip(after.buckets[::2], _calls_since(after, before), strict=True):
        if calls:
            buckets += (bound, calls)
    return Cost(
        max(after.calls - before.calls, 0.0),
        max(after.usec - before.usec, 0.0),
        max(after.rejected - before.rejected, 0.0),
        max(after.failed - before.failed, 0.0),
        tuple(buckets),
        after.told,
    )


def _calls_since(after: Cost, before: Cost) -> Sequence[float]:
    """Calls in each of the buckets of `after`."""
    bounds, now, then = after.buckets[::2], after.buckets[1::2], before.buckets[1::2]
    if not before.buckets:  # with calls: it was not told then, and holds all since the start
        return [0.0] * len(now) if before.calls else now
    if before.buckets[::2] != bounds:
        earlier = before.histogram
        then = tuple(earlier.get(bound, 0.0) for bound in bounds)
    growth = list(map(sub, now, then))
    # Set back alone, by CONFIG SET latency-tracking: it shows what was since then.
    return now if min(growth, default=0.0) < 0 else growth


def parse(stats: bytes, histograms: object = None, latencystats: bytes = b"") -> dict[str, Cost]:
    """Of INFO commandstats, with the reply to LATENCY HISTOGRAM (RESP2) or INFO latencystats where there is one.

    What cannot be read is left out.
    """
    buckets, told = _histograms(histograms), _told(latencystats)
    found = {}
    for name, fields in _lines(stats, "cmdstat_"):
        calls, usec = fields.get("calls", 0.0), fields.get("usec", 0.0)
        rest = (fields.get("rejected_calls", 0.0), fields.get("failed_calls", 0.0))
        found[name] = Cost(calls, usec, *rest, buckets.get(name, ()), told.get(name, ()))
    longest = sorted(found, key=lambda name: -found[name].usec)[:MOST_COMMANDS]
    return {name: found[name] for name in longest}


def _lines(text: bytes, prefix: str) -> list[tuple[str, dict[str, float]]]:
    lines = (line.strip() for line in text.decode("utf-8", "replace").splitlines())
    pairs = (line.removeprefix(prefix).partition(":") for line in lines if line.startswith(prefix))
    return [(_name(name), _fields(fields)) for name, _, fields in pairs if name]


def _name(text: str) -> str:
    shown = "".join(letter for letter in text.lower() if letter.isprintable())
    return shown.lstrip("+*")[:LONGEST_NAME] or "?"


def _fields(text: str) -> dict[str, float]:
    found = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number) and number >= 0:
            found[name] = number
    return found


def _told(text: bytes) -> dict[str, tuple[float, ...]]:
    found = {}
    for name, fields in _lines(text, "latency_percentiles_usec_"):
        if all(one in fields for one in PERCENTILES):  # others are told where latency-tracking-info-percentiles says so
            found[name] = tuple(fields[one] for one in PERCENTILES)
    return found


def _histograms(reply: object) -> dict[str, tuple[float, ...]]:
    """[name, [b"calls", n, b"histogram_usec", [bound, calls up to it, ...]], ...] as Cost.buckets."""
    if not isinstance(reply, list):
        return {}
    found = {}
    for name, about in zip(reply[::2], reply[1::2], strict=False):
        if isinstance(name, bytes) and isinstance(about, list) and len(about) >= 4 and isinstance(about[3], list):
            numbers = [float(one) for one in about[3][: 2 * MOST_BUCKETS] if isinstance(one, int)]
            steps = pairwise([(0.0, 0.0), *zip(numbers[::2], numbers[1::2], strict=False)])
            found[_name(name.decode("utf-8", "replace"))] = flat({b: max(up - to, 0.0) for (_, to), (b, up) in steps})
    return found


def _numbers(cost: Cost) -> Numbers:
    counters = [_short(one) for one in cost[:4]]
    buckets = " ".join(str(_short(one)) for one in cost.buckets)
    return [counters, buckets, list(cost.told)] if cost.told else [counters, buckets] if buckets else [counters]


def _short(number: float) -> float:
    """Whole numbers as such: they are shorter."""
    return int(number) if number == int(number) else number


def _cost(numbers: Numbers) -> Cost:
    calls, usec, rejected, failed = _floats(numbers[0])
    buckets = tuple(_floats(numbers[1])) if len(numbers) > 1 else ()
    told = tuple(_floats(numbers[2])) if len(numbers) > 2 else ()
    return Cost(calls, usec, rejected, failed, buckets, told)


def _floats(written: list[float] | str) -> list[float]:
    if not isinstance(written, str):
        return written
    words = written.split()
    try:
        return list(map(int, words))  # nearly all are whole, and reading these takes half the time
    except ValueError:
        return list(map(float, words))
