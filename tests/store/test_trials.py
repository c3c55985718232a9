"""Trials in the store: one of a purpose at a time, through their states by whoever is first."""

from __future__ import annotations

import pytest

from dashboard.store import trials
from dashboard.store.engine import Store
from dashboard.store.setting_changes import Asked
from dashboard.store.trials import Draft, NoSuchTrial, OneIsOpen, Purpose, Trial

ASKED = Asked("ada", "10.0.0.1", "to see")


def _begun(store: Store, cache: str = "shop", purpose: Purpose = "trial") -> Trial:
    draft = Draft(cache, purpose, {"maxmemory": "1"}, 60, ASKED, guards={"evictions": 5}, baseline={"hits": 1})
    return trials.begin(store, draft)


def test_it_has_its_deadline_from_its_beginning(store: Store) -> None:
    trial = _begun(store)
    assert trials.get(store, trial.number) == trial
    assert (trial.state, trial.open, trial.ends_at) == ("starting", True, trial.started_at + 60)
    assert (trial.guards, trial.baseline, trial.wanted) == ({"evictions": 5}, {"hits": 1}, {"maxmemory": "1"})


def test_of_each_purpose_a_cache_has_one(store: Store) -> None:
    trial = _begun(store)
    with pytest.raises(OneIsOpen):
        _begun(store)
    others = [_begun(store, purpose="events"), _begun(store, "other")]
    assert trials.open_on(store, ["shop", "other"]) == [trial, *others]
    assert trials.open_on(store, ["shop"]) == [trial, others[0]]
    assert trials.go(store, trial, "kept")
    assert _begun(store).number > trial.number


def test_of_two_that_see_the_same_state_one_goes_on(store: Store) -> None:
    trial = _begun(store)
    running = trials.go(store, trial, "running", change=7)
    assert running
    assert (running.state, running.change) == ("running", 7)
    assert trials.go(store, trial, "ending") is None
    ending = trials.go(store, running, "ending", why="It was time.")
    assert trials.go(store, running, "ending") is None
    assert ending
    ended = trials.go(store, ending, "reverted", taken_back=8, comparison={"figures": []})
    assert ended
    assert (ended.open, ended.why, ended.taken_back, ended.change) == (False, "It was time.", 8, 7)
    assert ended.ended_at
    assert trials.open_on(store, ["shop"]) == []
    assert trials.of_cache(store, "shop") == [ended]
    assert trials.of_cache(store, "shop", purpose="events") == []


def test_what_happened_is_noted_once_and_not_without_end(store: Store) -> None:
    trial = _begun(store)
    trials.note(store, trial.number, ["one", "two"])
    trials.note(store, trial.number, ["two", "three"])
    found = trials.get(store, trial.number)
    assert found
    assert found.notes == ("one", "two", "three")
    trials.note(store, trial.number, [str(number) for number in range(1000)])
    found = trials.get(store, trial.number)
    assert found
    assert len(found.notes) == trials.MOST_NOTES
    with pytest.raises(NoSuchTrial):
        trials.note(store, 99, ["nowhere"])


@pytest.mark.parametrize("number", [0, -1, 99, 2**63])
def test_what_is_not_there_is_none(store: Store, number: int) -> None:
    assert trials.get(store, number) is None
