"""What each eviction policy would mean for a cache, in one sentence with the cache's own numbers. Pure.

https://valkey.io/topics/lru-cache/ says how the policies work; how LFU counts stands in evict.c (LFULogIncr,
LFUDecrAndReturn): a counter falls by one every lfu-decay-time, so that a key that is used more rarely stays near zero.
"""

from __future__ import annotations

from dashboard.cache.findings.eviction import MANY_NEVER_EXPIRE
from dashboard.cache.findings.memory import SOON_SECONDS
from dashboard.cache.statistics.fullness import NEARLY_FULL
from dashboard.cache.statistics.growth import seconds_until
from dashboard.cache.statistics.picture import Picture, window
from dashboard.cache.tuning.evidence import Evidence, Remark, unexpiring
from dashboard.cache.tuning.policies import policy_of
from dashboard.cache.wording import count, percent, span

ENOUGH_READS = 100
"""Of fewer reads a hit ratio says nothing."""
LFU_MINUTE = 60.0
"""lfu-decay-time is 1 (minute) where nobody has changed it."""
OLDEST_SHARE = 0.1


def judged(policy: str, seen: Evidence) -> Remark:
    """What a policy means for this cache, in one sentence with its own numbers."""
    picture = seen.picture
    if picture.whole is None or picture.stale:
        return Remark("info", "No fresh samples: what it would mean here cannot be told.")
    known = policy_of(policy)
    if not picture.whole.get("maxmemory"):
        return _without_limit(picture, policy)
    if not known.evicts:
        return _noeviction(picture)
    if known.only_with_ttl:
        return _volatile(policy, seen)
    return _allkeys(policy, seen)


def _without_limit(picture: Picture, policy: str) -> Remark:
    free = [one for one in picture.fresh if not one.latest.get("maxmemory")]
    where = picture.where(free)
    if policy == "noeviction":
        return Remark(
            "warning", f"No maxmemory is set{where}: no write fails, and memory grows until the machine has no more."
        )
    return Remark("info", f"No maxmemory is set{where}: no policy evicts anything before there is one.")


def _noeviction(picture: Picture) -> Remark:
    spans = [one for one in picture.fresh if one.latest.fill is not None]
    fullest = max(spans, key=lambda one: one.latest.fill or 0.0)
    fill = fullest.latest.fill or 0.0
    evicted = picture.recent.per_second("evicted_keys") if picture.recent else 0.0
    if evicted > 0:
        return Remark(
            "critical", f"{count(evicted)} keys/s are evicted now: with nothing evicted, writes fail within seconds."
        )
    if fill >= 1:
        return Remark("critical", f"Memory is full{picture.where([fullest])}: writes fail.")
    times = [(until, one) for one in spans if (until := seconds_until(one, one.latest.get("maxmemory"))) is not None]
    if times:
        until, first = min(times, key=lambda pair: pair[0])
        level = "critical" if until < SOON_SECONDS or fill >= NEARLY_FULL else "warning"
        return Remark(
            "critical" if level == "critical" else "warning",
            f"Writes will fail in about {span(until)}{picture.where([first])}, at the growth of the last minutes.",
        )
    return Remark(
        "critical" if fill >= NEARLY_FULL else "warning",
        f"Writes will fail when memory is full; {percent(fill)} of it is used now{picture.where([fullest])}.",
    )


def _volatile(policy: str, seen: Evidence) -> Remark:
    without = unexpiring(seen)
    if without is None:
        return Remark("info", "There are no keys yet; those without TTL will never be evicted.")
    if without.share == 1:
        return Remark("critical", "No key has a TTL: nothing can be evicted, and writes fail when memory is full.")
    if without.share == 0:
        return Remark("ok", f"Every key has a TTL, so all can be evicted{_as_allkeys(policy, seen)}.")
    level = "warning" if without.share >= MANY_NEVER_EXPIRE else "info"
    sentence = f"{without.begins} no TTL and would never be evicted."
    limit = seen.picture.whole.get("maxmemory") if seen.picture.whole else 0.0
    if without.of == "memory" and limit and without.amount >= NEARLY_FULL * limit:
        return Remark("critical", f"{sentence[:-1]}: that fills maxmemory, and writes fail.")
    return Remark("warning" if level == "warning" else "info", sentence)


def _as_allkeys(policy: str, seen: Evidence) -> str:
    if policy == "volatile-ttl" and seen.picture.whole is not None:
        mean = seen.picture.whole.get("avg_ttl_ms") / 1000
        return f"; they have {span(mean)} left on average, and those with least go first" if mean else ""
    return f", as under {policy.replace('volatile-', 'allkeys-')}"


def _allkeys(policy: str, seen: Evidence) -> Remark:
    kind = policy.removeprefix("allkeys-")
    about = {"lru": _lru, "lfu": _lfu, "random": _random, "lrm": _lrm}.get(kind)
    if about is None:
        return Remark("info", "What it would mean here cannot be told.")
    found = about(seen)
    without = unexpiring(seen)
    if without is None or not without.share:
        return found
    may_go = "No key has a TTL, and any may be evicted."
    if without.share < 1:
        may_go = f"{without.begins} no TTL and may be evicted too."
    return Remark(found.level, f"{may_go} {found.sentence}")


def _lru(seen: Evidence) -> Remark:
    idle = _oldest(seen)
    if idle:
        return Remark("ok", f"What goes first has been idle for {idle}.")
    return Remark("ok", f"What was not used for longest goes first{_hits(seen.picture)}.")


def _oldest(seen: Evidence) -> str:
    """How long the tenth of the keys that is idle longest has been so at least; "" where no analysis tells it."""
    activity = seen.report.activity if seen.report else None
    if activity is None or activity.kind != "idle":
        return ""
    total = sum(group.keys.value for group in activity.groups)
    reached = 0.0
    for group in reversed(activity.groups):
        reached += group.keys.value
        if total and reached >= OLDEST_SHARE * total:
            return f"{group.name} or longer (a tenth of the keys, by the last analysis)"
    return ""


def _lfu(seen: Evidence) -> Remark:
    """How often a key is read on average, beside how soon its counter falls."""
    picture = seen.picture
    recent, keys = picture.recent, picture.whole.get("keys") if picture.whole else 0.0
    reads = recent.reads / recent.seconds if recent is not None and recent.seconds > 0 else 0.0
    if recent is None or recent.reads < ENOUGH_READS or not keys:
        return Remark("info", "Too few reads lately to say how well counting them would tell keys apart.")
    between = keys / reads
    if between <= LFU_MINUTE:
        return Remark("ok", f"A key is read every {span(between)} on average: enough for counters to tell keys apart.")
    return Remark(
        "info",
        f"A key is read every {span(between)} on average, and counters fall by one each lfu-decay-time (1 min if "
        "unchanged): only keys that are used more often are told apart.",
    )


def _random(seen: Evidence) -> Remark:
    ratio = _ratio(seen.picture)
    if ratio is None:
        return Remark("info", "Hot keys go as soon as cold ones.")
    return Remark(
        "warning",
        f"Hot keys go as soon as cold ones: expect fewer hits than the {percent(ratio)} of now, "
        "unless all keys are used alike.",
    )


def _lrm(seen: Evidence) -> Remark:
    recent = seen.picture.recent
    if recent is None or recent.reads < ENOUGH_READS:
        return Remark("info", "Being read does not keep a key.")
    rate = recent.reads / recent.seconds
    return Remark("warning", f"Being read does not keep a key, and there are {count(rate)} reads/s.")


def _hits(picture: Picture) -> str:
    ratio = _ratio(picture)
    if ratio is None or picture.recent is None:
        return ""
    return f"; the hit ratio is {percent(ratio)} over the last {window(picture.recent)}"


def _ratio(picture: Picture) -> float | None:
    recent = picture.recent
    return recent.hit_ratio if recent is not None and recent.reads >= ENOUGH_READS else None
