"""Findings about what is evicted, what never can be, and what should have expired."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.eviction.unexpiring import of_picture
from dashboard.cache.findings.rule import INFO, LRU_CACHE, OWN, Rule
from dashboard.cache.statistics.fullness import FULL, NEARLY_FULL, fill, of_limit
from dashboard.cache.statistics.picture import Finding, Picture, Span, window
from dashboard.cache.wording import count, percent, span

# Below this share of expiring keys a volatile-* policy soon runs out of keys to evict.
FEW_EXPIRE = 0.1
# A cache's keys should expire: a quarter that never does is worth a look. Of fewer than 100 keys a share
# says nothing.
MANY_NEVER_EXPIRE = 0.25
ENOUGH_KEYS = 100
# What is evicted within a minute of its last use was hardly worth writing.
YOUNG_SECONDS = 60.0
# Above maxmemory for a tenth of the time: eviction does not keep up, or finds nothing to evict.
EXCEEDED_SHARE = 0.1
# active-expire-effort 1 is content with a tenth of expired keys in memory (valkey.conf).
STALE_SHARE = 10.0


def evictions(picture: Picture) -> Iterator[Finding]:
    recent = picture.recent
    evicted = recent.change.get("evicted_keys", 0.0) if recent else 0.0
    if recent is None or evicted <= 0:
        return
    spans = _evicting(picture)
    worst = max(spans, key=fill)
    rate = recent.per_second("evicted_keys")
    amount = f"{count(rate)} evictions/s" if rate >= 1 else f"{count(evicted)} evictions in {window(recent)}"
    state = "memory is full" if fill(worst) >= FULL else "memory was full in between"
    yield Finding(
        "warning",
        f"{amount}{picture.where(spans)}: {state} ({of_limit(worst)}, {worst.policy or 'policy unknown'}).",
        "Normal for a cache whose hit ratio holds. If it falls: raise maxmemory, or shorten TTLs.",
        "eviction",
    )


def young(picture: Picture) -> Iterator[Finding]:
    """Where keys were drawn, by how long those had been idle that are evicted now; else by how soon as many are evicted
    as there are."""
    spans = _evicting(picture)
    if not spans:
        return
    advice = "The cache is too small for what is asked of it: raise maxmemory, or keep less in it."
    drawn = [(one.latest.values["eviction_idle"], one) for one in spans if "eviction_idle" in one.latest.values]
    if drawn:
        age, youngest = min(drawn, key=lambda pair: pair[0])
        if age < YOUNG_SECONDS:
            yield Finding(
                "warning",
                f"Young keys are evicted{picture.where([youngest])}: half of them were used {span(age)} ago or less.",
                advice,
                "eviction",
            )
        return
    times = [(_turnover(one), one) for one in spans if _turnover(one)]
    if times and min(times, key=lambda pair: pair[0])[0] < YOUNG_SECONDS:
        seconds, worst = min(times, key=lambda pair: pair[0])
        yield Finding(
            "warning",
            f"Young keys are evicted{picture.where([worst])}: at this rate as many as there are go in {span(seconds)}.",
            advice,
            "eviction",
        )


def falls_behind(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if _exceeded(one) >= EXCEEDED_SHARE]
    if spans:
        worst = max(spans, key=_exceeded)
        yield Finding(
            "warning",
            f"Memory was above maxmemory for {percent(min(_exceeded(worst), 1.0))} of the time{picture.where(spans)}: "
            "eviction does not keep up, and holds commands up meanwhile.",
            "Look for large values and large buffers, and whether the policy finds keys that it may evict.",
            "eviction",
        )


def nothing_to_evict(picture: Picture) -> Iterator[Finding]:
    """volatile-*: "behave like noeviction if there are no keys to evict" (https://valkey.io/topics/lru-cache/)."""
    spans = [one for one in picture.fresh if one.policy.startswith("volatile-") and _few_expire(one)]
    if not spans:
        return
    worst = max(spans, key=fill)
    share = 1 - (worst.latest.share_without_ttl or 0.0)
    has = "no key has" if share == 0 else f"only {percent(share)} of the keys have"
    then = "with nothing to evict, writes fail once memory is full"
    state = f" ({of_limit(worst)} now)" if worst.latest.fill is not None else ""
    yield Finding(
        "critical" if fill(worst) >= NEARLY_FULL else "warning",
        f"The policy is {worst.policy}{picture.where(spans)} but {has} a TTL: {then}{state}.",
        "Give keys a TTL, or choose an allkeys-* policy.",
        "keys",
    )


def never_evicted(picture: Picture) -> Iterator[Finding]:
    """volatile-* that could evict something, and much that it never will."""
    spans = [one for one in picture.fresh if one.policy.startswith("volatile-") and not _few_expire(one)]
    without = of_picture(picture, picture.known.analysed)
    if not spans or without is None or without.share < MANY_NEVER_EXPIRE or _keys(picture) < ENOUGH_KEYS:
        return
    limit = sum(one.latest.get("maxmemory") for one in picture.fresh)
    fills = without.of == "memory" and 0 < NEARLY_FULL * limit <= without.amount
    yield Finding(
        "critical" if fills else "warning",
        f"{without.begins} no TTL and can never be evicted under {spans[0].policy}{picture.where(spans)}"
        + (": that fills maxmemory, and writes fail." if fills else "."),
        "Give these keys a TTL, keep them elsewhere, or choose an allkeys-* policy.",
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


def stale_keys(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if one.latest.get("expired_stale_perc") > STALE_SHARE]
    if spans:
        worst = max(one.latest.get("expired_stale_perc") for one in spans)
        yield Finding(
            "warning",
            f"About {percent(worst / 100)} of the keys with a TTL have expired and are still in memory"
            f"{picture.where(spans)}: more expire than the server finds.",
            "Raise active-expire-effort, or spread TTLs so that fewer keys expire together.",
            "eviction",
        )


RULES = (
    Rule("evicting", "eviction", "Keys are evicted.", "any", LRU_CACHE, evictions),
    Rule(
        "young-evictions",
        "eviction",
        "Keys are evicted soon after their last use.",
        f"half of them within {span(YOUNG_SECONDS)}, or as many as there are in {span(YOUNG_SECONDS)}",
        OWN,
        young,
    ),
    Rule(
        "eviction-behind",
        "eviction",
        "Memory is above maxmemory for long.",
        f"{percent(EXCEEDED_SHARE)} of the time (total_eviction_exceeded_time)",
        INFO,
        falls_behind,
    ),
    Rule(
        "nothing-to-evict",
        "eviction",
        "A volatile-* policy, and hardly a key with a TTL.",
        f"fewer than {percent(FEW_EXPIRE)} of the keys have one; critical from {percent(NEARLY_FULL)} of maxmemory on",
        LRU_CACHE,
        nothing_to_evict,
    ),
    Rule(
        "never-evicted",
        "eviction",
        "A volatile-* policy, and much that has no TTL.",
        f"{percent(MANY_NEVER_EXPIRE)} of memory by the last analysis, or of the keys; "
        f"critical where that is {percent(NEARLY_FULL)} of maxmemory",
        LRU_CACHE,
        never_evicted,
    ),
    Rule(
        "never-expire",
        "eviction",
        "Keys that never expire.",
        f"{percent(MANY_NEVER_EXPIRE)} of at least {ENOUGH_KEYS} keys",
        OWN,
        never_expire,
    ),
    Rule(
        "stale-keys",
        "eviction",
        "Many keys have expired and are still there.",
        f"more than {STALE_SHARE:g} % (expired_stale_perc)",
        "valkey.conf, active-expire-effort",
        stale_keys,
    ),
)


def _evicting(picture: Picture) -> list[Span]:
    return [one for one in picture.fresh if one.recent and one.recent.change.get("evicted_keys", 0.0) > 0]


def _turnover(one: Span) -> float:
    """Seconds in which as many keys are evicted as there are that may be; 0 where that is not known."""
    rate = one.recent.per_second("evicted_keys") if one.recent else 0.0
    fit = one.latest.get("keys_with_ttl" if one.policy.startswith("volatile-") else "keys")
    return fit / rate if rate else 0.0


def _exceeded(one: Span) -> float:
    """Share of the last minutes in which memory was above maxmemory."""
    if one.recent is None or one.recent.seconds <= 0:
        return 0.0
    return one.recent.change.get("total_eviction_exceeded_time", 0.0) / 1000 / one.recent.seconds


def _few_expire(one: Span) -> bool:
    share = one.latest.share_without_ttl
    return share is not None and 1 - share < FEW_EXPIRE


def _keys(picture: Picture) -> float:
    return picture.whole.get("keys") if picture.whole else 0.0


def _capital(words: str) -> str:
    """The same as the beginning of a sentence: 'under 0.1 %' needs a capital, '31 %' does not."""
    return words[:1].upper() + words[1:]
