"""Settings, changes and trials in words."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from dashboard.store import setting_changes, trials
from dashboard.store.setting_changes import NodeChange, SettingChange
from dashboard.store.trials import Purpose, State, Trial
from dashboard.views.eviction.setting_words import (
    CHANGE_KINDS,
    CHANGE_STATES,
    NODE_STATES,
    TRIAL_STATES,
    banner,
    in_short,
    steps_of,
    title_of,
    typed,
    where,
)

NOW = 1_764_000_000.0


def _node(node: str, before: str, after: str, primary: str = "", name: str = "maxmemory-policy") -> NodeChange:
    return NodeChange(node, primary or node, {name: before} if before else {}, {name: after})


def _change(*nodes: NodeChange, **wanted: str) -> SettingChange:
    return SettingChange(7, "shop", "change", "applied", wanted, False, nodes, "ada", "", "", NOW)


def _trial(state: State = "running", purpose: Purpose = "trial", **values: Any) -> Trial:
    given: dict[str, Any] = {
        "number": 3,
        "cache": "shop",
        "purpose": purpose,
        "state": state,
        "wanted": {"maxmemory-policy": "allkeys-lfu"},
        "replicas": False,
        "guards": {},
        "baseline": {},
        "notes": (),
        "comparison": None,
        "why": "",
        "actor": "ada",
        "address": "",
        "reason": "",
        "started_at": NOW,
        "seconds": 1800.0,
        "ends_at": NOW + 1800,
    }
    return Trial(**{**given, **values})


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("maxmemory", "67108864", "64mb"),
        ("maxmemory", str(3 * 1024**3), "3gb"),
        ("maxmemory", "67108865", "67108865"),
        ("maxmemory", "0", "0"),
        ("maxmemory-clients", "5%", "5%"),
        ("maxmemory-samples", "1024", "1024"),
        ("what-no-version-has", "1024", "1024"),
    ],
)
def test_a_value_as_one_would_type_it_means_the_same(name: str, value: str, text: str) -> None:
    assert typed(name, value) == text


def test_nodes_that_go_the_same_way_are_one_step() -> None:
    same = [_node(f"n{number}", "noeviction", "allkeys-lfu") for number in range(2)]
    replica = _node("r1", "noeviction", "allkeys-lfu", "n1")
    found = steps_of(_change(*same, replica, _node("n3", "volatile-ttl", "allkeys-lfu")))
    assert [(one.before, one.after, one.where) for one in found] == [
        ("noeviction", "allkeys-lfu", "2 primaries and 1 replica"),
        ("volatile-ttl", "allkeys-lfu", "1 primary"),
    ]
    assert found[0].nodes == ("n0", "n1", "r1")


def test_in_short_it_says_what_most_nodes_have_done() -> None:
    change = _change(
        _node("n3", "volatile-ttl", "allkeys-lfu"),
        *(_node(f"n{number}", "noeviction", "allkeys-lfu") for number in range(2)),
        _node("n0", "0", "67108864", name="maxmemory"),
    )
    assert in_short(change) == "policy noeviction → allkeys-lfu, memory limit no limit → 64\u202fMB"


def test_what_was_not_told_before_is_not_made_up() -> None:
    assert steps_of(_change(_node("n0", "", "allkeys-lfu")))[0].before == "not told"
    events = _node("n0", "", "KEA", name="notify-keyspace-events")
    assert steps_of(_change(events))[0].before == "off", "there, empty is a value"


def test_of_no_node_it_says_what_was_wanted() -> None:
    assert in_short(_change(**{"maxmemory-policy": "allkeys-lfu"})) == "policy allkeys-lfu"
    assert where([]) == "no node"


def test_a_measurement_is_no_trial() -> None:
    assert title_of(_trial()) == "Trial of policy allkeys-lfu"
    assert "measurement" in title_of(_trial(purpose="events"))


@pytest.mark.parametrize(
    ("trial", "now", "workers", "level", "sentence"),
    [
        (_trial(), NOW + 60, 1, "info", "It goes back by itself in"),
        (_trial(), NOW + 60, 0, "bad", "No worker runs: nobody watches it"),
        (_trial(), NOW + 2100, 1, "info", "Its time was over 5 min ago: it is being taken back."),
        (_trial(), NOW + 2100, 0, "bad", "Its time was over 5 min ago, and no worker runs to take it back."),
        (_trial("ending"), NOW + 60, 1, "info", "It is being taken back."),
        (_trial("stuck"), NOW + 60, 1, "bad", "It could not be taken back everywhere yet."),
    ],
)
def test_a_banner_says_how_it_stands(trial: Trial, now: float, workers: int, level: str, sentence: str) -> None:
    found = banner(trial, now, workers)
    assert found.level == level
    assert found.text.replace("\u202f", " ").startswith(sentence)


def test_only_what_goes_on_counts_down() -> None:
    assert banner(_trial(), NOW, 1).ends_at == NOW + 1800
    assert banner(_trial("stuck"), NOW, 1).ends_at is None
    assert banner(_trial(), NOW + 1801, 1).ends_at is None


def test_every_state_has_its_word() -> None:
    assert set(CHANGE_KINDS) == set(get_args(setting_changes.Kind))
    assert set(CHANGE_STATES) == set(setting_changes.STATES)
    assert set(NODE_STATES) == set(get_args(setting_changes.NodeState))
    assert set(TRIAL_STATES) == set(get_args(trials.State))
