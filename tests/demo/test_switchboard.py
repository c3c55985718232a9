"""The pattern is exchanged between two changes, and only when write-behind's queue is empty."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from dashboard.demo.knobs import PATTERNS, BadKnob, Knobs
from dashboard.demo.switchboard import StillQueued, Switchboard
from tests.programs import PATIENCE_SECONDS, wait_until


@dataclass
class Setting:
    """A switchboard over patterns that only have their names, and a queue of so many changes."""

    left: int = 0
    drained: int = 0
    applied: list[Knobs] = field(default_factory=list)

    def board(self, **knobs: Any) -> Switchboard:
        patterns: dict[str, Any] = {name: name for name in PATTERNS}
        return Switchboard(Knobs(**knobs), patterns, self.applied.append, self.drain)

    def drain(self, _seconds: float) -> int:
        self.drained += 1
        return self.left


def test_it_applies_the_knobs_it_starts_with_and_those_that_are_turned() -> None:
    setting = Setting()
    board = setting.board(latency_ms=3.0)
    board.turn({"pattern": "read-through"})
    assert setting.applied == [Knobs(latency_ms=3.0), Knobs(latency_ms=3.0, pattern="read-through")]
    assert (board.pattern, board.knobs) == ("read-through", setting.applied[-1])


def test_a_bad_knob_changes_nothing() -> None:
    setting = Setting()
    board = setting.board()
    with pytest.raises(BadKnob):
        board.turn({"pattern": "read-through", "latency_ms": "much"})
    assert board.knobs == Knobs()
    assert len(setting.applied) == 1


@pytest.mark.parametrize(("wanted", "drains"), [("write-through", 1), ("write-behind", 0)])
def test_the_queue_is_drained_before_another_pattern_writes(wanted: str, drains: int) -> None:
    setting = Setting()
    board = setting.board(pattern="write-behind")
    board.turn({"pattern": wanted, "jitter": False})
    assert (setting.drained, board.pattern) == (drains, wanted)


def test_what_the_database_does_not_take_keeps_the_pattern() -> None:
    setting = Setting(left=3)
    board = setting.board(pattern="write-behind")
    with pytest.raises(StillQueued, match="3 changes still wait"):
        board.turn({"pattern": "cache-aside"})
    assert board.knobs == Knobs(pattern="write-behind")
    with board.changing() as pattern:
        assert str(pattern) == "write-behind"


def test_a_change_under_way_ends_first_and_the_next_one_waits_for_the_new_pattern() -> None:
    setting, seen = Setting(), []
    board = setting.board(pattern="write-behind")

    def change() -> None:
        with board.changing() as pattern:
            seen.append(str(pattern))

    with board.changing():
        turning = threading.Thread(target=board.turn, args=({"pattern": "cache-aside"},))
        turning.start()
        wait_until(lambda: board._is_shut, "the gate is shut")
        later = threading.Thread(target=change)
        later.start()
        assert setting.drained == 0
        assert seen == []
    for thread in (turning, later):
        thread.join(PATIENCE_SECONDS)
    assert setting.drained == 1
    assert seen == ["cache-aside"]


def test_a_change_that_fails_does_not_hold_the_gate() -> None:
    board = Setting().board(pattern="write-behind")

    def failing(names: Sequence[int]) -> None:
        with board.changing():
            names[1]

    with pytest.raises(IndexError):
        failing([])
    assert board.turn({"pattern": "cache-aside"}).pattern == "cache-aside"
