"""What a retiming does to one TTL, and that the server's script does the same sums."""

from __future__ import annotations

import random

import pytest

from dashboard.cache.retiming.change import (
    LEAST_MS,
    LONGEST,
    BadChange,
    Change,
    IntoRange,
    Jitter,
    change_from_query,
    drawn,
)

CHANGES: tuple[Change, ...] = (
    Jitter(300),
    Jitter(1.5, direction="earlier"),
    Jitter(60, direction="later"),
    Jitter(10, "%"),
    Jitter(90, "%", "earlier"),
    Jitter(0.5, "%", "later"),
    IntoRange(900, 1800),
    IntoRange(60, 60),
)
TTLS = (-1, 0, 1, 500, 999, 1000, 1001, 60_000, 300_000, 900_000, 1_800_000, 1_800_001, 86_400_000)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_survives_its_query(change: Change) -> None:
    assert change_from_query(change.to_query()) == change


@pytest.mark.parametrize("pttl", TTLS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_new_ttl_lies_within_its_bounds_whatever_is_drawn(change: Change, pttl: int) -> None:
    bounds = change.bounds_ms(pttl)
    ends = [drawn(change, pttl, lambda: 0.0), drawn(change, pttl, lambda: 1 - 2**-53)]
    assert ends == ([None, None] if bounds is None else list(bounds))


@pytest.mark.parametrize("pttl", [pttl for pttl in TTLS if pttl >= 0])
def test_jitter_keeps_to_its_reach_and_its_side(pttl: int) -> None:
    draw = random.Random(pttl).random
    for _ in range(200):
        both = drawn(Jitter(300), pttl, draw)
        assert both is not None
        assert min(pttl, LEAST_MS) <= both <= pttl + 300_000
        assert both >= pttl - 300_000
        earlier = drawn(Jitter(300, direction="earlier"), pttl, draw)
        assert earlier is None or min(pttl, LEAST_MS) <= earlier <= pttl
        later = drawn(Jitter(300, direction="later"), pttl, draw)
        assert later is not None
        assert pttl <= later <= pttl + 300_000


def test_no_new_crowd_stands_where_the_earlier_side_ends() -> None:
    draw = random.Random(1).random
    times = [drawn(Jitter(300), 10_000, draw) or 0 for _ in range(10_000)]
    assert max(times.count(moment) for moment in set(times)) < 5


def test_a_key_without_ttl_is_left_alone_by_jitter_and_gets_one_by_a_range() -> None:
    assert drawn(Jitter(300), -1, lambda: 0.5) is None
    assert drawn(IntoRange(900, 1800), -1, lambda: 0.5) == 1_350_000


@pytest.mark.parametrize(("pttl", "stays"), [(899_999, False), (900_000, True), (1_800_000, True), (1_800_001, False)])
def test_a_range_leaves_what_is_inside(pttl: int, stays: bool) -> None:
    assert (drawn(IntoRange(900, 1800), pttl, lambda: 0.0) is None) == stays


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"jitter": "0"},
        {"jitter": "nan"},
        {"jitter": "inf"},
        {"jitter": "x"},
        {"jitter": "-5"},
        {"jitter": "91%"},
        {"jitter": "0%"},
        {"jitter": "5", "direction": "up"},
        {"low": "5"},
        {"low": "5", "high": "4"},
        {"low": "0", "high": "4"},
        {"low": "1", "high": str(LONGEST + 1)},
        {"low": "nan", "high": "4"},
    ],
)
def test_a_bad_change_is_refused_with_a_sentence(query: dict[str, str]) -> None:
    with pytest.raises(BadChange, match=r"^[A-Z].+\.$"):
        change_from_query(query)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Jitter(300), "moved by up to 5 min to either side"),
        (Jitter(10, "%", "earlier"), "moved by up to 10 % of the time left to the earlier side"),
        (IntoRange(900, 1800), "given 15 min to 30 min to live"),
    ],
)
def test_a_change_is_said_in_plain_english(change: Change, words: str) -> None:
    assert change.in_words.replace("\u202f", " ") == words
