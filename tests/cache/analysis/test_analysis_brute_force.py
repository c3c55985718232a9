"""Every total and bucket of an analysis equals a straightforward count on the same data, whatever the data."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.cache.analysis import design
from dashboard.cache.analysis.report import Report
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.analysis.slots import TTL_BOUNDS, TTL_LABELS
from dashboard.cache.selecting.fold import LONGEST_LOOKED_AT, namespace_of
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from tests.servers import Server

# The middle of each TTL bucket from 1 min on, so that no key changes its bucket while it is looked at.
TTLS = (-1, 150, 600, 2000, 9000, 50_000, 300_000, 1_000_000, 5_000_000)
RULES = (Rule(b"sess:*", 900, 1800), Rule(b"*user*", 100, 4000), Rule(b"api:1*", 60, 700_000), Rule(b"*", 1, 10**7))

parts = st.sampled_from(
    [b"api", b"user", b"sess", b"42", b"9f3a", b"q=tea", b"page7", b"v2", b"", b"\x00\xff", b"x y", b"11111"]
)
names = st.builds(b":".join, st.lists(parts, min_size=1, max_size=4))
numbered = st.builds(lambda name, number: b"%b:%d" % (name, number), names, st.integers(0, 500))
keys = st.one_of(numbered, names, st.binary(min_size=1, max_size=40), st.just(b"long:" + b"n" * 700))


@dataclass(frozen=True)
class Entry:
    """One key as it is made."""

    key: bytes
    kind: str
    members: int
    size: int
    ttl: int


entries = st.builds(
    Entry,
    keys,
    st.sampled_from(["string"] * 6 + ["hash", "list", "set", "zset", "stream"]),
    st.integers(1, 12),
    st.sampled_from([0, 1, 30, 200, 5000]),
    st.sampled_from(TTLS),
)
keyspaces = st.lists(entries, max_size=60, unique_by=lambda entry: entry.key)


def _make(client: redis.Redis, keyspace: list[Entry]) -> None:
    client.flushall()
    pipe: Any = client.pipeline(transaction=False)
    for entry in keyspace:
        value = b"v" * entry.size
        if entry.kind == "string":
            pipe.set(entry.key, value)
        elif entry.kind == "hash":
            pipe.hset(entry.key, mapping={f"f{n}": value for n in range(entry.members)})
        elif entry.kind == "list":
            pipe.rpush(entry.key, *[value] * entry.members)
        elif entry.kind == "set":
            pipe.sadd(entry.key, *(b"%d" % n + value for n in range(entry.members)))
        elif entry.kind == "zset":
            pipe.zadd(entry.key, {b"%d" % n + value: n for n in range(entry.members)})
        else:
            for _ in range(entry.members):
                pipe.xadd(entry.key, {"f": value})
        if entry.ttl > 0:
            pipe.expire(entry.key, entry.ttl)
    pipe.execute()


@dataclass
class Counted:
    """The same figures, counted key by key."""

    keys: Counter[str] = field(default_factory=Counter)
    memory: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    ttl: Counter[str] = field(default_factory=Counter)
    ttl_memory: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    type_memory: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    places: Counter[tuple[bytes, str]] = field(default_factory=Counter)
    sizes: list[tuple[int, str]] = field(default_factory=list)


LENGTHS = {"hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN"}


def _count(client: redis.Redis) -> Counted:
    found = Counted()
    for key in client.scan_iter(count=1000):
        kind, memory = client.type(key).decode(), client.memory_usage(key)
        pttl, name = client.pttl(key), printable(namespace_of(key, b":"))
        found.keys[name] += 1
        found.memory[name] += memory
        found.types[kind] += 1
        found.type_memory[kind] += memory
        found.encodings[f"{kind} {client.object('ENCODING', key).decode()}"] += 1
        found.sizes.append((memory, printable(key)))
        if pttl == -1:
            found.without[name] += 1
        else:
            bucket = next((i for i, bound in enumerate(TTL_BOUNDS) if pttl / 1000 < bound), len(TTL_BOUNDS))
            found.ttl[TTL_LABELS[bucket]] += 1
            found.ttl_memory[TTL_LABELS[bucket]] += memory
        found.odd["long name"] += len(key) > design.LONG_NAME
        found.odd["one element"] += kind in LENGTHS and client.execute_command(LENGTHS[kind], key) == 1
        for rule in RULES:
            if len(key) <= LONGEST_LOOKED_AT and rule.covers(key):
                found.places[rule.pattern, rule.place(pttl)] += 1
    return found


def _cache(server: Server, scripts: bool) -> Cache:
    """The server as everybody sees it, or as somebody who may run no scripts."""
    if scripts:
        return Cache(parse_target(f"shop={server.url}"))
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "&*", "+@all", "-eval", "-eval_ro")
    return Cache(parse_target(f"shop=redis://plain:pw@127.0.0.1:{server.port}"))


def _analysed(cache: Cache) -> Report:
    # The batch is small, so that also small keyspaces take several.
    options = Options(Budget(share=1.0, hold_ms=0.02), rules=RULES, every=0)
    last = list(analyze(cache, Selection(), options))[-1]
    assert last.progress.complete
    return last.report


def _hold(report: Report, truth: Counted) -> None:
    total = sum(truth.keys.values())
    assert report.keys == (total, total, total)
    assert report.memory is not None
    assert report.memory.exact
    assert report.memory.value == sum(truth.memory.values())
    assert {row.name: row.keys.value for row in report.namespaces} == truth.keys
    assert {row.name: row.memory.value for row in report.namespaces if row.memory} == truth.memory
    assert {row.name: row.without_ttl.value for row in report.namespaces if row.without_ttl.value} == truth.without
    assert report.without_ttl.value == sum(truth.without.values())
    assert {group.name: group.keys.value for group in report.ttl if group.keys.value} == truth.ttl
    assert {group.name: group.memory.value for group in report.ttl if group.memory and group.memory.value} == (
        truth.ttl_memory
    )
    assert {group.name: group.keys.value for group in report.types} == truth.types
    assert {group.name: group.memory.value for group in report.types if group.memory} == truth.type_memory
    assert {group.name: group.keys.value for group in report.encodings} == truth.encodings
    odd: Counter[str] = Counter()
    for row in report.namespaces:
        odd.update({name: int(found.value) for name, found in row.odd.items()})
    assert +odd == +truth.odd
    biggest = [(key.memory, key.name) for key in report.biggest if not key.cut]
    wanted = sorted(truth.sizes, key=lambda one: -one[0])[:100]
    assert sorted(size for size, _ in biggest) == sorted(size for size, _ in wanted)
    for rule in report.rules:
        for place in ("inside", "below", "above", "without"):
            assert getattr(rule, place).value == truth.places[rule.pattern.encode(), place]
    assert sum(keys for _, keys in report.expiry.keys) == total - sum(truth.without.values())


@pytest.mark.parametrize("method", ["script", "pipelines"])
def test_every_figure_equals_a_count_by_hand(valkey: Server, method: str) -> None:
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(keyspaces)
    def holds(keyspace: list[Entry]) -> None:
        _make(client, keyspace)
        report = _analysed(cache)
        assert report.method == method
        _hold(report, _count(client))

    with valkey.client() as client, closing(_cache(valkey, method == "script")) as cache:
        holds()
