"""A task is written into a row and read again, and what is forgotten never means every key."""

from __future__ import annotations

import pytest

from dashboard.cache.invalidation.mode import Gently, Mode, Now, Paced, Stale
from dashboard.cache.invalidation.task import Task, Tell, task_from_query
from dashboard.cache.selecting.selection import BadSelection, Selection


@pytest.mark.parametrize("mode", [Now(), Paced(0.5), Gently(300), Stale(10)])
@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(b"***"),
        Selection(b"a*", "hash", "<60", ">1024"),
        Selection(type="hash"),
        Selection(keys=(b"a", b"", b"\xff")),
        Selection(b"\xff\n*"),
    ],
)
@pytest.mark.parametrize("tell", [None, Tell("news", "key")])
def test_it_survives_being_written_down(selection: Selection, mode: Mode, tell: Tell | None) -> None:
    for vault in (True, False):
        task = Task(selection, mode, vault, tell)
        assert task_from_query(task.to_query()) == task


@pytest.mark.parametrize("query", [{}, {"pattern": ""}, {"mode": "now"}, {"keys": ""}, {"keys": "\n \n"}])
def test_nothing_said_is_not_every_key(query: dict[str, str]) -> None:
    with pytest.raises(BadSelection):
        task_from_query(query)
