"""Findings about the memory that the process really takes: fragmentation, swap, the container, copies while saving."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.findings.rule import MEMORY, OWN, Rule
from dashboard.cache.statistics.fullness import resident_share, room, room_of
from dashboard.cache.statistics.picture import Finding, Picture, Span
from dashboard.cache.wording import percent, size

# Operators watch for more than 1.5 (the guide below); below 1 means swapped (INFO page). Both say little while the
# difference is small against an allocator's own overhead.
FRAGMENTED = 1.5
SWAPPED = 0.9
ENOUGH_BYTES = 100 * 1024 * 1024
# A container is ended at its limit, and buffers of clients may take the last twentieth in a moment.
CONTAINER_FULL = 0.95
_RATIOS = "https://www.netdata.cloud/guides/redis/redis-swapping-fragmentation-below-one/"


def fragmentation(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if _ratio(one) > FRAGMENTED and _excess(one) > ENOUGH_BYTES]
    if spans:
        worst = max(spans, key=_excess)
        yield Finding(
            "warning",
            f"{size(_excess(worst))} are lost to fragmentation{picture.where(spans)}: the process holds "
            f"{_ratio(worst):.1f} times what its data need.",
            "activedefrag yes gives it back while running, where the server was built with jemalloc.",
            "statistics",
        )


def swapped(picture: Picture) -> Iterator[Finding]:
    """Less is resident than was ever touched: a replication backlog is counted in full before it is written to."""
    spans = [
        one for one in picture.fresh if _touched(one) > ENOUGH_BYTES and 0 < _resident(one) < SWAPPED * _touched(one)
    ]
    if spans:
        worst = max(spans, key=lambda one: _touched(one) - _resident(one))
        yield Finding(
            "critical",
            f"{size(_touched(worst) - _resident(worst))} of the data are not in memory{picture.where(spans)}: "
            "the kernel has swapped them out, and each access waits for the disk.",
            "Free memory on that machine, or lower maxmemory.",
            "eviction",
        )


def container_full(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if resident_share(one) >= CONTAINER_FULL]
    if spans:
        worst = max(spans, key=resident_share)
        yield Finding(
            "critical",
            f"The process holds {size(worst.latest.get('used_memory_rss'))} of its {room_of(worst)}'s "
            f"{size(room(worst))}{picture.where(spans)}: the kernel ends it when it wants more.",
            "Lower maxmemory, or give it more memory.",
            "eviction",
        )


def maxmemory_above(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if 0 < room(one) < one.latest.get("maxmemory")]
    if spans:
        worst = max(spans, key=lambda one: one.latest.get("maxmemory") / room(one))
        yield Finding(
            "critical",
            f"maxmemory is {size(worst.latest.get('maxmemory'))}{picture.where(spans)}, more than the "
            f"{size(room(worst))} of its {room_of(worst)}: the kernel ends the server before a key is evicted.",
            "Lower maxmemory below it, with room for fragmentation and for copies while a snapshot is written.",
            "eviction",
        )


def copy_on_write(picture: Picture) -> Iterator[Finding]:
    """https://valkey.io/topics/persistence/: while a child process saves, pages that are written are there twice."""
    spans = [one for one in picture.fresh if room(one) and _copied(one) > max(_left(one), 0.0)]
    if spans:
        worst = max(spans, key=_copied)
        yield Finding(
            "warning",
            f"Saving has copied up to {size(_copied(worst))} while commands went on to write, and "
            f"{size(max(_left(worst), 0.0))} of the {room_of(worst)} are left{picture.where(spans)}: "
            "the next time may be one too many.",
            'Lower maxmemory, save when little is written, or not at all (save ""), as a mere cache may.',
            "eviction",
        )


RULES = (
    Rule(
        "fragmentation",
        "memory",
        "Much memory is lost to fragmentation.",
        f"a ratio above {FRAGMENTED:g}, and more than {size(ENOUGH_BYTES)}",
        _RATIOS,
        fragmentation,
    ),
    Rule(
        "swapped",
        "memory",
        "Data were swapped out.",
        f"a ratio below {SWAPPED:g}, of more than {size(ENOUGH_BYTES)}",
        _RATIOS,
        swapped,
    ),
    Rule(
        "container-full",
        "memory",
        "The process fills its container or machine.",
        f"{percent(CONTAINER_FULL)} of it",
        OWN,
        container_full,
    ),
    Rule(
        "maxmemory-above-room",
        "memory",
        "maxmemory is more than container or machine have.",
        "any",
        MEMORY,
        maxmemory_above,
    ),
    Rule(
        "copy-on-write",
        "memory",
        "Copies while saving may be more than there is room for.",
        "more was copied at the last save than is left",
        "https://valkey.io/topics/persistence/",
        copy_on_write,
    ),
)


def _ratio(one: Span) -> float:
    used = one.latest.get("used_memory")
    return one.latest.get("used_memory_rss") / used if used else 0.0


def _resident(one: Span) -> float:
    return one.latest.get("used_memory_rss")


def _touched(one: Span) -> float:
    return one.latest.get("used_memory") - one.latest.get("mem_replication_backlog")


def _excess(one: Span) -> float:
    return one.latest.get("used_memory_rss") - one.latest.get("used_memory")


def _copied(one: Span) -> float:
    return max(one.latest.get(name) for name in ("rdb_last_cow_size", "aof_last_cow_size", "current_cow_peak"))


def _left(one: Span) -> float:
    return room(one) - one.latest.get("used_memory_rss")
