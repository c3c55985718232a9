from __future__ import annotations

import pytest

from dashboard.views.duration_input import BadDuration, parse_duration, with_units


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("10 000", 10_000),
        ("1\u202f000\u202f000", 1_000_000),
        ("1\u00a0000", 1_000),
        ("15m", 900),
        ("15 min", 900),
        ("2h", 7200),
        ("1d 12h", 129_600),
        ("1h30m", 5400),
        (" 5 s ", 5),
    ],
)
def test_it_reads(typed: str, seconds: float) -> None:
    assert parse_duration(typed, least=1, most=1e9) == seconds


@pytest.mark.parametrize(
    "typed", ["", " ", "1h30", "5 5m", "1 00", "10 0000", "-5", "1e3", "5 mins", "h", "5m x", "٣", "5,5"]
)
def test_it_refuses_what_could_mean_two_things(typed: str) -> None:
    with pytest.raises(BadDuration):
        parse_duration(typed, least=1, most=1e9)


def test_it_keeps_to_the_bounds() -> None:
    with pytest.raises(BadDuration, match="between 1 s and 10 days"):
        parse_duration("11d", least=1, most=864_000)
    with pytest.raises(BadDuration):
        parse_duration("0.5", least=1, most=864_000)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("900", "15m"),
        ("5400", "1h 30m"),
        ("0.5", "0.5"),
        ("10%", "10%"),
        ("2h", "2h"),
        ("", ""),
        ("9" * 400, "9" * 400),
    ],
)
def test_plain_seconds_are_filled_in_with_their_units(text: str, filled: str) -> None:
    assert with_units(text) == filled
