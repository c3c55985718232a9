"""The history of settings: written before anything is sent, and how it ended."""

from __future__ import annotations

import pytest

from dashboard.store import setting_changes
from dashboard.store.engine import Store
from dashboard.store.setting_changes import Asked, NodeChange, NoSuchChange, SettingChange, settled

ASKED = Asked("ada", "10.0.0.1", "to see")
NODES = (
    NodeChange("a:1", "a:1", {"maxmemory": "0"}, {"maxmemory": "1048576"}),
    NodeChange("b:1", "a:1", {"maxmemory": "0"}, {"maxmemory": "1048576"}),
)


def _begun(store: Store, cache: str = "shop", **options: object) -> SettingChange:
    return setting_changes.begin(store, cache, "change", {"maxmemory": "1048576"}, NODES, ASKED, **options)  # type: ignore[arg-type]


def test_it_stands_there_before_it_is_sent(store: Store) -> None:
    begun = _begun(store)
    found = setting_changes.get(store, begun.number)
    assert found == begun
    assert (found.state, found.nodes, found.actor, found.reason) == ("applying", NODES, "ada", "to see")
    assert [one.is_replica for one in found.nodes] == [False, True]


def test_how_far_it_got_is_noted_and_how_it_ended(store: Store) -> None:
    begun = _begun(store)
    done = NodeChange("a:1", "a:1", {"maxmemory": "0"}, {"maxmemory": "1048576"}, "applied", {"maxmemory": "1048576"})
    assert setting_changes.note(store, begun.number, [done, NODES[1]]).state == "applying"
    ended = setting_changes.note(store, begun.number, [done, NODES[1]], "partial")
    assert setting_changes.get(store, begun.number) == ended
    assert [one.state for one in ended.nodes] == ["applied", "waiting"]
    with pytest.raises(NoSuchChange):
        setting_changes.note(store, 99, NODES)


def test_a_cache_has_its_own_history_newest_first(store: Store) -> None:
    first, other, second = _begun(store), _begun(store, "other"), _begun(store, takes_back=1)
    assert [one.number for one in setting_changes.of_cache(store, "shop")] == [second.number, first.number]
    assert setting_changes.of_cache(store, "shop", before=second.number) == [first]
    assert setting_changes.since(store, "shop", first.number) == [first, second]
    assert setting_changes.of_cache(store, "other") == [other]
    assert second.takes_back == 1


@pytest.mark.parametrize("number", [0, -1, 99, 2**63, 10**30])
def test_what_is_not_there_is_none(store: Store, number: int) -> None:
    assert setting_changes.get(store, number) is None


def test_what_was_written_into_files_is_marked_for_that_cache(store: Store) -> None:
    mine, other = _begun(store), _begun(store, "other")
    setting_changes.all_persisted(store, "shop", 12.0)
    kept = setting_changes.get(store, mine.number)
    assert kept
    assert kept.persisted_at == 12.0
    assert setting_changes.get(store, other.number) == other


def test_what_a_server_says_may_be_anything(store: Store) -> None:
    begun = _begun(store)
    bad = NodeChange("a:1", "a:1", {}, {}, "refused", {}, "no\x00t \ud800 so")
    assert "\x00" not in setting_changes.note(store, begun.number, [bad], "failed").nodes[0].sentence


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["applied", "applied"], "applied"),
        (["applied", "refused"], "partial"),
        (["applied", "waiting"], "partial"),
        (["unknown"], "partial"),
        (["different"], "partial"),
        (["refused", "waiting"], "failed"),
        ([], "applied"),
    ],
)
def test_a_change_ends_as_its_nodes_have(states: list[str], expected: str) -> None:
    assert settled([NodeChange("a", "a", {}, {}, state) for state in states]) == expected  # type: ignore[arg-type]
