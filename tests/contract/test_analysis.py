"""An analysis counts what a straightforward count finds, on one server, a cluster and behind a sentinel."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.plain import batch_by_pipelines
from dashboard.cache.analysis.report import Report
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.analysis.slots import TTL_BOUNDS, TTL_LABELS
from dashboard.cache.analysis.sums import NO_TTL, ROW_WIDTH, Question, Sums
from dashboard.cache.estimate import exactly
from dashboard.cache.selecting.fold import namespace_of
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import packed
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.walk import walk
from tests.cache.analysing import analysed, by_pipelines, by_script, complete
from tests.contract.sites import Site
from tests.servers import HOST, Server

TTLS = (None, 30, 200, 2000, 9000, 50_000, 300_000, 1_000_000, 5_000_000)
LENGTHS = {"hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN"}
RAW = [b"\x00\xff:1", b"a:\x80:\x81", b"", b" ", b"x:\r\n", b"\xff" * 300]


def _fill(site: Site) -> None:
    """Some 1500 keys of all types, with and without TTLs, names of raw bytes and very long ones."""
    clustered = isinstance(site.plain, redis.RedisCluster)
    with site.plain.pipeline() if clustered else site.plain.pipeline(transaction=False) as pipe:
        for number in range(1200):
            pipe.set(f"api:user:{number}:posts", "v" * (number * 7 % 900), ex=TTLS[number % len(TTLS)])
        for number in range(60):
            pipe.hset(f"session:{number:04x}", mapping={f"f{n}": "v" for n in range(number + 1)})
            pipe.rpush(f"queue:{number}", *["job"] * (number % 3 + 1))
            pipe.sadd(f"tags:{number}", *range(number + 1))
            pipe.zadd(f"board:{number}", {f"m{n}": n for n in range(number % 200 + 1)})
            pipe.xadd(f"log:{number}", {"f": "v"})
            pipe.expire(f"session:{number:04x}", 700 + number)
        for number in range(20):
            pipe.set(f"blob:{number}", "b" * (20_000 + 1000 * number))
        for key in RAW:
            pipe.set(key, "raw")
        pipe.set(b"long:" + b"n" * 100_000, "v")
        pipe.set(b"v2:user:7", 5)
        pipe.execute()


@dataclass
class Counted:
    """The same figures, counted key by key over all primaries."""

    keys: Counter[str] = field(default_factory=Counter)
    memory: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    ttl: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, int] = field(default_factory=dict)
    members: dict[str, int | None] = field(default_factory=dict)


def _count(site: Site) -> Counted:
    found = Counted()
    for server in site.servers:
        with server.client() as client:
            for key in client.scan_iter(count=5000):
                kind, memory, pttl = client.type(key).decode(), client.memory_usage(key), client.pttl(key)
                name = printable(namespace_of(key, b":"))
                found.keys[name] += 1
                found.memory[name] += memory
                found.types[kind] += 1
                found.encodings[f"{kind} {client.object('ENCODING', key).decode()}"] += 1
                if pttl == -1:
                    found.without[name] += 1
                else:
                    place = next((n for n, bound in enumerate(TTL_BOUNDS) if pttl < bound * 1000), len(TTL_BOUNDS))
                    found.ttl[TTL_LABELS[place]] += 1
                found.sizes[printable(key)] = memory
                members = client.execute_command(LENGTHS[kind], key) if kind in LENGTHS else None
                found.members[printable(key)] = members
    return found


def test_every_figure_equals_a_straightforward_count(shop: Cache, site: Site) -> None:
    _fill(site)
    report, truth = complete(shop, hold_ms=0.05), _count(site)
    assert report.method == "script"
    assert report.notes == ()
    assert report.keys == exactly(sum(truth.keys.values()))
    assert report.memory == exactly(sum(truth.memory.values()))
    assert {row.name: row.keys.value for row in report.namespaces} == truth.keys
    assert {row.name: row.memory.value for row in report.namespaces if row.memory} == truth.memory
    assert {row.name: row.without_ttl.value for row in report.namespaces if row.without_ttl.value} == truth.without
    assert report.without_ttl.value == sum(truth.without.values())
    assert {group.name: group.keys.value for group in report.types} == truth.types
    assert {group.name: group.keys.value for group in report.ttl if group.keys.value} == truth.ttl
    assert {group.name: group.keys.value for group in report.encodings} == truth.encodings
    assert report.namespaces_found == len(truth.keys)
    assert sum(group.keys.value for group in report.activity.groups) == report.keys.value
    assert all(row.keys.exact and row.memory and row.memory.exact for row in report.namespaces)
    assert sum(count for _, count in report.expiry.keys) == sum(truth.ttl.values())


def test_the_largest_hundred_are_the_largest_with_their_members(shop: Cache, site: Site) -> None:
    _fill(site)
    report, truth = complete(shop, hold_ms=0.05), _count(site)
    shown = [(key.memory, key.name) for key in report.biggest if not key.cut]
    (cut,) = [key for key in report.biggest if key.cut]
    assert cut.name == "long:" + "n" * 995
    assert cut.cut == 100_005 - 1000
    assert len(report.biggest) == 100
    assert [key.memory for key in report.biggest] == sorted(truth.sizes.values(), reverse=True)[:100]
    assert all(truth.sizes[name] == memory for memory, name in shown)
    for key in report.biggest:
        if key.type != "string":
            assert key.members == (truth.members[key.name] if shop.capabilities().can("CLIENT NO-TOUCH") else None)


SELECTIONS = [
    Selection(b"api:user:1*"),
    Selection(b"*:[0-5]"),
    Selection(b"nothing*"),
    Selection(type="hash"),
    Selection(type="string"),
    Selection(b"session:*", type="hash", ttl="any"),
    Selection(ttl="none"),
    Selection(ttl="any"),
    Selection(ttl="<1000"),
    Selection(ttl=">1000"),
    Selection(ttl="600-760"),
    Selection(ttl="1900-60000", type="string"),
    Selection(size=">1000"),
    Selection(size="<200"),
    Selection(b"api:*", ttl="any", size=">300"),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda selection: str(selection.to_query()))
def test_an_analysis_of_a_selection_counts_what_a_walk_finds(shop: Cache, site: Site, selection: Selection) -> None:
    """No TTL of these keys is within a minute of an end of a range."""
    _fill(site)
    report = complete(shop, selection, hold_ms=0.05)
    found = {key for batch in walk(shop, selection, Budget(share=1.0)) for key in batch.found}
    assert report.keys == exactly(len(found))
    assert {row.name: row.keys.value for row in report.namespaces} == Counter(
        printable(namespace_of(key, b":")) for key in found
    )
    if selection.type and found:
        assert [group.name for group in report.types] == [selection.type]


def test_an_analysis_of_instants_counts_what_a_walk_finds(shop: Cache, site: Site) -> None:
    """Keys at both ends of a range, and beside it: a clock is read a moment after a TTL, so not to the millisecond."""
    base = (int(time.time()) + 5000) * 1000
    for number, beside in enumerate((-200, 0, 1, 59_800, 60_000, 60_001)):
        site.plain.set(f"at:{number}", "v", pxat=base + beside)
    selection = Selection(ttl=f"@{base // 1000}-{base // 1000 + 60}")
    found = {key for batch in walk(shop, selection, Budget(share=1.0)) for key in batch.found}
    assert found == {b"at:1", b"at:2", b"at:3"}
    assert complete(shop, selection).keys.value == 3


def test_nothing_is_analysed_as_nothing(shop: Cache) -> None:
    last = analysed(shop)
    assert last.progress.complete
    assert last.report.keys == exactly(0)
    assert last.report.memory == exactly(0)
    for figures in (last.report.namespaces, last.report.biggest, last.report.types):
        assert figures == ()
    assert last.report.notes == ()


def test_nothing_that_meets_a_selection_is_nothing(shop: Cache, site: Site) -> None:
    _fill(site)
    report = complete(shop, Selection(b"no such key*"))
    assert report.keys == exactly(0)
    assert report.memory == exactly(0)


def test_a_read_only_cache_is_analysed_by_a_script_that_cannot_write(only_looking: Cache, site: Site) -> None:
    _fill(site)
    site.forget_calls()
    report = complete(only_looking)
    calls = site.calls()
    assert report.method == "script"
    assert report.keys.value == sum(_count(site).keys.values())
    assert calls["eval_ro"] >= len(site.servers)
    assert "eval" not in calls


def test_keys_that_expire_meanwhile_are_told_of(shop: Cache, site: Site) -> None:
    """They are there when the walk begins, and gone before it comes to them."""
    site.fill((b"stay:%d" % number for number in range(2000)), ttl=1000)
    site.fill((b"go:%d" % number for number in range(2000)), ttl=1)
    for server in site.servers:
        with server.client() as client:
            client.config_set("hz", 1)
    walking = analyze(shop, Selection(), Options(Budget(share=1.0, hold_ms=0.001), every=0))
    first = next(walking)
    time.sleep(1.1)
    *_, last = walking
    for server in site.servers:
        with server.client() as client:
            client.config_set("hz", 10)
    assert first.progress.total == 4000
    assert last.progress.complete
    rows = {row.name: row.keys.value for row in last.report.namespaces}
    assert rows["stay:*"] == 2000
    assert rows.get("go:*", 0) < 2000
    assert any("changed meanwhile" in note or "expired while" in note for note in last.report.notes)


def test_keys_gone_between_scan_and_questions_are_left_out_and_told_of(site: Site) -> None:
    """By pipelines there is such a moment. What SCAN has named is deleted before it is asked about."""
    site.fill(b"k:%d" % number for number in range(300))
    with closing(site.open()) as cache:
        total, gone = 0, 0
        for node in cache.primaries():
            step = _with_some_deleted(cache, node, site)
            total += step.keys
            gone += step.gone
    assert (total, gone) == (200, 100)


@dataclass
class _Step:
    keys: int
    gone: int


def _with_some_deleted(cache: Cache, node: Node, site: Site) -> _Step:
    step = batch_by_pipelines(cache, Question(Selection()), 0, 10_000, origin_ms=0, biggest=0)
    (reply,) = packed(cache, node, next(step))
    site.remove([key for key in reply[1] if int(key[2:]) % 3 == 0])
    commands = step.send([reply])
    try:
        while True:
            commands = step.send(packed(cache, node, commands))
    except StopIteration as end:
        sums: Sums = end.value.found
    return _Step(len(sums.codes), sums.gone)


def test_looking_does_not_count_as_a_use(shop: Cache, site: Site) -> None:
    if not shop.capabilities().can("CLIENT NO-TOUCH"):
        pytest.skip("this server has no CLIENT NO-TOUCH")
    _fill(site)
    time.sleep(2.1)
    before = _idle_times(site)
    assert min(before.values()) >= 2
    complete(shop)
    with closing(site.open("read_only=yes")) as cache:
        complete(cache)
    after = _idle_times(site)
    assert all(after[key] >= before[key] for key in before)


def _idle_times(site: Site) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for server in site.servers:
        with server.client() as client:
            keys = list(client.scan_iter(count=5000))
            pipe = client.pipeline(transaction=False)
            for key in keys:
                pipe.object("IDLETIME", key)
            found.update(zip(keys, pipe.execute(), strict=True))
    return found


# --- by script and by pipelines ------------------------------------------------------------------------------

RULES = (Rule(b"api:*", 100, 3000), Rule(b"*:1*", 1, 10**6), Rule(b"*", 2000, 2000.5))
QUESTIONS = [
    Question(Selection()),
    Question(Selection(), typed=False),
    Question(Selection(), rules=RULES, long_name=20, large_value=500, many_members=40),
    Question(Selection(), memory=False, object=False),
    Question(Selection(), ttls=False, lengths=False, activity=""),
    Question(Selection(b"api:*", ttl="any", size=">200"), rules=RULES),
    Question(Selection(type="hash")),
    Question(Selection(ttl="600-760")),
    Question(Selection(), separator=b"::"),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=range(len(QUESTIONS)))
def test_a_batch_by_script_is_a_batch_by_pipelines(shop: Cache, site: Site, question: Question) -> None:
    _fill(site)
    for node in shop.primaries():
        origin, cursor = round(time.time() * 1000) - 5000, 0
        for count in (1, 7, 200, 10_000):
            there = by_script(shop, node, question, cursor, count, origin_ms=origin, biggest=3000)
            here = by_pipelines(shop, node, question, cursor, count, origin_ms=origin, biggest=3000)
            assert there[0] == here[0]
            _alike(there[1], here[1])
            cursor = there[0]
            if not cursor:
                break
        assert not cursor


def _alike(there: Sums, here: Sums) -> None:
    for name in ("visited", "gone", "refused", "asked", "encodings"):
        assert getattr(there, name) == getattr(here, name), name
    assert _positive(there.types) == _positive(here.types)
    # A second may pass between the two, so an idle time may stand in the next octave.
    assert sum(keys for keys, _, _ in there.active.values()) == sum(keys for keys, _, _ in here.active.values())
    assert _by_name(there) == _by_name(here)
    assert [standing[:4] for standing in there.standing] == [standing[:4] for standing in here.standing]
    largest = [sorted((one.key, one.type, one.memory, one.members) for one in sums.largest) for sums in (there, here)]
    assert largest[0] == largest[1]


def _positive(counts: dict[bytes, int]) -> dict[bytes, int]:
    return {name: count for name, count in counts.items() if count}


def _by_name(sums: Sums) -> dict[bytes, Any]:
    """All that is told of each namespace, and of each key its size and TTL bucket."""
    rows: dict[bytes, list[Any]] = defaultdict(lambda: [0, 0, 0, Counter(), Counter()])
    for row in sums.rows:
        mine = rows[row.name]
        mine[:3] = mine[0] + row.keys, mine[1] + row.memory, mine[2] + row.without_memory
        mine[3].update(row.types)
        mine[4].update(row.odd)
    sizes: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for code, size in zip(sums.codes, sums.sizes, strict=True):
        number, slot = divmod(code, ROW_WIDTH)
        sizes[sums.rows[number].name].append((size, slots.BUCKETS[slot] if slot < NO_TTL else -1))
    return {name: (row, sorted(sizes[name])) for name, row in rows.items()}


def test_a_whole_analysis_by_script_is_one_by_pipelines(site: Site) -> None:
    _fill(site)
    for server in site.servers:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "&*", "+@all", "-eval", "-eval_ro")
    # A sentinel has users of its own.
    url = f"redis://{HOST}:{site.servers[0].port}" if site.kind == "sentinel" else site.url
    url = url.replace("//", "//plain:pw@")
    with closing(site.open()) as there, closing(Cache(parse_target(f"shop={url}"))) as here:
        script, plain = (complete(cache, rules=RULES, hold_ms=0.1) for cache in (there, here))
    assert (script.method, plain.method) == ("script", "pipelines")
    assert len(plain.missing) == len(script.missing) + 1
    for name in ("keys", "memory", "without_ttl", "without_ttl_memory", "types", "encodings", "sizes"):
        assert getattr(script, name) == getattr(plain, name), name
    assert [group.keys for group in script.ttl] == [group.keys for group in plain.ttl]
    assert _rows(script) == _rows(plain)
    assert [(key.memory, key.type, key.members) for key in script.biggest] == [
        (key.memory, key.type, key.members) for key in plain.biggest
    ]
    assert [(row.inside, row.below, row.above, row.without) for row in script.rules] == [
        (row.inside, row.below, row.above, row.without) for row in plain.rules
    ]


def _rows(report: Report) -> dict[str, Any]:
    return {
        row.name: (row.keys, row.memory, row.without_ttl, row.types, row.sizes, row.odd, [e.value for e in row.ttl])
        for row in report.namespaces
    }


def test_types_are_told_right_while_a_hash_table_grows(valkey: Server) -> None:
    """SCAN goes over both tables of one that is being moved, and the move goes on between two calls of SCAN."""
    question = Question(Selection(), memory=False, object=False, lengths=False)
    with closing(Cache(parse_target(f"shop={valkey.url}"))) as shop, valkey.client() as client:
        (node,) = shop.primaries()
        client.config_set("activerehashing", "no")
        number = 0
        for size in (600, 1300, 2600, 5200, 10_400):
            pipe = client.pipeline(transaction=False)
            while number < size:
                pipe.sadd(f"s:{number}", 1)
                number += 1
            pipe.execute()
            for count in (1, 3, 10, 50, 400):
                cursor, kinds = 0, Counter[bytes]()
                while True:
                    cursor, sums = by_script(shop, node, question, cursor, count)
                    for row in sums.rows:
                        kinds.update(row.types)
                        kinds[b"string"] += row.keys - sum(row.types.values())
                    if not cursor:
                        break
                assert not kinds[b"string"], (size, count)
        client.config_set("activerehashing", "yes")
    assert math.isclose(kinds[b"set"], number, rel_tol=0.5)


def test_an_estimate_far_below_the_used_memory_says_that_large_keys_may_be_missing(valkey: Server) -> None:
    with valkey.client() as client, closing(Cache(parse_target(f"shop={valkey.url}"))) as shop:
        client.mset({f"small:{number}": "v" for number in range(20_000)})
        for number in range(3):
            client.set(f"huge:{number}", b"v" * 60_000_000)
        seen = []
        for snapshot in analyze(shop, Selection(), Options(Budget(share=1.0, hold_ms=0.05), every=0)):
            huge = any(key.name.startswith("huge:") for key in snapshot.report.biggest)
            seen.append((huge, snapshot.progress.complete, any("very large" in note for note in snapshot.report.notes)))
    assert (False, False, True) in seen  # before any of them was met
    assert not [told for _, complete, told in seen if complete and told]
