"""A row of the table, and how its figures are taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis

ROUNDS = 7


@dataclass(frozen=True)
class Result:
    """One line: what, the figure as measured, and the bound that it is held against ("" for none)."""

    what: str
    figure: str
    bound: str = ""
    kept: bool | None = None


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median time of `work`, after one round that is not counted."""
    work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def server_microseconds(client: redis.Redis, work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median time that the server spends in commands for `work`, from INFO commandstats.

    INFO itself and CONFIG are left out: they are this measurement's own.
    """
    work()
    spent = []
    for _ in range(rounds):
        before = _spent(client)
        work()
        spent.append(_spent(client) - before)
    return statistics.median(spent)


def _spent(client: redis.Redis) -> float:
    stats = client.info("commandstats")
    return sum(one["usec"] for name, one in stats.items() if name != "cmdstat_info")


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children, MiB, from /proc (shared pages counted once each)."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(fields["Pid"]) == pid or int(fields["PPid"]) == pid:
            total += int(fields.get("VmRSS", "0 kB").split()[0]) / 1024
    return total


def table(results: list[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| what | measured | bound | kept |", "|---|---:|---:|---|"]
    for one in results:
        kept = "" if one.kept is None else ("yes" if one.kept else "NO")
        lines.append(f"| {one.what} | {one.figure} | {one.bound} | {kept} |")
    return "\n".join(lines)
