"""An interval that is stated with 95 % holds the truth, on keyspaces of many kinds and early in the walk."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest
from redis.crc import key_slot

from dashboard.cache.analysis import run as analysis
from dashboard.cache.analysis.report import NamespaceRow, Report, Snapshot
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.estimate import NOTHING, Estimate, Usual, bytes_from_sample, student
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from tests.servers import running, start_cluster

SHARES = (0.05, 0.2)
KEYSPACES = 100
LUMPY_KEYSPACES = 20
# Batches of ten keys: a call never keeps within so short a time. And a snapshot after every one of them.
SMALL = Options(Budget(share=1.0, hold_ms=0.000_1), every=0)

FILL = """
local n, names, skew, mean = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local sigma, without, hashes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local random, value = math.random, string.rep('x', 200000)
math.randomseed(tonumber(ARGV[1]))
local function normal() return math.sqrt(-2 * math.log(1 - random())) * math.cos(2 * math.pi * random()) end
local sums, total = {}, 0
for i = 1, names do
  total = total + i ^ -skew
  sums[i] = total
end
local ttls = {30, 200, 600, 2000, 10000, 50000, 300000, 1000000, 5000000}
for i = 1, n do
  local draw, ns = random() * total, 1
  while sums[ns] < draw do ns = ns + 1 end
  local key = 'ns' .. string.char(96 + ns) .. ':' .. i
  local size = math.min(math.floor(math.exp(mean + ns % 3 * 0.5 + sigma * normal())), 200000)
  local some = string.sub(value, 1, size)
  if random() < hashes then redis.call('HSET', key, 'f', some) else redis.call('SET', key, some) end
  if random() > without * (ns % 2 + 0.5) then redis.call('EXPIRE', key, ttls[random(1, 1 + ns % 9)]) end
end
"""
SET = "for i = 1, #ARGV do redis.call('SET', ARGV[i], 'v') end"


@pytest.fixture(autouse=True)
def every_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "SNAPSHOT_SHARE", 1e9)


def _early(cache: Cache) -> list[Snapshot]:
    """The first snapshot past each share; the walk is left there."""
    found: list[Snapshot] = []
    walking = analyze(cache, Selection(), SMALL)
    for snapshot in walking:
        while len(found) < len(SHARES) and snapshot.progress.share >= SHARES[len(found)]:
            found.append(snapshot)
        if len(found) == len(SHARES):
            break
    walking.close()  # type: ignore[attr-defined]
    assert [snapshot.progress.ended for snapshot in found] == [False] * len(SHARES)
    return found


def _pairs(early: Report, truth: Report) -> Iterator[tuple[str, Estimate | None, Estimate | None]]:
    """(what, its estimate, the truth) of every figure that is told of both."""
    yield "memory", early.memory, truth.memory
    yield "without TTL", early.without_ttl, truth.without_ttl
    yield "bytes without TTL", early.without_ttl_memory, truth.without_ttl_memory
    for mine, theirs in zip(early.ttl, truth.ttl, strict=True):
        yield "TTL buckets", mine.keys, theirs.keys
        yield "bytes of TTL buckets", mine.memory, theirs.memory
    kinds = {group.name: group for group in early.types}
    for group in truth.types:
        if group.name in kinds:
            yield "types", kinds[group.name].keys, group.keys
            yield "bytes of types", kinds[group.name].memory, group.memory
    rows = {row.name: row for row in early.namespaces}
    for row in truth.namespaces:
        if row.name in rows:
            yield from _of_row(rows[row.name], row)


def _of_row(mine: NamespaceRow, theirs: NamespaceRow) -> Iterator[tuple[str, Estimate | None, Estimate | None]]:
    yield "keys of namespaces", mine.keys, theirs.keys
    yield "bytes of namespaces", mine.memory, theirs.memory
    yield "without TTL of namespaces", mine.without_ttl, theirs.without_ttl
    yield "bytes without TTL of namespaces", mine.without_ttl_memory, theirs.without_ttl_memory


def _holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low - 1e-6 <= truth <= estimate.high + 1e-6


def test_intervals_hold_the_truth_on_random_keyspaces() -> None:
    """The servers' hash has a fixed seed, and so have the keyspaces: what is counted here is the same every time."""
    held: dict[tuple[str, float], list[bool]] = defaultdict(list)
    with (
        running("--hash-seed", "cachedeck") as server,
        server.client() as client,
        closing(Cache(parse_target(f"shop={server.url}"))) as cache,
    ):
        for seed in range(KEYSPACES):
            draw = random.Random(seed)
            shape = (draw.randrange(1200, 2600), draw.randrange(2, 20), draw.uniform(0, 2), draw.uniform(3, 6))
            rest = (draw.uniform(0.2, 1.6), draw.uniform(0, 1), draw.choice((0, 0, 0.1, 0.4)))
            client.flushall()
            client.execute_command("EVAL", FILL, 0, seed, *shape, *rest)
            early = _early(cache)
            *_, last = analyze(cache, Selection(), Options(Budget(share=1.0), every=10))
            assert last.progress.complete
            for share, snapshot in zip(SHARES, early, strict=True):
                for what, estimate, truth in _pairs(snapshot.report, last.report):
                    assert estimate is not None
                    assert truth is not None
                    assert truth.exact
                    held[what, share].append(_holds(estimate, truth.value))
    coverage = {place: sum(found) / len(found) for place, found in held.items()}
    assert len(coverage) == 11 * len(SHARES)
    assert {place: share for place, share in coverage.items() if share < 0.9} == {}


def test_intervals_hold_the_truth_where_hash_tags_make_lumps() -> None:
    held: dict[float, list[bool]] = defaultdict(list)
    effects: dict[float, list[float]] = defaultdict(list)
    cluster = start_cluster(3, "--hash-seed", "cachedeck")
    clients = [server.client() for server in cluster.servers]
    try:
        with closing(Cache(parse_target(f"shop={cluster.url}"))) as cache:
            for seed in range(LUMPY_KEYSPACES):
                draw = random.Random(seed)
                cluster.flush()
                truth = _fill_with_lumps(clients, draw, lump=draw.choice((5, 10, 20)))
                for share, snapshot in zip(SHARES, _early(cache), strict=True):
                    effects[share].append(snapshot.report.effect)
                    held[share] += [_holds(row.keys, truth[row.name]) for row in snapshot.report.namespaces]
    finally:
        for client in clients:
            client.close()
        cluster.stop()
    for share in SHARES:
        assert sum(held[share]) / len(held[share]) >= 0.85, (share, sum(held[share]) / len(held[share]))
        assert min(effects[share]) > 2


def _fill_with_lumps(clients: list, draw: random.Random, lump: int) -> Counter[str]:  # type: ignore[type-arg]
    """Six namespaces of tagged keys, all of one tag in one slot. Keys by namespace."""
    truth: Counter[str] = Counter()
    groups: dict[int, list[bytes]] = defaultdict(list)
    for letter in "abcdef":
        for tag in range(draw.randrange(60, 150)):
            slot = key_slot(b"{%s%d}" % (letter.encode(), tag))
            keys = [b"%s:{%s%d}:%d" % (letter.encode() * 3, letter.encode(), tag, n) for n in range(2 * lump)]
            keys = keys[: draw.randrange(1, 2 * lump)]
            groups[slot * len(clients) // 16384] += keys
            truth[f"{letter * 3}:{{{letter}*}}:*"] += len(keys)
    for number, client in enumerate(clients):
        client.execute_command("EVAL", SET, 0, *groups[number])
    return truth


def test_keys_without_hash_tags_have_no_lumps_to_speak_of() -> None:
    cluster = start_cluster(3, "--hash-seed", "cachedeck")
    try:
        with closing(Cache(parse_target(f"shop={cluster.url}"))) as cache, closing(cluster.client()) as client:
            pipe = client.pipeline()  # type: ignore[no-untyped-call]
            for number in range(6000):
                pipe.set(f"ns{'abc'[number % 3]}:{number}", "v")
            pipe.execute()
            _, later = _early(cache)
    finally:
        cluster.stop()
    assert later.report.effect < 4
    rows = {row.name: row.keys for row in later.report.namespaces}
    assert set(rows) == {"nsa:*", "nsb:*", "nsc:*"}
    assert all(_holds(keys, 2000) for keys in rows.values())


# --- the estimator by itself ---------------------------------------------------------------------------------

USUAL = Usual(100.0, 1.0)


def test_bytes_of_all_keys_are_exact_and_of_none_there_is_no_saying() -> None:
    assert bytes_from_sample(3, 70, 2000, 10, 10, USUAL) == (70, 70, 70)
    assert bytes_from_sample(0, 0, 0, 0, 50, USUAL) == (0, 0, 5000)
    assert bytes_from_sample(0, 0, 0, 0, 0, USUAL) == NOTHING


def test_bytes_without_a_hit_may_be_those_of_keys_without_a_hit() -> None:
    found = bytes_from_sample(0, 0, 0, 1000, 100_000, USUAL)
    assert (found.value, found.low) == (0, 0)
    assert found.high > 300 * 100  # three of a thousand at the most, of usual size


@pytest.mark.parametrize("hits", [1, 3, 30, 300])
def test_bytes_are_scaled_up_within_an_interval_that_contains_what_was_seen(hits: int) -> None:
    found = bytes_from_sample(hits, hits * 50, hits * 3000, 1000, 10_000, USUAL)
    assert found.value == pytest.approx(hits * 500)
    assert hits * 50 <= found.low < found.value < found.high < math.inf
    wider = bytes_from_sample(hits, hits * 50, hits * 3000, 1000, 10_000, USUAL, effect=4.0)
    assert wider.low <= found.low
    assert wider.high > found.high


def test_few_blocks_are_less_sure_than_many() -> None:
    for freedom, quantile in ((3, 3.182), (7, 2.365), (15, 2.131), (100, 1.984)):
        assert student(freedom) == pytest.approx(quantile, rel=0.03)
