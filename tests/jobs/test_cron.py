"""Cron expressions: five fields, in UTC, that come some day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.jobs import cron
from dashboard.jobs.cron import BadCron


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("0 3 * * *", "2026-03-29 02:59", "2026-03-29 03:00"),
        ("0 3 * * *", "2026-03-29 03:00", "2026-03-30 03:00"),  # after, not at
        ("*/15 * * * *", "2026-01-01 00:14:59", "2026-01-01 00:15"),
        ("30 2 * * mon-fri", "2026-10-24 00:00", "2026-10-26 02:30"),  # no hour is skipped or doubled in UTC
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 0 L * *", "2026-02-01 00:00", "2026-02-28 00:00"),
    ],
)
def test_it_tells_when_it_is_due_next(expression: str, after: str, then: str) -> None:
    assert cron.next_after(expression, _at(after)) == _at(then)


def test_it_tells_several_times() -> None:
    times = cron.next_times("0 */12 * * *", _at("2026-01-01 01:00"), 3)
    assert times == [_at("2026-01-01 12:00"), _at("2026-01-02 00:00"), _at("2026-01-02 12:00")]


@pytest.mark.parametrize(
    "expression",
    ["", " ", "0 3 * *", "0 3 * * * *", "@daily", "60 3 * * *", "0 0 30 2 *", "a b c d e", "0 3 * * * # x", "* " * 200],
)
def test_it_refuses_what_says_nothing_sensible(expression: str) -> None:
    with pytest.raises(BadCron, match=r"\.$"):
        cron.normal(expression)


def test_white_space_does_not_matter() -> None:
    assert cron.normal("  0 3\t* *\n* ") == "0 3 * * *"


def test_it_says_it_in_words() -> None:
    assert cron.in_words("0 3 * * *") == "At 03:00 every day"
