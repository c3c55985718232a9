"""What the Lab screen says in words: of patterns and preventions, of the present figures, of a comparison. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dashboard.cache.wording import count, percent
from dashboard.lab.state import Figures, Knobs, Running, State

STAMPEDE_SHARE = 0.02  # of all queries: from there on duplicate loads are worth a word
SEEN = 0.05  # of a rate per second: less is drawn as 0
THIN = "\u202f"


@dataclass(frozen=True)
class Choice:
    """One that can be chosen: its name in the demo, what it is called here, and what it does."""

    name: str
    label: str
    says: str = ""


PATTERNS = (
    Choice("cache-aside", "Cache-aside", "The shop loads what is missing and fills it in; a change removes the entry."),
    Choice(
        "read-through", "Read-through", "The shop asks the cache alone, which loads by itself, once for all who ask."
    ),
    Choice("write-through", "Write-through", "A change goes to the database, then its document into the cache."),
    Choice(
        "write-behind", "Write-behind", "A change is queued in the cache and reaches the database within about 500 ms."
    ),
)
PREVENTIONS = (
    Choice("none", "None", "Whoever misses loads."),
    Choice("mutex", "Mutex", "One loads, the others wait for it."),
    Choice("xfetch", "XFetch", "The nearer the expiry, the likelier a reader refreshes beforehand."),
    Choice("revalidate", "Stale while revalidate", "What has expired is still served while one refreshes it."),
)
SWITCHES = (
    Choice("jitter", "Jitter", "TTLs are spread, so that keys do not expire together."),
    Choice("copies", "Copies in the process", "An L1 cache in each shop process, dropped when told to."),
    Choice("events", "Events of rows", "A relay tells of rows that changed, whoever changed them."),
)

Level = Literal["", "warn", "bad"]


@dataclass(frozen=True)
class Tile:
    """One figure: value None is drawn as a dash. level: whether its note deserves a look."""

    label: str
    value: float | None
    unit: str
    note: str
    level: Level = ""


def offered(names: tuple[str, ...], known: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """What the demo offers, in its own order, with our words where we have some."""
    words = {one.name: one for one in known}
    return tuple(words.get(name, Choice(name, name)) for name in names)


def label(name: str) -> str:
    """What a pattern or a prevention is called within a sentence."""
    return next((one.label for one in (*PATTERNS, *PREVENTIONS) if one.name == name), name)


def answer(state: State) -> str:
    """The sentence on top of the screen: what deserves a look first, then how things stand."""
    if state.shop != "up":
        return "The shop does not answer its visitors."
    now = state.now
    if now.requests is None:
        return "Nothing was measured yet."
    trouble = _trouble(now, state.knobs)
    figures = (
        f"{percent(now.hit_ratio)} hits" if now.hit_ratio is not None else "",
        f"p99 {count(now.p99_ms)}{THIN}ms" if now.p99_ms is not None else "",
        f"{count(now.queries)} database queries/s" if now.queries is not None else "",
    )
    set_to = f"{label(state.knobs.pattern)}, {_prevented(state.knobs)}"
    stands = ", ".join(one for one in figures if one)
    return f"{trouble} {set_to}: {stands}." if stands else f"{trouble} {set_to}."


def _trouble(now: Figures, knobs: Knobs) -> str:
    if _is(now.errors):
        return f"{count(now.errors or 0)} requests a second fail."
    if now.lost:
        return f"{count(now.lost)} acknowledged changes are lost."
    if _is(now.stale_reads):
        return f"{count(now.stale_reads or 0)} reads a second are stale."
    if _matters(now):
        why = ", as nothing prevents it" if knobs.prevention == "none" else ""
        return f"Keys are loaded by several at once: {count(now.duplicates or 0)} loads a second too many{why}."
    return "No request fails, and no read is stale."


def _prevented(knobs: Knobs) -> str:
    if knobs.prevention == "none":
        return "stampedes not prevented"
    return f"with {label(knobs.prevention)}" if knobs.prevention else "with what is chosen"


def tiles(state: State) -> tuple[Tile, ...]:
    """The figures of the last ten seconds."""
    now = state.now
    copies = f"{count(now.copies or 0)}/s from copies" if _is(now.copies) else "last 10 s"
    wanted = f"of {count(state.traffic.rate)} wanted" if state.traffic.rate is not None else "per second"
    failed = (f"{count(now.errors or 0)}/s fail", "bad") if _is(now.errors) else None
    late = (f"{count(now.dropped or 0)}/s not sent", "warn") if _is(now.dropped) else None
    return (
        _tile("Requests", now.requests, "/s", failed or late or wanted),
        Tile("Hit ratio", now.hit_ratio, "%", copies),
        Tile("p99", now.p99_ms, "ms", f"p50 {count(now.p50_ms)}{THIN}ms" if now.p50_ms is not None else "last 10 s"),
        Tile("Queries", now.queries, "/s", "of the database"),
        _tile("Duplicate loads", now.duplicates, "/s", _duplicates(now)),
        _tile("Stale reads", now.stale_reads, "/s", _stale(now)),
        _tile("Write lag", now.lag_s, "s", _queued(now)),
        _tile("Lost writes", now.lost, "", ("acknowledged, not stored", "bad") if now.lost else _not_lost(now)),
    )


def _tile(name: str, value: float | None, unit: str, note: str | tuple[str, str]) -> Tile:
    if isinstance(note, str):
        return Tile(name, value, unit, note)
    return Tile(name, value, unit, note[0], "bad" if note[1] == "bad" else "warn")


def _stale(now: Figures) -> str | tuple[str, str]:
    if not now.stale_total:
        return "none so far"
    so_far = f"{count(now.stale_total)} so far"
    return (so_far, "warn") if _is(now.stale_reads) else so_far


def _queued(now: Figures) -> str | tuple[str, str]:
    if now.dead:
        return f"{count(now.dead)} refused by the database", "bad"
    return f"{count(now.queue)} in the queue" if now.queue else "nothing queued"


def _not_lost(now: Figures) -> str:
    return "not counted yet" if now.lost is None else "none so far"


def _matters(now: Figures) -> bool:
    """Whether duplicate loads are more than now and then one."""
    return _is(now.duplicates) and (now.duplicates or 0) >= STAMPEDE_SHARE * (now.queries or 0)


def _duplicates(now: Figures) -> str | tuple[str, str]:
    if _matters(now):
        return "too many", "warn"
    return "now and then" if _is(now.duplicates) else "none"


def _is(rate: float | None) -> bool:
    return rate is not None and rate >= SEEN


def scenario_label(state: State, running: Running) -> str:
    """What a scenario is called."""
    return next((one.title for one in state.scenarios if one.name == running.name), running.name)
