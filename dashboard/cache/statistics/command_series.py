"""What commands cost over time: charts of operations by family and of latency, and the rows of their table. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dashboard.cache.statistics.command_families import by_family, family, of_applications
from dashboard.cache.statistics.commands import (
    Cost,
    Numbers,
    Stretch,
    added,
    calls_grown,
    costs_of,
    grown,
    histogram_grown,
    quantile,
    stretch,
)
from dashboard.cache.statistics.picture import STALE_PERIODS
from dashboard.cache.statistics.series import Chart, Line, latest, line
from dashboard.cache.wording import NARROW, count

MOST_FAMILIES = 6
"""Lines that can be told apart; the rest is drawn as one."""
MOST_COMMANDS = 4
"""Commands whose p99 is drawn beside that of all: those that took most of the server's time."""
ALL = "all"


@dataclass(frozen=True)
class CommandPoint:
    """What happened on all primaries together in `seconds` up to `at`.

    calls: of each command. p99: of all commands of applications (ALL), and of a few; microseconds.
    """

    at: float
    seconds: float
    calls: Mapping[str, float]
    p99: Mapping[str, float | None]


Written = tuple[float, Mapping[str, Numbers]]
"""When a sample was taken, and what Costs.to_plain() has written of it."""


def command_points(by_node: Mapping[str, Sequence[Written]], step: float) -> list[CommandPoint]:
    """One point for each bucket of `step` seconds, from the samples of each primary, ordered by time.

    Where one primary was not sampled that was there before and after, nothing is said.
    """
    ends = [[costs_of(at, node, plain) for at, plain in (some[0], some[-1])] for node, some in by_node.items()]
    chosen = slowest(added(grown(first, last) for first, last in ends))
    found: dict[int, list[Stretch]] = defaultdict(list)
    there: dict[int, int] = defaultdict(int)
    for node, samples in by_node.items():
        last = {int(at // step): costs_of(at, node, plain, chosen) for at, plain in samples}
        slots = sorted(last)
        for slot in range(slots[0] + 1, slots[-1] + 1) if len(slots) > 1 else ():
            there[slot] += 1
        for a, b in pairwise(slots):
            if b - a <= STALE_PERIODS:
                found[b].append(stretch(last[a], last[b]))
    return [_point(here, chosen) for slot, here in sorted(found.items()) if len(here) == there[slot]]


def slowest(costs: Mapping[str, Cost]) -> list[str]:
    """The commands of applications that took most of the server's time, of those whose times are told."""
    timed = [name for name, cost in costs.items() if cost.buckets and of_applications(name)]
    return sorted(timed, key=lambda name: -costs[name].usec)[:MOST_COMMANDS]


def _point(here: Sequence[Stretch], chosen: Sequence[str]) -> CommandPoint:
    calls: dict[str, float] = defaultdict(float)
    for one in here:
        for name, many in calls_grown(one).items():
            calls[name] += many
    p99 = {ALL: quantile(histogram_grown(here), 0.99)}
    p99 |= {name: quantile(histogram_grown(here, name), 0.99) for name in chosen}
    seconds = sum(one.after.at - one.before.at for one in here) / len(here)
    return CommandPoint(max(one.after.at for one in here), seconds, calls, p99)


def command_charts(seen: Sequence[CommandPoint]) -> tuple[Chart, Chart]:
    """Operations by family, and the 99th percentile of latency: of all and of the commands that took longest."""
    x = tuple(float(f"{point.at:.3f}") for point in seen)
    return _operations(seen, x), _latency(seen, x)


def _operations(seen: Sequence[CommandPoint], x: tuple[float, ...]) -> Chart:
    amounts = [
        {name: calls / point.seconds for name, calls in by_family(point.calls.items()).items()} for point in seen
    ]
    sums: dict[str, float] = defaultdict(float)
    for here in amounts:
        for name, rate in here.items():
            sums[name] += rate
    largest = sorted(sums, key=lambda name: -sums[name])
    chosen, rest = largest[:MOST_FAMILIES], largest[MOST_FAMILIES:]
    lines = [line(name, [here.get(name, 0.0) for here in amounts]) for name in chosen]
    if rest:
        lines.append(line("the rest", [sum(here.get(name, 0.0) for name in rest) for here in amounts]))
    whole = [sum(here.values()) for here in amounts]
    lines = lines or [Line("commands", ())]
    return Chart("operations", "Operations", "ops/s", "number", latest("{}/s", whole), x, tuple(lines))


def _latency(seen: Sequence[CommandPoint], x: tuple[float, ...]) -> Chart:
    names = list(seen[-1].p99) if seen else [ALL]
    lines = [line(name, [point.p99[name] for point in seen]) for name in names]
    of_all = [point.p99[ALL] for point in seen]
    known = any(value is not None for value in of_all)
    said = latest("{} for all", of_all, microseconds) if known else "No times of calls are told in this time."
    return Chart("latency", "Latency, p99", "µs", "number", said, x, tuple(lines))


def microseconds(value: float) -> str:
    """`12 µs`, `1.4 ms`, `2.3 s`."""
    for step, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= step * 0.9995:
            return f"{count(value / step)}{NARROW}{unit}"
    return f"{count(value)}{NARROW}µs"


@dataclass(frozen=True)
class CommandLine:
    """One command in a stretch of time. Times in microseconds; share: of what all commands took.

    percentiles: p50, p99, p99.9 of these calls; `told`: since the server's start, where it tells nothing else.
    """

    name: str
    family: str
    per_second: float
    share: float
    mean: float | None
    percentiles: tuple[float, ...]
    told: bool
    failed: float
    rejected: float


def table(by_node: Mapping[str, Sequence[Written]]) -> tuple[float, tuple[CommandLine, ...]]:
    """(seconds, a row for each command that was called in them), the one that took most of the server's time first."""
    spans = [[costs_of(at, node, plain) for at, plain in samples] for node, samples in by_node.items()]
    seconds = max((readings[-1].at - readings[0].at for readings in spans), default=0.0)
    whole = added(grown(a, b) for readings in spans for a, b in pairwise(readings))
    used = sum(cost.usec for cost in whole.values())
    rows = [_row(name, cost, seconds, used) for name, cost in whole.items()]
    return seconds, tuple(sorted(rows, key=lambda row: (-row.share, row.name)))


def _row(name: str, cost: Cost, seconds: float, used: float) -> CommandLine:
    known = [cost.percentile(share) for share in (0.5, 0.99, 0.999)]
    own = tuple(value for value in known if value is not None)
    return CommandLine(
        name,
        family(name),
        cost.calls / seconds if seconds else 0.0,
        cost.usec / used if used else 0.0,
        cost.usec / cost.calls if cost.calls else None,
        own or cost.told,
        not own and bool(cost.told),
        cost.failed,
        cost.rejected,
    )
