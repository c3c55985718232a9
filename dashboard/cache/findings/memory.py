"""Findings about maxmemory: whether there is a limit, how full it is, what happens when it is full."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.findings.rule import INFO, LRU_CACHE, MEMORY, OWN, Rule
from dashboard.cache.statistics.fullness import FULL, NEARLY_FULL, fill, of_limit, resident_share, room, room_of
from dashboard.cache.statistics.growth import seconds_until
from dashboard.cache.statistics.picture import Finding, Level, Picture
from dashboard.cache.wording import percent, size, span

# An hour is the time in which somebody can still do something about it calmly.
SOON_SECONDS = 3600.0
# Leaves room for fragmentation and for copy-on-write while a snapshot is written.
MACHINE_FULL = 0.8


def no_limit(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if not one.latest.get("maxmemory")]
    if not spans:
        return
    worst = max(spans, key=resident_share)
    machine = room(worst)
    sentence = f"No maxmemory is set{picture.where(spans)}: the server will grow until the kernel stops it."
    if machine:
        sentence += f" It uses {size(worst.latest.get('used_memory'))} of the {room_of(worst)}'s {size(machine)}."
        until = seconds_until(worst, machine)
        if until is not None and until < 24 * SOON_SECONDS:
            sentence += f" At the growth of the last minutes that lasts about {span(until)}."
    level: Level = "critical" if resident_share(worst) >= MACHINE_FULL else "warning"
    yield Finding(
        level,
        sentence,
        "Set maxmemory with room for fragmentation and copy-on-write, and a policy that evicts.",
        "eviction",
    )


def writes_fail(picture: Picture) -> Iterator[Finding]:
    """noeviction with a limit: https://valkey.io/topics/lru-cache/ ("errors when the limit is reached")."""
    spans = [one for one in picture.fresh if one.policy == "noeviction" and one.latest.fill is not None]
    if not spans:
        return
    worst = max(spans, key=fill)
    where, share, limit = picture.where(spans), fill(worst), worst.latest.get("maxmemory")
    advice = "Choose a policy that evicts, or raise maxmemory."
    if share >= 1:
        yield Finding(
            "critical",
            f"Memory is full{where} ({of_limit(worst)}) and the policy is noeviction: writes fail.",
            advice,
            "eviction",
        )
        return
    until = seconds_until(worst, limit)
    soon = until is not None and until < SOON_SECONDS
    when = f", in about {span(until)} at the growth of the last minutes" if soon and until is not None else ""
    yield Finding(
        "critical" if share >= NEARLY_FULL or soon else "warning",
        f"The policy is noeviction{where}: writes will fail when memory is full ({of_limit(worst)} now{when}).",
        advice,
        "eviction",
    )


def filling(picture: Picture) -> Iterator[Finding]:
    """Memory that will be full soon, where the policy evicts (noeviction has a finding of its own)."""
    spans = [one for one in picture.fresh if one.policy != "noeviction" and fill(one) < FULL]
    times = [(until, one) for one in spans if (until := seconds_until(one, one.latest.get("maxmemory"))) is not None]
    if not times:
        return
    until, first = min(times, key=lambda pair: pair[0])
    if until < SOON_SECONDS:
        yield Finding(
            "warning",
            f"Memory is full in about {span(until)}{picture.where([first])} "
            f"at the growth of the last minutes ({of_limit(first)} now); "
            f"then keys are evicted ({first.policy or 'policy unknown'}).",
            "Nothing to do if this cache is meant to run full; else raise maxmemory or shorten TTLs.",
            "eviction",
        )


def room_left(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if one.latest.fill is not None]
    evicted = picture.recent.change.get("evicted_keys", 0.0) if picture.recent else 0.0
    if not spans or len(spans) < len(picture.fresh) or evicted or picture.whole is None:
        return
    worst = max(spans, key=fill)
    if fill(worst) < NEARLY_FULL:
        most = f", the fullest primary {percent(fill(worst))}" if len(spans) > 1 else ""
        yield Finding(
            "ok",
            f"Memory: {size(picture.whole.counted_memory)} of {size(picture.whole.get('maxmemory'))} "
            f"({percent(picture.whole.fill or 0.0)}{most}), nothing evicted lately.",
        )


RULES = (
    Rule(
        "no-maxmemory",
        "memory",
        "No maxmemory is set.",
        f"any; critical from {percent(MACHINE_FULL)} of the machine's memory on",
        MEMORY,
        no_limit,
    ),
    Rule(
        "noeviction",
        "memory",
        "There is a limit, and nothing is evicted at it.",
        f"any; critical from {percent(NEARLY_FULL)} of maxmemory on, or less than {span(SOON_SECONDS)} before",
        LRU_CACHE,
        writes_fail,
    ),
    Rule("memory-filling", "memory", "Memory will be full soon.", f"in less than {span(SOON_SECONDS)}", OWN, filling),
    Rule("memory", "memory", "How full memory is.", f"below {percent(NEARLY_FULL)}, nothing evicted", INFO, room_left),
)
