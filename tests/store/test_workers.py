"""Which workers live, as each says of itself."""

from __future__ import annotations

import pytest

from dashboard.store import workers
from dashboard.store.engine import Store

NOW = 1_700_000_000.0


def test_nobody_lives_in_a_fresh_store(store: Store) -> None:
    assert workers.alive(store) == 0


def test_a_worker_lives_while_it_says_so(store: Store) -> None:
    workers.beat(store, "one", NOW)
    workers.beat(store, "two", NOW)
    workers.beat(store, "one", NOW + 15)
    assert workers.alive(store, NOW + 15) == 2
    assert workers.alive(store, NOW + 25) == 1
    assert workers.alive(store, NOW + 60) == 0


def test_one_that_is_stopped_does_not(store: Store) -> None:
    workers.beat(store, "one", NOW)
    workers.leave(store, "one")
    assert workers.alive(store, NOW) == 0


@pytest.mark.parametrize("back", [1, 3600])
def test_a_clock_that_was_set_back_buries_nobody(store: Store, back: float) -> None:
    workers.beat(store, "one", NOW)
    assert workers.alive(store, NOW - back) == 1
