"""Which jobs may change the same keys."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.cache.selecting.selection import Selection
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.overlap import changing, may_share, overlapping
from dashboard.store.jobs import Job


def job(about: int | None = 7, kind: str = "invalidate", **given: Any) -> Job:
    return Job(1, "main", kind, given, "otto", "local", 1.0, 1.0, None, "running", None, "", "", False, about=about)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (Selection(b"api:*"), Selection(b"api:user:*"), True),
        (Selection(b"api:*"), Selection(b"*:1"), True),
        (Selection(b"api:*"), Selection(b"sess:*"), False),
        (Selection(keys=(b"api:1", b"x")), Selection(b"api:*"), True),
        (Selection(keys=(b"x", b"y")), Selection(b"api:*"), False),
        (Selection(keys=(b"x", b"y")), Selection(keys=(b"y",)), True),
        (Selection(keys=(b"x",)), Selection(keys=(b"y",)), False),
        (Selection(b"*", type="hash"), Selection(b"*", type="Hash"), True),
        (Selection(b"*", type="hash"), Selection(b"*", type="string"), False),
        (Selection(b"*", ttl="none"), Selection(b"*", ttl="any"), True),
    ],
)
def test_two_selections_share_keys_where_a_key_could_be_in_both(one: Selection, other: Selection, shared: bool) -> None:
    assert may_share(one, other) is may_share(other, one) is shared


def test_jobs_of_all_kinds_that_change_keys_are_compared() -> None:
    assert changing() == {name for name, kind in KINDS.items() if kind.audits}
    assert {"invalidate", "invalidate.undo", "retime"} <= changing()
    assert "analysis" not in changing()
    retiming = job(None, "retime", selection={"pattern": "api:user:*"}, change={"jitter": "300"})
    assert overlapping([retiming], Selection(b"api:*")) == [retiming]
    assert overlapping([retiming], Selection(b"sess:*")) == []


def test_an_undo_of_a_part_is_about_that_part() -> None:
    undo = job(7, "invalidate.undo", task={"pattern": "api:*"}, pattern="api:user:*")
    assert overlapping([undo], Selection(b"api:user:1")) == [undo]
    assert overlapping([undo], Selection(b"api:page:*")) == []


def test_jobs_of_the_same_invalidation_are_left_out() -> None:
    assert overlapping([job(7, task={"pattern": "api:*"})], Selection(b"api:*"), besides=7) == []
    assert overlapping([job(8, task={"pattern": "api:*"})], Selection(b"api:*"), besides=7)


@pytest.mark.parametrize("given", [{}, {"task": {"pattern": ""}}, {"task": 5}, {"selection": {"ttl": "soon"}}])
def test_one_that_cannot_be_read_may_change_any_key(given: dict[str, Any]) -> None:
    assert overlapping([job(8, **given)], Selection(b"api:*"))
