"""The tiles of the Lab screen: figures of the last ten seconds, each with a note that says whether to look. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dashboard.cache.wording import count
from dashboard.lab.state import Figures, State
from dashboard.views.lab.words import THIN, a_second, many_duplicates, seen


@dataclass(frozen=True)
class Note:
    """What stands below a figure. level: "" where all is well."""

    text: str
    level: Literal["", "warn", "bad"] = ""


@dataclass(frozen=True)
class Tile:
    """One figure; None is drawn as a dash. unit: "%" means a ratio from 0 to 1."""

    label: str
    value: float | None
    unit: str
    note: Note


def tiles(state: State) -> tuple[Tile, ...]:
    """All of them, in the order in which they are drawn."""
    now = state.now
    return (
        Tile("Requests", now.requests, "/s", _requests(state)),
        Tile(
            "Hit ratio",
            now.hit_ratio,
            "%",
            Note(f"{a_second(now.copies)} from copies" if seen(now.copies) else "last 10 s"),
        ),
        Tile("p99", now.p99_ms, "ms", Note("last 10 s" if now.p50_ms is None else f"p50 {count(now.p50_ms)}{THIN}ms")),
        Tile("Queries", now.queries, "/s", Note("of the database")),
        Tile("Duplicate loads", now.duplicates, "/s", _duplicates(now)),
        Tile("Stale reads", now.stale_reads, "/s", _stale(now)),
        Tile("Write lag", now.lag_s, "s", _queued(now)),
        Tile("Lost writes", now.lost, "", _lost(now)),
    )


def _requests(state: State) -> Note:
    now, wanted = state.now, state.traffic.rate
    if seen(now.errors):
        return Note(f"{a_second(now.errors)} fail", "bad")
    if seen(now.dropped):
        return Note(f"{a_second(now.dropped)} not sent", "warn")
    return Note("per second" if wanted is None else f"of {count(wanted)} wanted")


def _duplicates(now: Figures) -> Note:
    if many_duplicates(now):
        return Note("too many", "warn")
    return Note("now and then" if seen(now.duplicates) else "none")


def _stale(now: Figures) -> Note:
    if not now.stale_total:
        return Note("none so far")
    return Note(f"{count(now.stale_total)} so far", "warn" if seen(now.stale_reads) else "")


def _queued(now: Figures) -> Note:
    if now.dead:
        return Note(f"{count(now.dead)} refused", "bad")
    return Note(f"{count(now.queue)} in the queue" if now.queue else "nothing queued")


def _lost(now: Figures) -> Note:
    if now.lost:
        return Note("were acknowledged", "bad")
    return Note("not counted yet" if now.lost is None else "none so far")
