"""Look-ups in lines of MONITOR, and what a sample of them says of hit ratios."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.stampedes.lookups import MOST_KEYS, Lookups, hit_ratio, looked_up


@pytest.mark.parametrize(
    ("line", "database", "keys"),
    [
        (b'1339518083.107412 [0 127.0.0.1:60866] "GET" "a"', 0, [b"a"]),
        (b'1339518083.107412 [3 [::1]:60866] "get" "a b"', 3, [b"a b"]),
        (b'1339518083.107412 [0 unix:/tmp/x] "MGET" "a" "b" "c"', 0, [b"a", b"b", b"c"]),
        (b'1339518083.107412 [0 lua] "hget" "h" "field"', 0, [b"h"]),
        (b'1339518083.107412 [0 127.0.0.1:1] "get" "\\xff\\x00\\"q\\"\\\\n\\n"', 0, [b'\xff\x00"q"\\n\n']),
        (b'1339518083.107412 [0 127.0.0.1:1] "set" "a" "get"', 0, []),
        (b'1339518083.107412 [0 127.0.0.1:1] "ping"', 0, []),
        (b"OK", -1, []),
        (b"", -1, []),
    ],
)
def test_a_line_tells_what_is_looked_up(line: bytes, database: int, keys: list[bytes]) -> None:
    assert looked_up(line) == (database, keys)


def test_of_a_command_with_very_many_keys_some_are_taken() -> None:
    assert len(looked_up(b'1.0 [0 a:1] "mget"' + b' "k"' * 5000)[1]) == MOST_KEYS


@given(st.binary(max_size=200))
def test_no_line_breaks_it(line: bytes) -> None:
    looked_up(line)
    looked_up(b"1.0 [0 127.0.0.1:1] " + line)


def test_the_interval_has_the_truth_where_commands_come_in_lumps() -> None:
    """Each burst is mostly of one of two namespaces; a random sample's interval would be far too narrow."""
    chance, inside = Random(7), 0
    for _ in range(200):
        lookups = Lookups()
        for _ in range(12):
            share = 0.9 if chance.random() < 0.5 else 0.1
            here = sum(chance.random() < share for _ in range(100))
            lookups.add({b"a:*": here, b"b:*": 100 - here}, 100)
        found = lookups.of(b"a:*", 10_000)
        inside += found.low <= 5_000 <= found.high
    assert inside >= 180


def test_what_was_not_seen_may_be_there_all_the_same() -> None:
    lookups = Lookups()
    lookups.add({b"a:*": 50}, 100)
    found = lookups.of(b"b:*", 1000)
    assert (found.value, found.low) == (0, 0)
    assert 0 < found.high < 100


def test_it_keeps_a_bounded_number_of_namespaces() -> None:
    lookups = Lookups(most=3)
    lookups.add({b"%d" % number: 1 for number in range(10)}, 10)
    assert len(lookups._of) == 3
    assert lookups.sampled == 10


def test_a_hit_ratio_is_as_sure_as_its_look_ups() -> None:
    assert hit_ratio(exactly(1000), 100) == exactly(0.9)
    found = hit_ratio(Estimate(1000, 500, 2000), 100)
    assert (found.low, found.value, found.high) == (0.8, 0.9, 0.95)
    assert hit_ratio(exactly(1000), 100, error=100) == (0.9, 0.9, 1.0)


@given(st.floats(0, 1e6), st.floats(0, 1), st.floats(1, 3), st.integers(0, 10**7), st.integers(0, 100))
def test_a_hit_ratio_is_one_whatever_is_given(value: float, low: float, high: float, misses: int, error: int) -> None:
    found = hit_ratio(Estimate(value, value * low, value * high), misses, min(error, misses))
    assert 0 <= found.low <= found.value <= found.high <= 1
