"""Planning an invalidation: what it is about, and what it would mean. It changes nothing.

The same analysis as that of every other screen, over the task's selection, with examples, the most used keys and what
the vault would take. A generator of snapshots: an estimate at once, exact at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import mean, stdev

import zstandard

from dashboard.cache.analysis import run as analysis
from dashboard.cache.analysis.report import Report, Snapshot
from dashboard.cache.errors import CacheError
from dashboard.cache.estimate import NOTHING, Z_95, Estimate, exactly
from dashboard.cache.invalidation.effect import Traffic, effect
from dashboard.cache.invalidation.hottest import hottest
from dashboard.cache.invalidation.report import EXAMPLES, HotKey, Plan
from dashboard.cache.invalidation.task import Task
from dashboard.cache.reading.keeping import Keeping, Kept
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import Selection, named
from dashboard.cache.servers.capability import Capabilities
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.walk import walk
from dashboard.cache.walking.watch import Limits

GLANCE_SECONDS = 0.1
SECOND_GLANCE_SECONDS = 2.0
GLANCE_KEYS = 200  # of which it is seen how large they are in the vault
HOTTEST_SECONDS = 2.0
NAME_CUT = 200  # characters


@dataclass(frozen=True)
class Options:
    """budget, limits: of the walk. largest: bytes of the largest key that the vault takes. traffic: of the cache now.

    every: seconds between two snapshots.
    """

    budget: Budget = field(default_factory=Budget)
    limits: Limits = field(default_factory=Limits)
    separator: bytes = b":"
    largest: int = 0
    traffic: Traffic = field(default_factory=Traffic)
    every: float = 0.5


@dataclass(frozen=True)
class _Glance:
    """The first keys that were found, and how many bytes one takes in the vault: mean and its standard error."""

    examples: tuple[str, ...] = ()
    size: float | None = None
    error: float = 0.0


def plan(cache: Cache, task: Task, options: Options | None = None) -> Iterator[Plan]:
    """Snapshots of the plan. Raises CacheError as `analyze` does."""
    options = options or Options()
    selection = named(task.selection)
    notes = _obstacles(cache.capabilities(), task)
    glance = _glance(cache, selection, options)
    last: Snapshot | None = None
    for last in analysis.analyze(cache, selection, _analysis(options)):
        yield _plan(task, last, glance, notes, options)
    if last is not None and last.progress.complete and last.report.keys.value:
        if glance.size is None:  # so few keys in so many that the first look met none of them
            glance = _glance(cache, selection, options, SECOND_GLANCE_SECONDS)
        found = hottest(cache, selection, replace(options.budget, seconds=HOTTEST_SECONDS))
        if not found.all_of_them and found.keys:
            notes = (*notes, f"The most used keys are those of the first {found.examined:,} that were looked at.")
        yield _plan(task, last, glance, notes, options, found.keys)


def _analysis(options: Options) -> analysis.Options:
    return analysis.Options(options.budget, options.separator, every=options.every, limits=options.limits)


def _obstacles(capabilities: Capabilities, task: Task) -> tuple[str, ...]:
    """What this user may not do here, of what the task and its undo need."""
    needs: dict[str, str] = {"PEXPIRE": "no TTL can be lowered"} if task.lowers else {}
    if not task.lowers and not capabilities.can("UNLINK"):
        needs["DEL"] = "nothing can be removed"
    if task.vault:
        needs |= {"DUMP": "nothing can be kept in the vault", "RESTORE": "an undo would be refused"}
    if task.tell:
        needs["PUBLISH"] = "the applications cannot be told"
    return tuple(
        f"{capabilities.why_not(command)}, so {effect}."
        for command, effect in needs.items()
        if not capabilities.can(command)
    )


def _glance(cache: Cache, selection: Selection, options: Options, seconds: float = GLANCE_SECONDS) -> _Glance:
    """A look at the first keys that are found, so that there are examples and sizes at once; what goes wrong with it
    the analysis says."""
    deadline = time.monotonic() + seconds
    keys: list[bytes] = []
    records: list[Kept] = []
    try:
        keeping = Keeping(cache, options.largest) if cache.capabilities().can("DUMP") else None
        for batch in walk(cache, selection, replace(options.budget, seconds=seconds, abreast=False)):
            keys += batch.found
            if keeping is not None and batch.found:
                records += keeping.read(batch.node, batch.found[:GLANCE_KEYS]).kept
            if len(keys) >= GLANCE_KEYS or time.monotonic() >= deadline:
                break
    except CacheError:
        return _Glance()
    examples = tuple(printable(key)[:NAME_CUT] for key in islice(keys, EXAMPLES))
    return _Glance(examples, *_packed(records))


def _packed(records: Sequence[Kept]) -> tuple[float | None, float]:
    """Bytes that one record takes in the vault, mean and standard error: compressed together, as the vault does."""
    if not records:
        return None, 0.0
    sizes = [len(one.key) + len(one.dump) + 24 for one in records]
    body = b"".join(one.key + one.dump for one in records)
    ratio = len(zstandard.ZstdCompressor(level=1).compress(body)) / max(len(body), 1)
    spread = stdev(sizes) / len(sizes) ** 0.5 if len(sizes) > 1 else 0.0
    return mean(sizes) * ratio, spread * ratio


def _plan(
    task: Task,
    snapshot: Snapshot,
    glance: _Glance,
    notes: tuple[str, ...],
    options: Options,
    hot: tuple[HotKey, ...] = (),
) -> Plan:
    report = snapshot.report
    return Plan(
        snapshot.progress,
        report,
        glance.examples or _first_names(report),
        hot,
        effect(report, options.traffic),
        _vault(report, glance) if task.vault else None,
        _too_large(report, options.largest) if task.vault else NOTHING,
        notes,
    )


def _first_names(report: Report) -> tuple[str, ...]:
    """Where the first look has met none: one of each namespace."""
    return tuple(row.example for row in report.namespaces if row.example)[:EXAMPLES]


def _vault(report: Report, glance: _Glance) -> Estimate | None:
    if glance.size is None:
        return None if report.keys.value else NOTHING
    low, high = max(glance.size - Z_95 * glance.error, 0.0), glance.size + Z_95 * glance.error
    return Estimate(report.keys.value * glance.size, report.keys.low * low, report.keys.high * high)


def _too_large(report: Report, largest: int) -> Estimate:
    """Of the largest keys, which are known one by one."""
    return exactly(sum(one.memory > largest for one in report.biggest)) if largest else NOTHING
