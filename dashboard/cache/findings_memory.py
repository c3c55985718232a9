"""Findings about memory: the limit, how full it is, what happens when it is full, what never expires."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.picture import Finding, Level, Picture, Span, window
from dashboard.cache.wording import count, percent, size, span

# Eviction keeps memory a little below the limit, so "full" begins before 100 %.
FULL = 0.95
# Without eviction the way from here to failing writes is short on any busy cache.
NEARLY_FULL = 0.9
# An hour is the time in which somebody can still do something about it calmly.
SOON_SECONDS = 3600.0
# Growth below this share of maxmemory in the window is noise: buffers, rehashing tables.
NOTICEABLE_GROWTH = 0.005
# Leaves room for fragmentation and for copy-on-write while a snapshot is written.
MACHINE_FULL = 0.8
# Below this share of expiring keys a volatile-* policy soon runs out of keys to evict.
FEW_EXPIRE = 0.1
# A cache's keys should expire: a quarter that never does is worth a look. Of fewer than 100 keys a share
# says nothing.
MANY_NEVER_EXPIRE = 0.25
ENOUGH_KEYS = 100
# https://valkey.io/topics/memory-optimization/ and the INFO page: above 1.5 is fragmentation, below 1 means
# swapped, and both say little while the difference is small against an allocator's own overhead.
FRAGMENTED = 1.5
SWAPPED = 0.9
ENOUGH_BYTES = 100 * 1024 * 1024


def no_limit(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if not one.latest.get("maxmemory")]
    if not spans:
        return
    worst = max(spans, key=_machine_share)
    machine = worst.latest.get("total_system_memory")
    share = _machine_share(worst)
    sentence = f"No maxmemory is set{picture.where(spans)}: the server will grow until the kernel stops it."
    if machine:
        sentence += f" It uses {size(worst.latest.get('used_memory'))} of the machine's {size(machine)}."
        until = _seconds_until(worst, machine)
        if until is not None and until < 24 * SOON_SECONDS:
            sentence += f" At the growth of the last minutes that lasts about {span(until)}."
    level: Level = "critical" if share >= MACHINE_FULL else "warning"
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
    worst = max(spans, key=_fill)
    where, fill, limit = picture.where(spans), _fill(worst), worst.latest.get("maxmemory")
    advice = "Choose a policy that evicts (CONFIG SET maxmemory-policy allkeys-lru) or raise maxmemory."
    if fill >= 1:
        yield Finding(
            "critical",
            f"Memory is full{where} ({_of(worst)}) and the policy is noeviction: writes fail.",
            advice,
            "eviction",
        )
        return
    until = _seconds_until(worst, limit)
    soon = until is not None and until < SOON_SECONDS
    when = f", in about {span(until)} at the growth of the last minutes" if soon and until is not None else ""
    yield Finding(
        "critical" if fill >= NEARLY_FULL or soon else "warning",
        f"The policy is noeviction{where}: writes will fail when memory is full ({_of(worst)} now{when}).",
        advice,
        "eviction",
    )


def nothing_to_evict(picture: Picture) -> Iterator[Finding]:
    """volatile-*: "behave like noeviction if there are no keys to evict" (https://valkey.io/topics/lru-cache/)."""
    spans = [one for one in picture.fresh if one.policy.startswith("volatile-") and _few_expire(one)]
    if not spans:
        return
    worst = max(spans, key=_fill)
    share = 1 - (worst.latest.share_without_ttl or 0.0)
    has = "no key has" if share == 0 else f"only {percent(share)} of the keys have"
    then = "with nothing to evict, writes fail once memory is full"
    state = f" ({_of(worst)} now)" if worst.latest.fill is not None else ""
    yield Finding(
        "critical" if _fill(worst) >= NEARLY_FULL else "warning",
        f"The policy is {worst.policy}{picture.where(spans)} but {has} a TTL: {then}{state}.",
        "Give keys a TTL, or choose an allkeys-* policy.",
        "keys",
    )


def evictions(picture: Picture) -> Iterator[Finding]:
    recent = picture.recent
    evicted = recent.change.get("evicted_keys", 0.0) if recent else 0.0
    if recent is None or evicted <= 0:
        return
    spans = [one for one in picture.fresh if one.recent and one.recent.change.get("evicted_keys", 0.0) > 0]
    worst = max(spans, key=_fill)
    rate = recent.per_second("evicted_keys")
    amount = f"{count(rate)} evictions/s" if rate >= 1 else f"{count(evicted)} evictions in {window(recent)}"
    state = "memory is full" if _fill(worst) >= FULL else "memory was full in between"
    yield Finding(
        "warning",
        f"{amount}{picture.where(spans)}: {state} ({_of(worst)}, {worst.policy or 'policy unknown'}).",
        "Normal for a cache whose hit ratio holds. If it falls: raise maxmemory, or shorten TTLs.",
        "eviction",
    )


def filling(picture: Picture) -> Iterator[Finding]:
    """Memory that will be full soon, where the policy evicts (noeviction has a finding of its own)."""
    spans = [one for one in picture.fresh if one.policy != "noeviction" and _fill(one) < FULL]
    times = [(until, one) for one in spans if (until := _seconds_until(one, one.latest.get("maxmemory"))) is not None]
    if not times:
        return
    until, first = min(times, key=lambda pair: pair[0])
    if until < SOON_SECONDS:
        yield Finding(
            "warning",
            f"Memory is full in about {span(until)}{picture.where([first])} "
            f"at the growth of the last minutes ({_of(first)} now); "
            f"then keys are evicted ({first.policy or 'policy unknown'}).",
            "Nothing to do if this cache is meant to run full; else raise maxmemory or shorten TTLs.",
            "eviction",
        )


def never_expire(picture: Picture) -> Iterator[Finding]:
    whole = picture.whole
    share = whole.share_without_ttl if whole else None
    if whole is None or share is None or whole.get("keys") < ENOUGH_KEYS:
        return
    without = whole.get("keys") - whole.get("keys_with_ttl")
    if share < MANY_NEVER_EXPIRE:
        exact = f"{_capital(percent(share))} of the keys never expire" if without else "Every key has a TTL"
        yield Finding("ok", f"{exact} ({count(whole.get('keys'))} keys).")
        return
    evicts_them = all(one.policy.startswith("allkeys-") and one.latest.get("maxmemory") for one in picture.fresh)
    yield Finding(
        "info" if evicts_them else "warning",
        f"{_capital(percent(share))} of the keys never expire ({count(without)} of {count(whole.get('keys'))}).",
        "They go only when they are evicted." if evicts_them else "Nothing ever removes them: give them a TTL.",
        "keys",
    )


def fragmentation(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if _ratio(one) > FRAGMENTED and _excess(one) > ENOUGH_BYTES]
    if spans:
        worst = max(spans, key=_excess)
        yield Finding(
            "warning",
            f"{size(_excess(worst))} are lost to fragmentation{picture.where(spans)}: the process holds "
            f"{_ratio(worst):.1f} times what its data need.",
            "activedefrag yes gives it back while running, where the server was built with jemalloc.",
        )
    swapped = [
        one for one in picture.fresh if 0 < _ratio(one) < SWAPPED and one.latest.get("used_memory") > ENOUGH_BYTES
    ]
    if swapped:
        worst = max(swapped, key=lambda one: -_excess(one))
        yield Finding(
            "critical",
            f"{size(-_excess(worst))} of the data are not in memory{picture.where(swapped)}: "
            "the kernel has swapped them out, and each access waits for the disk.",
            "Free memory on that machine, or lower maxmemory.",
        )


def room_left(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if one.latest.fill is not None]
    evicted = picture.recent.change.get("evicted_keys", 0.0) if picture.recent else 0.0
    if not spans or len(spans) < len(picture.fresh) or evicted or picture.whole is None:
        return
    worst = max(spans, key=_fill)
    if _fill(worst) < NEARLY_FULL:
        most = f", the fullest primary {percent(_fill(worst))}" if len(spans) > 1 else ""
        yield Finding(
            "ok",
            f"Memory: {size(picture.whole.counted_memory)} of {size(picture.whole.get('maxmemory'))} "
            f"({percent(picture.whole.fill or 0.0)}{most}), nothing evicted lately.",
        )


CHECKS = (no_limit, writes_fail, nothing_to_evict, evictions, filling, never_expire, fragmentation, room_left)


def _fill(one: Span) -> float:
    return one.latest.fill or 0.0


def _of(one: Span) -> str:
    """'61 MB of 64 MB, 95 %'."""
    limit = one.latest.get("maxmemory")
    if not limit:
        return f"{size(one.latest.get('used_memory'))}, no limit"
    return f"{size(one.latest.counted_memory)} of {size(limit)}, {percent(_fill(one))}"


def _machine_share(one: Span) -> float:
    machine = one.latest.get("total_system_memory")
    return one.latest.get("used_memory_rss") / machine if machine else 0.0


def _seconds_until(one: Span, limit: float) -> float | None:
    """Until `limit` bytes are used, at the growth of the window; None where it does not grow noticeably."""
    if one.recent is None or one.recent.restarted or not limit or one.recent.seconds < 30:
        return None
    gained = one.recent.gained.get("used_memory", 0.0)
    if gained <= limit * NOTICEABLE_GROWTH:
        return None
    return max(limit - one.latest.counted_memory, 0.0) * one.recent.seconds / gained


def _few_expire(one: Span) -> bool:
    share = one.latest.share_without_ttl
    return share is not None and 1 - share < FEW_EXPIRE


def _ratio(one: Span) -> float:
    used = one.latest.get("used_memory")
    return one.latest.get("used_memory_rss") / used if used else 0.0


def _excess(one: Span) -> float:
    return one.latest.get("used_memory_rss") - one.latest.get("used_memory")


def _capital(words: str) -> str:
    """The same as the beginning of a sentence: 'under 0.1 %' needs a capital, '31 %' does not."""
    return words[:1].upper() + words[1:]
