"""A pattern means here what it means to a server; what is said of two patterns holds for every key."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.cache.selecting import glob
from dashboard.cache.selecting.glob import collapsed, covers, literal, matcher, matches, may_overlap
from dashboard.cache.selecting.selection import glob_escape
from tests.cache.hostile_keys import HOSTILE, random_keys
from tests.servers import Server

SIGNED = platform.machine() in ("x86_64", "AMD64", "i686")  # elsewhere a C `char` has no sign
LETTERS = b"ab]-^\\*\xff"
KEYS = [b"", *(bytes(key) for size in (1, 2, 3) for key in itertools.product(LETTERS, repeat=size))]

FRAGMENTS = [
    *rb"* ** ? [ ] [^ [] [^] - ^ \ \\ a b [a-b] [b-a] [^a-b] [a-] [\]-b] [*?] \* \[ [^^]".split(),
    *(b"\xff", b"\x00", b"[a\xff]", b"[\x00-\xff]", b"[a-\xff]"),
]
patterns = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map(b"".join)


@pytest.fixture(scope="module")
def plain(_valkey_session: Server) -> Iterator[redis.Redis]:
    """A server that holds KEYS and random ones."""
    with _valkey_session.client(db=9) as client:
        client.mset(dict.fromkeys([*KEYS, *random_keys(5, 300)], b""))
        yield client
        client.flushdb()


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=patterns)
@example(pattern=b"[")
@example(pattern=b"[^")
@example(pattern=b"[a-")
@example(pattern=b"[a-]")
@example(pattern=b"[\\")
@example(pattern=b"\\")
@example(pattern=b"*[\xff-\x00]*")
def test_it_matches_what_a_server_matches(plain: redis.Redis, pattern: bytes) -> None:
    sent = collapsed(pattern)
    _, found = plain.scan(0, match=sent, count=100_000)
    held = plain.keys("*")
    expected = {key for key in held if matcher(pattern, signed=SIGNED).fullmatch(key)}
    assert set(found) == expected, (pattern, sent)


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_escaped_key_matches_itself(key: bytes) -> None:
    assert matches(glob_escape(key), key)
    assert literal(glob_escape(key)) == key
    assert covers(b"*", glob_escape(key))


@settings(max_examples=400, deadline=None)
@given(pattern=patterns, key=st.binary(max_size=5) | st.sampled_from(KEYS))
def test_a_collapsed_pattern_matches_the_same_keys_and_has_no_two_stars_in_a_row(pattern: bytes, key: bytes) -> None:
    short = collapsed(pattern)
    assert matches(short, key) == matches(pattern, key)
    assert collapsed(short) == short
    assert glob.stars(short) == glob.stars(pattern) == list(glob.parse(short)).count(glob.STAR)


@pytest.mark.parametrize(
    ("pattern", "short"),
    [
        (b"***", b"*"),
        (b"a**b***", b"a*b*"),
        (rb"\**", rb"\**"),
        (rb"\***", rb"\**"),
        (b"[**]**", b"[**]*"),
        (b"[**", b"[**"),
        (b"[]**", b"[]*"),
        (rb"[\]**]**", rb"[\]**]*"),
        (b"[a-]**", b"[a-]**"),
    ],
)
def test_only_runs_of_stars_are_collapsed(pattern: bytes, short: bytes) -> None:
    assert collapsed(pattern) == short


def test_a_long_key_and_sixteen_stars_are_matched_within_a_life() -> None:
    """A server without the fix of CVE-2022-36021 would be at it for longer than the universe is old."""
    assert not matches(b"*a" * 16 + b"*b", b"a" * 20_000)
    assert matches(b"*a" * 16 + b"*b", b"a" * 20_000 + b"b")


# --- two patterns -------------------------------------------------------------------------------------------------

WORDS = [bytes(word) for size in range(7) for word in itertools.product(b"abc", repeat=size)]


def _language(pattern: bytes) -> frozenset[bytes]:
    """The words of up to six letters that it matches. Enough for two patterns of up to three tokens each."""
    return frozenset(word for word in WORDS if matches(pattern, word))


short = st.lists(st.sampled_from([b"*", b"?", b"a", b"b", b"[ab]", b"[^a]", b"[]"]), max_size=3).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(one=short, other=short)
def test_two_patterns_overlap_where_a_key_is_matched_by_both(one: bytes, other: bytes) -> None:
    assert may_overlap(one, other) == may_overlap(other, one) == bool(_language(one) & _language(other))


@settings(max_examples=300, deadline=None)
@given(outer=short, inner=short)
def test_a_pattern_covers_another_where_it_matches_all_of_its_keys(outer: bytes, inner: bytes) -> None:
    assert covers(outer, inner) == (_language(inner) <= _language(outer))


@settings(max_examples=400, deadline=None)
@given(outer=patterns, inner=patterns, key=st.binary(max_size=6))
def test_no_key_contradicts_what_is_said_of_two_patterns(outer: bytes, inner: bytes, key: bytes) -> None:
    if matches(outer, key) and matches(inner, key):
        assert may_overlap(outer, inner)
    if covers(outer, inner) and matches(inner, key):
        assert matches(outer, key)


@settings(max_examples=200, deadline=None)
@given(pattern=patterns)
def test_every_pattern_covers_itself_and_is_covered_by_all(pattern: bytes) -> None:
    assert covers(pattern, pattern)
    assert covers(b"*", pattern)
    assert covers(pattern, b"*") == (collapsed(pattern) == b"*")


@pytest.mark.parametrize(
    ("outer", "inner", "covered"),
    [
        (b"api:*", b"api:search:*", True),
        (b"api:*", b"api:*:x*", True),
        (b"api:*", b"ap*", False),
        (b"api:*", b"*api:*", False),
        (b"*:tmp", b"api:*:tmp", True),
        (b"*:tmp", b"api:*", False),
        (b"a*b*c", b"a*xb*bc", True),
        (b"a*b*c", b"a*c", False),
        (b"?*", b"*", False),
        (b"?*", b"*?", True),
        (b"*?", b"?*", True),
        (b"*ab*", b"*a*b*", False),
        (b"*a*b*", b"*ab*", True),
        (b"[ab]*", b"a*", True),
        (b"[ab]*", b"[a-c]*", False),
        (b"[^b]*", b"a*", True),
        (b"api:*", rb"api:\*", True),
        (rb"api:\*", b"api:*", False),
        (b"[a-\xc3]", b"\xc3", True),  # an end belongs to its range everywhere
        (b"[a-\xc3]", b"b", False),
    ],
)
def test_a_pattern_covers_another(outer: bytes, inner: bytes, covered: bool) -> None:
    assert covers(outer, inner) == covered


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (b"api:*", b"*:tmp", True),
        (b"api:*", b"user:*", False),
        (b"api:?", b"api:10", False),
        (b"[ab]*", b"[b-z]x", True),
        (b"[ab]*", b"[^ab]*", False),
        (b"*a", b"*b", False),
        (b"*", b"", True),
        (b"?*", b"", False),
        (b"[a-\xc3]", b"b", True),  # where bytes have no sign
        (b"[a-\xc3]", b"\x00", True),  # where they have one
    ],
)
def test_two_patterns_overlap(one: bytes, other: bytes, overlap: bool) -> None:
    assert may_overlap(one, other) == may_overlap(other, one) == overlap


def test_what_would_take_too_long_to_compare_is_not_covered() -> None:
    """Its places grow as 2 to the number of question marks: `a` and so many letters before the end."""
    hard = b"*a" + b"?" * 40
    assert not covers(hard, b"*[ab]" + b"[ab]" * 200 + b"a" + b"?" * 40)
    assert covers(b"*a" + b"?" * 4, b"*[ab]" + b"[ab]" * 4 + b"a" + b"?" * 4)


def test_the_longest_patterns_are_compared() -> None:
    one = (b"*" + b"[^ab]?a" * 9) * 14
    other = (b"*" + b"?[^xy]" * 9) * 14 + b"*"
    long = bytes(range(0x60, 0x100)) * 200
    four = one, other, long, long + b"*"
    assert [[covers(outer, inner) for inner in four] for outer in four] == [
        [True, False, False, False],
        [False, True, True, True],
        [False, False, True, False],
        [False, False, True, True],
    ]
    assert [[may_overlap(outer, inner) for inner in four] for outer in four] == [
        [True, True, False, True],
        [True, True, True, True],
        [False, True, True, True],
        [True, True, True, True],
    ]
