"""Searching a million keys, against the bare redis-py calls that it is made of."""

from __future__ import annotations

import time

import redis

from dashboard.cache.reading.search import PAGE, Step, search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from tests.benchmarks.measure import Result, seconds, server_microseconds


def fill(client: redis.Redis, count: int) -> None:
    """`count` keys in a few namespaces, two thirds of them with a TTL."""
    kinds = (b"api:user:%d", b"api:user:%d:posts", b"api:product:%d", b"api:search:q=%d&page=1", b"sess:%d")
    pipe = client.pipeline(transaction=False)
    for number in range(count):
        ttl = None if number % 3 == 0 else 3600 + number % 86400
        pipe.set(kinds[number % len(kinds)] % number, b"x" * (20 + number % 180), ex=ttl)
        if number % 10_000 == 9_999:
            pipe.execute()
    pipe.execute()


def run(cache: Cache, client: redis.Redis) -> list[Result]:
    return [
        _first_page(cache, client, b"*"),
        _first_page(cache, client, b"api:user:*"),
        *_nothing_found(cache, client),
    ]


def _first_page(cache: Cache, client: redis.Redis, pattern: bytes) -> Result:
    ours = server_microseconds(client, lambda: search(cache, Selection(pattern)))
    bare = server_microseconds(client, lambda: _bare_page(client, pattern))
    wall = seconds(lambda: search(cache, Selection(pattern))) / seconds(lambda: _bare_page(client, pattern))
    return Result(
        f"first page for `{pattern.decode()}`: server time / that of the bare calls",
        f"{ours / bare:.2f} ({ours:.0f} / {bare:.0f} µs; wall time {wall:.2f})",
        "≤ 3",
        ours / bare <= 3,
    )


def _bare_page(client: redis.Redis, pattern: bytes) -> None:
    """What a page of 100 rows takes at the least: SCAN until there are 100, and their columns in one pipeline."""
    found: list[bytes] = []
    cursor = 0
    while len(found) < PAGE:
        cursor, keys = client.scan(cursor, match=pattern, count=PAGE)
        found += keys
        if cursor == 0:
            break
    pipe = client.pipeline(transaction=False)
    for key in found[:PAGE]:
        pipe.type(key)
        pipe.pttl(key)
        pipe.memory_usage(key)
        pipe.object("idletime", key)
    pipe.execute()


def _nothing_found(cache: Cache, client: redis.Redis) -> list[Result]:
    selection = Selection(b"nobody:has:this:*")
    total = client.dbsize()
    ours = total / seconds(lambda: _search_to_the_end(cache, selection), rounds=5)
    results = []
    for label, pattern in (("`SCAN COUNT 1000` loop", None), ("the same with MATCH", selection.pattern)):
        bare = total / seconds(lambda pattern=pattern: _bare_scan(client, pattern), rounds=5)  # type: ignore[misc]
        results.append(
            Result(
                f"search that matches nothing: rate / a bare {label}",
                f"{ours / bare:.2f} ({ours / 1e6:.2f} / {bare / 1e6:.2f} M keys/s)",
                "≥ 0.6" if pattern is None else "",
                ours / bare >= 0.6 if pattern is None else None,
            )
        )
    return [*results, _foreground(cache, client, selection)]


def _search_to_the_end(cache: Cache, selection: Selection) -> None:
    step: Step | None = None
    while step is None or not step.ended:
        step = search(cache, selection, step.state if step else None)
    assert step.complete
    assert step.found == 0


def _bare_scan(client: redis.Redis, pattern: bytes | None) -> None:
    cursor = None
    while cursor != 0:
        cursor, _ = client.scan(cursor or 0, match=pattern, count=1000)


def _foreground(cache: Cache, client: redis.Redis, selection: Selection) -> Result:
    """What a neighbour notices: how long each SCAN of the search held the server (SLOWLOG, µs)."""
    client.config_set("slowlog-log-slower-than", 0)
    client.config_set("slowlog-max-len", 10_000)
    client.slowlog_reset()
    _search_to_the_end(cache, selection)
    entries = sorted(one["duration"] for one in client.slowlog_get(10_000) if one["command"].startswith(b"SCAN"))
    client.config_set("slowlog-log-slower-than", 10_000)
    ranks = (entries[len(entries) // 2], entries[len(entries) * 95 // 100], entries[-1])
    return Result(
        f"its {len(entries)} SCAN calls, server time of one: median / p95 / longest (budget 1 ms)",
        " / ".join(f"{one:,}" for one in ranks) + " µs",
    )


def settle() -> None:
    """Let a server that was just filled finish what it still does for itself (rehashing)."""
    time.sleep(2)
