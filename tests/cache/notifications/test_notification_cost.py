"""What notifications would cost, by what happened lately."""

from __future__ import annotations

import pytest

from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.notifications.cost import Traffic, all_events_of, events_of, expected, in_words, rate

BUSY = Traffic(
    "10.0.0.1:6379",
    expired=5,
    evicted=20,
    misses=100,
    gained=10,
    with_ttl=0.5,
    calls={"set": 60, "setex": 10, "get": 1000, "del": 4, "hset": 7, "rename": 3, "json.get": 9, "xack": 50},
)


@pytest.mark.parametrize(
    ("letter", "found"),
    [
        ("x", exactly(5)),
        ("e", exactly(20)),
        ("m", exactly(100)),
        ("$", exactly(70)),
        ("h", exactly(7)),
        ("l", exactly(0)),
        ("t", exactly(0)),
        ("g", Estimate(20 + 30, 20, 80)),
        ("n", Estimate(39, 35, 39)),
        ("o", Estimate(70 - 39, 70 - 39, 70)),
        ("d", Estimate(9, 0, 9)),
        ("c", None),
        ("K", None),
    ],
)
def test_each_class_is_reckoned_from_what_tells_of_it(letter: str, found: Estimate | None) -> None:
    assert events_of(letter, BUSY) == found


def test_without_statistics_of_commands_only_what_info_counts_is_known() -> None:
    plain = Traffic("a", expired=5, misses=1)
    assert events_of("x", plain) == exactly(5)
    assert events_of("$", plain) is None
    assert all_events_of("$", [BUSY, plain]) is None
    assert all_events_of("x", [BUSY, plain]) == exactly(10)


def test_keys_that_became_fewer_make_no_negative_events() -> None:
    assert events_of("n", Traffic("a", gained=-1000, expired=3, calls={"del": 2})) == exactly(0)


def test_an_event_is_told_once_for_each_channel_and_never_without_one() -> None:
    once, twice, never = (expected(flags, [BUSY]) for flags in ("Exe", "KExe", "xe"))
    assert once is not None
    assert twice is not None
    assert never is not None
    assert (once[1].value, twice[1].value, never[1].value) == (25, 50, 0)
    assert once[0].share == pytest.approx(25 * 2e-6)
    assert once[0].bytes == 2500


def test_a_stands_for_its_classes_and_what_is_not_known_is_named() -> None:
    found = expected("EAc", [BUSY, BUSY])
    assert found
    assert found[2] == "c"
    assert found[1].value == 2 * (5 + 20 + 70 + 7 + 50 + 9)
    assert found[1].low == 2 * (5 + 20 + 70 + 7 + 20)


def test_where_there_are_no_samples_nothing_is_said() -> None:
    assert expected("Ex", []) is None
    assert expected("E$", [Traffic("a")]) is None


def test_in_words() -> None:
    assert rate(None) == "not known"
    assert rate(exactly(1200)) == "1.2\u202fk/s"
    assert rate(Estimate(50, 20, 80)) == "20 to 80/s"
    assert rate(Estimate(9, 0, 9)) == "up to 9/s"
    found = expected("Ex", [BUSY])
    assert found
    assert in_words(found[0]) == "5 events/s (500\u202fB/s), under 0.1\u202f% of one core of the servers"
