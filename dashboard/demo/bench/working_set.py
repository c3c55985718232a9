"""The scenario whose working set is three times as large as the cache may be."""

from __future__ import annotations

import math
from collections.abc import Callable

from dashboard.demo.bench.stage import Stage
from dashboard.demo.caching.ttl import TTL_SECONDS
from dashboard.demo.visitors.traffic import ShopSize, Traffic

FACTOR = 3.0
SKEW = 0.6  # asked for more evenly than usual: a larger share of the rows is asked for again before its TTL ends
SAMPLE_ROWS = 150  # of users and of products, by which an entry is measured
QUIET_SECONDS = 2.0
FULL = 0.95  # of maxmemory
# Shares of the reads, see mix.READS: profile, posts, product, price.
ASKED = {"profile": 0.28, "posts": 0.20, "product": 0.25, "price": 0.10}


def entries_alive(rows: int, skew: float, per_second: float, ttl: float) -> float:
    """How many of `rows` entries would lie in a cache that never evicts: those asked for within their TTL, on average.

    For independent requests of which `per_second` go to these rows by Zipf's law; the working set of Denning ("The
    working set model for program behavior", CACM 11, 1968) with the TTL for its window.
    """
    weights = [rank**-skew for rank in range(1, rows + 1)]
    asked = per_second * ttl / sum(weights)
    return rows + math.fsum(-math.exp(-asked * weight) for weight in weights)


def working_set(traffic: Traffic, scale: float, entry_bytes: float) -> float:
    """Bytes, at an average of `entry_bytes` for one entry, with TTLs times `scale`. Searches are left out."""
    alive = 0.0
    for ttl_class, share in ASKED.items():
        rows = traffic.users if ttl_class in ("profile", "posts") else traffic.products
        per_second = share * traffic.rate * (1 - traffic.write_share)
        alive += entries_alive(rows, traffic.skew, per_second, TTL_SECONDS[ttl_class] * scale)
    return alive * entry_bytes


def share_of_rows(wanted: float, bytes_with: Callable[[float], float]) -> float:
    """Which share of the shop's rows to ask for, so that the working set has `wanted` bytes; at most 1."""
    low, high = 0.0, 1.0
    if bytes_with(high) <= wanted:
        return high
    # 8 halvings: within 1/256 of the rows, and each takes a walk over all of them.
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if bytes_with(middle) <= wanted else (low, middle)
    return high


def of_rows(share: float, size: ShopSize) -> dict[str, int]:
    return {"users": max(1, round(share * size.users)), "products": max(1, round(share * size.products))}


def play_working_set(stage: Stage) -> None:
    """Measure an entry, choose the rows, fill the cache."""
    cache, size = stage.cache(), stage.driver.size
    if cache is None or not cache.maxmemory:
        stage.say("The cache has no maxmemory, so no working set is too large for it: nothing was changed.")
        return
    entry = _entry_bytes(stage)
    scale = float(stage.knobs()["ttl_scale"])
    traffic = stage.driver.traffic

    def bytes_with(share: float) -> float:
        return working_set(traffic.turned({**of_rows(share, size), "skew": SKEW}, size), scale, entry)

    share = share_of_rows(FACTOR * cache.maxmemory, bytes_with)
    times = bytes_with(share) / cache.maxmemory
    stage.drive(**of_rows(share, size), skew=SKEW)
    rows = of_rows(share, size)
    said = (
        f"{rows['users']:,} users and {rows['products']:,} products are asked for. With entries of {entry:,.0f} bytes, "
        f"as measured, and at this rate, {times:.1f} times maxmemory would lie in the cache if it had room"
    )
    stage.say(f"{said}." if share < 1 else f"{said}: the shop has no more rows.")
    stage.warm(rows["users"], rows["products"], until=lambda: _is_full(stage))


def _entry_bytes(stage: Stage) -> float:
    """What an entry takes, on average, by what the cache's memory grows. The visitors wait for so long."""
    stage.driver.pause()
    try:
        stage.driver.is_quiet(QUIET_SECONDS)
        stage.remove()
        before = stage.cache()
        entries = stage.warm(min(SAMPLE_ROWS, stage.driver.size.users), min(SAMPLE_ROWS, stage.driver.size.products))
        after = stage.cache()
    finally:
        stage.driver.resume()
    grown = after.used - before.used if before and after else 0
    # Others' keys may be evicted meanwhile, and then the memory says nothing.
    return max(grown / entries, 200.0) if entries else 200.0


def _is_full(stage: Stage) -> bool:
    cache = stage.cache()
    return cache is None or cache.used >= FULL * cache.maxmemory
