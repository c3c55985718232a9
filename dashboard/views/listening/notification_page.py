"""What the page of keyspace notifications says: what is on and where, what each flag means and costs, why not here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.cache.errors import CacheError
from dashboard.cache.notifications.cost import Traffic, all_events_of, expected, in_words, rate
from dashboard.cache.notifications.flags import CLASSES, FLAGS, OF_FIELDS, WHERE, Flag, all_flags, knows, tells, written
from dashboard.cache.notifications.keyevents import SETTING
from dashboard.cache.servers.capability import NOT_ALLOWED
from dashboard.cache.servers.connect import Cache
from dashboard.cache.tuning import node_settings
from dashboard.cache.tuning.node_settings import NodeSettings
from dashboard.jobs.event_traffic import traffic
from dashboard.jobs.tuning import HOW
from dashboard.store import trials, workers
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.views.bad_field import BadField
from dashboard.views.deck import deck
from dashboard.views.eviction import setting_words
from dashboard.views.render import Problem, of_cache_error

OFFERED = "15m"
SHORTEST, LONGEST = 300.0, 86400.0
"""Seconds for which notifications may be switched on."""
LISTED = 10


@dataclass(frozen=True)
class Told:
    """Primaries that have the same flags. flags: as the setting is written, "" for off. words: what they tell of."""

    flags: str
    words: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One flag. on: on how many primaries it is on. events: how many it would tell a second, in words, "" for none of
    its own. known: whether the server knows it. ticked: whether it is asked for."""

    flag: Flag
    on: int
    events: str
    known: bool
    ticked: bool


@dataclass(frozen=True)
class Asked:
    """What the form holds: letters that are ticked, the time as it was typed, and a reason."""

    flags: frozenset[str] = frozenset()
    lasts: str = OFFERED
    reason: str = ""


def page_context(cache: Cache, asked: Asked, error: BadField | None = None) -> dict[str, Any]:
    """Everything that the page draws. Raises StoreUnavailable."""
    store = deck().store
    lately, lately_problem = _traffic(store, cache.name)
    context: dict[str, Any] = {
        "asked": asked,
        "error": error,
        "open": next((one for one in trials.open_on(store, [cache.name]) if one.purpose != "trial"), None),
        "worker_lives": workers.alive(store) > 0,
        "earlier": trials.of_cache(store, cache.name, LISTED, purpose="notifications"),
        "states": setting_words.TRIAL_STATES,
        "problem": None,
        "told": (),
        "rows": (),
        "unread": (),
        "answer": f"What {cache.name} tells of cannot be read now.",
        "total": "",
        "lately_problem": lately_problem,
    }
    try:
        nodes = node_settings.read(cache, replicas=False)
        capabilities = cache.capabilities()
    except CacheError as failed:
        return context | {"problem": of_cache_error(failed)}
    flags = flags_of(nodes)
    unread = tuple(one for one in nodes if one.node not in flags)
    why_not, how = _obstacle(cache, capabilities.denied.get("CONFIG SET", ""), unread)
    now_on = frozenset[str]().union(*map(all_flags, flags.values()))
    return context | {
        "told": grouped(flags),
        "rows": _rows(flags, lately, asked, capabilities.product, capabilities.release),
        "primaries": len(nodes),
        "unread": unread,
        "server": f"{capabilities.product} {capabilities.version}".strip(),
        "why_not": why_not,
        "how": how,
        "answer": answer(flags, lately, bool(unread)),
        "total": total(now_on | asked.flags, lately) if asked.flags else "",
        "of_fields": "".join(letter for letter in OF_FIELDS if letter in now_on),
    }


def flags_of(nodes: Iterable[NodeSettings]) -> dict[str, str]:
    """node -> its notify-keyspace-events, of those that tell it."""
    return {one.node: one.values[SETTING] for one in nodes if SETTING in one.values}


def grouped(flags: Mapping[str, str]) -> tuple[Told, ...]:
    """Primaries by what they have: those that tell more come first."""
    found: dict[str, list[str]] = {}
    for node, value in flags.items():
        found.setdefault(written(value), []).append(node)
    return tuple(Told(value, tells(value), tuple(found[value])) for value in sorted(found, key=lambda one: -len(one)))


def answer(flags: Mapping[str, str], lately: Sequence[Traffic], some_unread: bool) -> str:
    """The sentence on top."""
    if not flags:
        return f"What the primaries tell of cannot be read: {SETTING} is not told."
    groups = grouped(flags)
    who = "Every primary" if len(flags) > 1 else "The server"
    if len(groups) > 1:
        return f"The primaries differ: {'; '.join(_of_group(one) for one in groups)}."
    (only,) = groups
    rest = " Of others it cannot be read." if some_unread else ""
    if not only.flags:
        return f"{who} tells of nothing: {SETTING} is off.{rest}"
    if not only.words:
        return f"{who} tells of nothing: {SETTING} is {only.flags}, which lacks {_lacks(only.flags)}.{rest}"
    cost = expected(only.flags, lately)
    costs = f": at present {in_words(cost[0])}" if cost else ""
    return f"{who} tells of {only.words}{costs}.{rest}"


def total(flags: Iterable[str], lately: Sequence[Traffic]) -> str:
    """What all of these flags together would cost, in a sentence."""
    cost = expected("".join(flags), lately)
    if cost is None:
        return "What that would cost is not known: there are no samples of the last minutes."
    spent, events, unknown = cost
    if not events.high:
        return "At the rates of the last minutes it would be no event at all."
    said = f"At the rates of the last minutes: {in_words(spent)}"
    if events.high > 1.05 * events.value:
        said += f", at most {rate(events._replace(low=events.high, value=events.high))}"
    names = ", ".join(flag.label.lower() for flag in FLAGS if flag.letter in unknown)
    return f"{said}, for each that listens to all of it.{f' Not reckoned: {names}.' if names else ''}"


def _of_group(one: Told) -> str:
    where = one.nodes[0] if len(one.nodes) == 1 else f"{len(one.nodes)} primaries"
    return f"{where} {'tells' if len(one.nodes) == 1 else 'tell'} of {one.words or 'nothing'}"


def _lacks(flags: str) -> str:
    return "K and E" if not set(flags) & set(WHERE) else "any class of events"


def _rows(
    flags: Mapping[str, str], lately: Sequence[Traffic], asked: Asked, product: str, release: tuple[int, ...]
) -> tuple[Row, ...]:
    has = [all_flags(value) for value in flags.values()]
    return tuple(
        Row(
            flag,
            sum(flag.letter in one for one in has),
            rate(all_events_of(flag.letter, lately)) if flag.letter in CLASSES else "",
            knows(flag, product, release),
            flag.letter in asked.flags,
        )
        for flag in FLAGS
    )


def _traffic(store: Store, cache: str) -> tuple[tuple[Traffic, ...], Problem | None]:
    try:
        return traffic(store, cache, time.time(), deck().settings.sample_seconds), None
    except StoreError as error:
        return (), Problem(error.sentence, error.advice)


def _obstacle(cache: Cache, denied: str, unread: Sequence[NodeSettings]) -> tuple[str, str]:
    """(why notifications cannot be switched on here, what to do instead); empty where they can."""
    if denied in HOW:
        why, how = HOW[denied]
        return why.format(name=cache.name), how
    if unread:
        first = unread[0]
        return f"What {first.node} has cannot be read: {first.problem or SETTING + ' is not told.'}", HOW[NOT_ALLOWED][
            1
        ]
    return "", ""


def totals(cache: Cache, flags: frozenset[str]) -> str:
    """What these flags would cost besides those that are on. Raises StoreUnavailable."""
    lately = traffic(deck().store, cache.name, time.time(), deck().settings.sample_seconds)
    try:
        on = flags_of(node_settings.read(cache, replicas=False))
    except CacheError:
        on = {}
    return total(flags.union(*map(all_flags, on.values())), lately)
