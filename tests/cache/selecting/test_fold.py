"""How key names become namespaces, rules cover keys and TTLs fall into slots: on the server as in Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.sums import NO_TTL, ROW_WIDTH, Question
from dashboard.cache.selecting.fold import LONGEST_LOOKED_AT, folding, namespace_of, pattern_of
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import BadRule, Rule
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.cache.analysing import by_script, complete, set_all
from tests.servers import Server

SEPARATORS = (
    b":",
    b"::",
    b".",
    b"-",
    b"_",
    b"/",
    b"=",
    b"a",
    b"0",
    b"1:",
    b"%",
    b"x",
    b"s",
    b" ",
    b"->-",
    b"\x00",
    b"\xc3\xa9",
    b"abab",
)
QUESTION = Question(Selection(), memory=False, object=False, lengths=False)


@dataclass(frozen=True)
class Asked:
    server: Server
    cache: Cache

    def rows(self, separator: bytes = b":") -> Counter[bytes]:
        """Namespace -> keys, as the server folds them."""
        (node,) = self.cache.primaries()
        cursor, sums = by_script(self.cache, node, replace(QUESTION, separator=separator))
        assert cursor == 0
        found: Counter[bytes] = Counter()
        for row in sums.rows:
            found[row.name] += row.keys
        return found


@pytest.fixture
def asked(valkey: Server) -> Iterator[Asked]:
    with closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        yield Asked(valkey, cache)


EXAMPLES = {
    b"api:user:42:posts": b"api:user:*:posts",
    b"q=tea&page=1:x": b"*:x",
    b"a:\x00\x01:b": b"a:*:b",
    b"a:tab\tbed": b"a:*",
    b"sess:9f3a": b"sess:*",
    b"sess:cafe": b"sess:cafe",  # hexadecimal, but without a digit it is a word
    b"o:123e4567-e89b-12d3-a456-426614174000": b"o:*",
    b"day:2024-05-01": b"day:*",
    b"n:1,5_7.2": b"n:*",
    b"name:" + b"x" * 64: b"name:" + b"x" * 64,
    b"name:" + b"x" * 65: b"name:*",
    b"name:" + b"7" * 70: b"name:*",  # one run of digits, however long
    b"name:x" + b"7" * 70: b"name:x*",
    b"tok:k8Jq2Lm9Pz0Rt4Vw": b"tok:*",
    b"tok:q8Jqzzz9Pz0Rt": b"tok:q*Jqzzz*Pz*Rt",
    b"user42:cart": b"user*:cart",
    b"v2:user:7": b"v2:user:*",
    b"V10:x": b"V10:x",
    b"v2b:x": b"v*b:x",
    b"": b"",
    b":": b":",
    b"a::b": b"a::b",
    b"*:7": b"*:*",
    b"\xff\xfe:1": b"\xff\xfe:*",
    b":".join([b"a"] * 16): b":".join([b"a"] * 16),
    b":".join([b"a"] * 17): b":".join([b"a"] * 16 + [b"*"]),
    b":".join([b"a"] * 40): b":".join([b"a"] * 16 + [b"*"]),
    b"a:" + b"b" * 600: b"a:*",
    b"a:b:" + b"c" * (LONGEST_LOOKED_AT - 4): b"a:b:*",
    b"a:7:" + b"c:" * 300: b":".join([b"a", b"*", *[b"c"] * 14, b"*"]),
}


@pytest.mark.parametrize(("key", "name"), EXAMPLES.items(), ids=lambda text: repr(text)[:40])
def test_a_name_is_folded_as_an_operator_would_say_it(key: bytes, name: bytes) -> None:
    assert namespace_of(key, b":") == name


def test_the_server_folds_the_examples_alike(asked: Asked) -> None:
    set_all(asked.server, list(EXAMPLES))
    assert asked.rows() == Counter(EXAMPLES.values())


SEPARATING = (b":", b"::", b"=", b".", b"-", b"_", b",", b"/", b"%", b"x", b"s", b" ", b"->-")
TELLING = (b"a", b"ab", b"F", b"v", b"V", b"0", b"1", b"42", b"9f3a", b"user", b"x" * 30, b"7" * 40)
HOSTILE = (b"\x00", b"\x1f", b"\x7f", b"\xff", b"\xc3\xa9", b"*", b"[", b"%d")
pieces = st.one_of(st.sampled_from((*SEPARATING, *TELLING, *HOSTILE)), st.binary(max_size=4))
raw_keys = st.lists(pieces, max_size=24).map(b"".join)
long_keys = st.builds(lambda key, more: key * more, raw_keys, st.integers(2, 60))
keyspaces = st.lists(st.one_of(raw_keys, raw_keys, long_keys), min_size=1, max_size=60, unique=True)


@pytest.mark.parametrize("separator", SEPARATORS)
def test_the_server_folds_any_key_as_python_does(asked: Asked, separator: bytes) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(keyspaces)
    @example([b"a1b", b"a2b", b"a11b", b"a12b", b"a101b", b"v1", b"v2", b"v1:7", b"v2:7", b"v1x", b"v2x"])
    def alike(keys: list[bytes]) -> None:
        set_all(asked.server, keys)
        assert asked.rows(separator) == Counter(namespace_of(key, separator) for key in keys)

    alike()


def test_a_namespaces_pattern_selects_all_of_its_keys(asked: Asked) -> None:
    keys = [b"a[1]:b?7", b"a[2]:b?8", b"a\\3:x", b"a2:b7", b"a*:b"]
    set_all(asked.server, keys)
    for key in keys:
        pattern = pattern_of(namespace_of(key, b":"))
        with asked.server.client() as client:
            assert key in set(client.scan_iter(match=pattern))


# --- rules ---------------------------------------------------------------------------------------------------

stems = st.lists(st.sampled_from([b"a", b"b", b"ab", b"7", b"42", b":", b"\xff", b"-", b"%"]), max_size=4).map(b"".join)
patterns = st.lists(stems, min_size=1, max_size=5).map(b"*".join).filter(bool)
small_keys = st.lists(
    st.lists(st.sampled_from([b"a", b"b", b"ab", b"7", b"8", b"42", b":", b"\xff", b"-", b"%"]), max_size=9).map(
        b"".join
    ),
    min_size=1,
    max_size=40,
    unique=True,
)


def test_a_rule_covers_alike_on_the_server(asked: Asked) -> None:
    @settings(max_examples=80, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(small_keys, st.lists(patterns, min_size=1, max_size=6))
    @example([b"ab", b"aab", b"a", b"aa", b"aba"], [b"ab*", b"*ab", b"a*a", b"ab*ab", b"**", b"a**a", b"*a*a*"])
    @example([b"a7b", b"a8b", b"a42b", b"a7", b"a"], [b"a7*", b"*7b", b"*4*b", b"a*7*", b"a*b"])
    def alike(keys: list[bytes], made: list[bytes]) -> None:
        set_all(asked.server, keys)
        report = complete(asked.cache, rules=tuple(Rule(pattern, 1, 2) for pattern in made))
        assert report.method == "script"
        assert [row.without.value for row in report.rules] == [
            sum(Rule(pattern, 1, 2).covers(key) for key in keys) for pattern in made
        ]

    alike()


@pytest.mark.parametrize("pattern", [b"long:*:end", b"long:*", b"*:end", b"*7*", b"*nope*"])
def test_a_rule_covers_long_keys_alike_and_no_longer_ones(asked: Asked, pattern: bytes) -> None:
    """Beyond what is folded a name is held against no rule: it would cost the server more than it tells."""
    keys = [b"long:" + b"%d" % number + b"n" * 400 + b":end" for number in range(20)]
    longer = [b"long:" + b"%d" % number + b"n" * 600 + b":end" for number in range(20)]
    set_all(asked.server, [*keys, *longer])
    (row,) = complete(asked.cache, rules=(Rule(pattern, 1, 2),)).rules
    assert row.without.value == sum(Rule(pattern, 1, 2).covers(key) for key in keys)


def test_where_a_key_stands_is_the_same_at_the_ends_of_a_rules_range(valkey: Server) -> None:
    rule = Rule(b"k:*", 1000, 2000)
    with valkey.client() as client, closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        client.set("k:none", "v")
        for number, ttl in enumerate((998, 999, 1001, 1500, 1999, 2002, 3000)):
            client.set(f"k:{number}", "v", ex=ttl)
        (row,) = complete(cache, rules=(rule,)).rules
        places = Counter(rule.place(client.pttl(f"k:{number}")) for number in range(7))
    assert (row.inside.value, row.below.value, row.above.value, row.without.value) == (
        places["inside"],
        places["below"],
        places["above"],
        1,
    )
    assert places == {"below": 2, "inside": 3, "above": 2}
    assert row.longest is not None
    assert 2990 < row.longest <= 3000


def test_a_rule_that_a_pattern_language_would_need_is_refused() -> None:
    for pattern in (b"", b"a?", b"a[b]", b"\\*", b"*" * 9, b"x" * 513):
        with pytest.raises(BadRule):
            Rule(pattern, 1, 2)
    places = [Rule(b"*", 1, 2).place(ms) for ms in (1500, 999, 2001, -1)]
    assert places == ["inside", "below", "above", "without"]


# --- slots ---------------------------------------------------------------------------------------------------

EDGES = sorted(
    {
        edge * 1000 + beside
        for edge in (1, 2, 59, 60, 3599, 3600, 3660, 86_340, 86_400, 90_000, 7 * 86_400, 30 * 86_400, 31 * 86_400)
        for beside in (-1, 0, 1, 999)
    }
)
SET_AT = """
local now = redis.call('TIME')
for i = 1, #ARGV do redis.call('SET', 'k:' .. i, 'v', 'PXAT', ARGV[i]) end
return now[1] * 1000 + math.floor(now[2] / 1000)
"""


def _slots_of(sums_codes: Sequence[int]) -> Counter[int]:
    return Counter(code % ROW_WIDTH for code in sums_codes)


def test_the_server_finds_the_slot_that_python_finds_at_every_edge(asked: Asked) -> None:
    """Expiries are set to the millisecond, counted from a moment an hour ahead, so that none passes meanwhile."""
    with asked.server.client() as client:
        origin = int(client.time()[0]) * 1000 + 3_600_000
        client.execute_command("EVAL", SET_AT, 0, *(origin + edge for edge in EDGES))
        client.set("never", "v")
    (node,) = asked.cache.primaries()
    _, sums = by_script(asked.cache, node, QUESTION, origin_ms=origin)
    assert _slots_of(sums.codes) == Counter([NO_TTL, *(slots.slot_of(edge) for edge in EDGES)])


def test_what_expires_before_the_origin_counts_as_the_first_slot(asked: Asked) -> None:
    with asked.server.client() as client:
        origin = int(client.time()[0]) * 1000 + 3_600_000
        client.execute_command("EVAL", SET_AT, 0, origin - 1, origin - 1000, origin - 3_000_000)
    (node,) = asked.cache.primaries()
    _, sums = by_script(asked.cache, node, QUESTION, origin_ms=origin)
    assert _slots_of(sums.codes) == {0: 3} == Counter(slots.slot_of(ms) for ms in (-1, -1000, -3_000_000))


def test_every_slot_begins_where_the_one_before_ends() -> None:
    for slot in range(1, slots.COUNT):
        start = slots.start_of(slot)
        assert slots.slot_of(start * 1000) == slot
        assert slots.slot_of(start * 1000 - 1) == slot - 1
    assert slots.slot_of(10**15) == slots.LATER
    assert len(slots.BUCKETS) == slots.COUNT
    assert set(slots.BUCKETS) == set(range(len(slots.TTL_LABELS)))


@given(st.lists(st.one_of(st.binary(max_size=60), st.from_regex(rb"[av:/x0-9_=-]{0,40}", fullmatch=True)), max_size=50))
def test_what_remembers_shapes_folds_alike(keys: list[bytes]) -> None:
    for separator in (b":", b"/", b"_0"):
        folded = folding(separator)
        for key in [*keys, *keys, b"api:v2:x", b"api:v3:x", b"x" * 600 + b"1:2", b"a_0b_01"]:
            assert folded(key) == namespace_of(key, separator)
