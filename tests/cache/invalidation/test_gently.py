"""Gently: keys expire evenly over the window, whatever TTL they had, and none lives longer than it would have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
import redis

from dashboard.cache.invalidation.acting import BY_COMMANDS, BY_SCRIPT
from dashboard.cache.invalidation.mode import Gently
from dashboard.cache.invalidation.run import Options
from dashboard.cache.invalidation.task import Task
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from tests.cache.invalidating import Memory, done, now_ms
from tests.servers import Server

MANY = 4000
WINDOW = 86_400.0  # seconds: hardly any key expires while the test looks
PARTS = 20
UNLIKELY = 70.0
"""Chi-square of 19 degrees of freedom exceeds this once in three million times."""
# Calls of few keys: each begins its own row of random numbers, and the rows must not be alike.
STEPS = Options(Budget(share=1.0, first_count=20, hold_ms=0.5), every=0.0)


@pytest.fixture
def client(valkey: Server) -> Iterator[redis.Redis]:
    with valkey.client() as found:
        yield found
        found.execute_command("ACL", "SETUSER", "default", "+@all")


@pytest.fixture
def cache(valkey: Server, client: redis.Redis) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={valkey.url}"))) as found:
        yield found


@pytest.fixture(params=[BY_SCRIPT, BY_COMMANDS])
def way(request: pytest.FixtureRequest, client: redis.Redis) -> str:
    if request.param == BY_COMMANDS:
        client.execute_command("ACL", "SETUSER", "default", "-@scripting")
    return str(request.param)


def _fill(client: redis.Redis, ttls_ms: Sequence[int]) -> None:
    pipe = client.pipeline(transaction=False)
    for number, ttl in enumerate(ttls_ms):
        pipe.set(f"k:{number}", "v", px=ttl if ttl > 0 else None)
    pipe.execute()


def _expiries(client: redis.Redis) -> list[int]:
    pipe = client.pipeline(transaction=False)
    for number in range(MANY):
        pipe.pexpiretime(f"k:{number}")
    return list(pipe.execute())


def _chi_square(counts: Sequence[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


def _histogram(moments: Sequence[int], begun: int) -> list[int]:
    counts = [0] * PARTS
    for moment in moments:
        counts[min(int((moment - begun) * PARTS / (WINDOW * 1000)), PARTS - 1)] += 1
    return counts


@pytest.mark.parametrize("ttl_ms", [0, 7 * 86_400_000], ids=["without TTL", "with long TTLs"])
@pytest.mark.parametrize("vault", [True, False])
def test_keys_expire_evenly_over_the_window(
    client: redis.Redis, cache: Cache, way: str, ttl_ms: int, vault: bool
) -> None:
    _fill(client, [ttl_ms] * MANY)
    begun = now_ms()
    last = done(cache, Task(Selection(b"k:*"), Gently(WINDOW), vault), Memory(), STEPS)
    ended = now_ms()
    moments = [begun if moment == -2 else moment for moment in _expiries(client)]
    assert (last.counts.lowered, last.counts.unchanged, last.method) == (MANY, 0, way)
    assert begun <= min(moments) <= max(moments) <= ended + WINDOW * 1000
    assert _chi_square(_histogram(moments, begun)) < UNLIKELY
    assert _chi_square(last.expiry) < 150  # 59 degrees of freedom, one in a thousand million
    assert (sum(last.expiry), last.expiry_seconds) == (MANY, WINDOW)


def test_no_ttl_is_raised_and_those_that_are_short_enough_stay(client: redis.Redis, cache: Cache, way: str) -> None:
    _fill(client, [(number + 1) * 43_200 for number in range(MANY)])  # evenly up to twice the window
    before = _expiries(client)
    last = done(cache, Task(Selection(b"k:*"), Gently(WINDOW)), Memory(), STEPS)
    after = _expiries(client)
    kept = [(was, now) for was, now in zip(before, after, strict=True) if now != -2]
    assert len(kept) > MANY - 20
    assert all(now <= was for was, now in kept)
    assert last.counts.lowered + last.counts.unchanged == MANY
    assert abs(sum(now < was for was, now in kept) - last.counts.lowered) <= 20
    # Of those with a TTL t within the window w, the part 1 - t / w stays as it is: a half of them, a quarter of all.
    assert abs(last.counts.unchanged - MANY / 4) < MANY / 20


def test_what_was_drawn_is_not_drawn_alike_for_all_batches(client: redis.Redis, cache: Cache, way: str) -> None:
    _fill(client, [0] * MANY)
    done(cache, Task(Selection(b"k:*"), Gently(WINDOW)), Memory(), STEPS)
    pipe = client.pipeline(transaction=False)
    for number in range(MANY):
        pipe.pttl(f"k:{number}")
    ttls = [round(ttl, -2) for ttl in pipe.execute()]
    assert len(set(ttls)) > MANY * 9 // 10
