"""How a comparison is put into words: who is ahead, and when nobody can say."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from dashboard.lab.comparison import Interval, Row
from dashboard.views.lab.comparison import KINDS, figures, stale_share, told

EMPTY = Row(**{one.name: None for one in fields(Row)})  # type: ignore[arg-type]


def rows(**values: tuple[float, float, float]) -> tuple[Row, ...]:
    """One row a pattern, whose p99 and hit ratio have these intervals (the ratio a hundredth of them)."""
    return tuple(
        replace(
            EMPTY,
            pattern=name.replace("_", "-"),
            p99_ms=Interval(*interval),
            hit_ratio=Interval(*(end / 100 for end in interval)),
        )
        for name, interval in values.items()
    )


def said(found: tuple[Row, ...], title: str = "Latency, p99") -> str:
    return next(one.says for one in figures(found) if one.title == title)


def test_one_is_ahead_where_its_interval_meets_no_other() -> None:
    found = rows(cache_aside=(10, 9, 11), write_behind=(5, 4, 6), write_through=(20, 18, 22))
    assert said(found) == "Write-behind is lowest."
    assert said(found, "Hit ratio") == "Write-through is highest."


def test_those_whose_intervals_meet_its_own_are_named() -> None:
    found = rows(cache_aside=(10, 4, 11), write_behind=(5, 4, 6), write_through=(20, 18, 22))
    assert said(found) == "Write-behind is lowest, not certainly before Cache-aside."


def test_nobody_is_ahead_where_all_meet() -> None:
    assert said(rows(cache_aside=(10, 4, 11), write_behind=(5, 4, 6))) == "None is certainly ahead."


def test_of_one_pattern_alone_nothing_is_said() -> None:
    assert said(rows(cache_aside=(10, 4, 11))) == ""


def test_bars_share_a_scale_that_holds_every_interval() -> None:
    found = rows(cache_aside=(10, 5, 20), write_behind=(5, 4, 6))
    (figure,) = [one for one in figures(found) if one.title == "Latency, p99"]
    assert [(bar.width, bar.low, bar.high) for bar in figure.bars] == [(50, 25, 100), (25, 20, 30)]


def test_a_hit_ratio_is_drawn_on_a_scale_up_to_one() -> None:
    (figure,) = [one for one in figures(rows(cache_aside=(50, 40, 60))) if one.title == "Hit ratio"]
    assert figure.bars[0].width == 50


def test_figures_that_nobody_has_are_left_out() -> None:
    assert [one.title for one in figures(rows(cache_aside=(1, 1, 1)))] == ["Hit ratio", "Latency, p99"]
    assert figures((EMPTY,)) == ()


def test_where_all_is_zero_there_is_still_a_scale() -> None:
    (figure,) = [one for one in figures(rows(cache_aside=(0, 0, 0))) if one.title == "Latency, p99"]
    assert (figure.bars[0].width, figure.bars[0].reach) == (0, "")


@pytest.mark.parametrize(
    ("kind", "interval", "words", "reach"),
    [
        ("Hit ratio", (0.931, 0.925, 0.94), "93.1 %", "92.5 to 94 %"),
        ("Latency, p99", (12.4, 11.0, 16.25), "12.4 ms", "11 to 16.2 ms"),
        ("Database queries", (1234.0, 999.0, 1300.0), "1.2 k/s", "999 to 1.3 k/s"),
        ("Stale reads", (0.0004, 0.0001, 0.02), "0.04 %", "0.01 to 2 %"),
    ],
)
def test_the_unit_of_an_interval_is_said_once(
    kind: str, interval: tuple[float, float, float], words: str, reach: str
) -> None:
    found = told(Interval(*interval), kind)
    assert tuple(one.replace("\u202f", " ") for one in found) == (words, reach)


def test_of_stale_reads_the_share_of_those_judged_is_told() -> None:
    share = stale_share(replace(EMPTY, stale_reads=0, reads_judged=1000))
    assert share
    assert (share.value, share.low) == (0, 0)
    assert 0.003 < share.high < 0.004  # Wilson: about z²/n
    assert stale_share(replace(EMPTY, stale_reads=0, reads_judged=0)) is None
    assert stale_share(EMPTY) is None


def test_every_kind_of_figure_has_its_words() -> None:
    for kind in KINDS:
        assert told(Interval(0.5, 0.5, 0.5), kind.title)[0]
        assert told(None, kind.title) == ("", "")
