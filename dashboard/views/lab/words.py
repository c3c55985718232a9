"""What the Lab screen says in words: of patterns and preventions, of the present figures, of a comparison. Pure."""

from __future__ import annotations

from dataclasses import dataclass

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


def offered(names: tuple[str, ...], known: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """What the demo offers, in its own order, with our words where we have some."""
    words = {one.name: one for one in known}
    return tuple(words.get(name, Choice(name, name)) for name in names)


def label(name: str) -> str:
    """What a pattern or a prevention is called within a sentence."""
    return next((one.label for one in (*PATTERNS, *PREVENTIONS) if one.name == name), name)


def answer(state: State) -> str:
    """The sentence on top of the screen: what deserves a look first, then how things stand.

    It is drawn anew every two seconds, so it is short enough for one line whatever the figures are.
    """
    if state.shop != "up":
        return "The shop does not answer its visitors."
    now = state.now
    if now.requests is None:
        return "Nothing was measured yet."
    trouble = _trouble(now)
    figures = (
        f"{percent(now.hit_ratio)} hits" if now.hit_ratio is not None else "",
        f"p99 {count(now.p99_ms)}{THIN}ms" if now.p99_ms is not None else "",
        f"{count(now.queries)} queries/s" if now.queries is not None else "",
    )
    set_to = f"{label(state.knobs.pattern)}{_prevented(state.knobs)}"
    stands = ", ".join(one for one in figures if one)
    return f"{trouble} {set_to}: {stands}." if stands else f"{trouble} {set_to}."


def _trouble(now: Figures) -> str:
    if seen(now.errors):
        return f"Requests fail: {a_second(now.errors)}."
    if seen(now.stale_reads):
        return f"Reads are stale: {a_second(now.stale_reads)}."
    if many_duplicates(now):
        return f"Stampedes: {count(now.duplicates or 0)} loads/s too many."
    if now.lost:
        return f"Acknowledged changes were lost: {count(now.lost)}."
    return "Nothing fails, nothing is stale."


def _prevented(knobs: Knobs) -> str:
    if knobs.prevention == "none":
        return ", no prevention"
    return f" with {label(knobs.prevention)}" if knobs.prevention else ""


def many_duplicates(now: Figures) -> bool:
    """Whether duplicate loads are more than now and then one."""
    return seen(now.duplicates) and (now.duplicates or 0) >= STAMPEDE_SHARE * (now.queries or 0)


def a_second(rate: float | None) -> str:
    """A rate as it stands in a sentence or a note."""
    return f"{count(rate or 0.0)}/s"


def seen(rate: float | None) -> bool:
    """Whether a rate is more than is drawn as 0."""
    return rate is not None and rate >= SEEN


def scenario_label(state: State, running: Running) -> str:
    """What a scenario is called."""
    return next((one.title for one in state.scenarios if one.name == running.name), running.name)
