"""The flags of notify-keyspace-events, without a server."""

from __future__ import annotations

import pytest

from dashboard.cache.events.subscription import from_pairs
from dashboard.cache.notifications.flags import (
    BY_LETTER,
    FLAGS,
    IN_A,
    OF_FIELDS,
    ORDER,
    all_flags,
    knows,
    missing_flags,
    written,
)
from dashboard.cache.servers.setting import FLAGS as TAKEN


def test_the_flags_that_are_described_are_those_that_a_setting_may_have() -> None:
    assert {flag.letter for flag in FLAGS} == set(ORDER)
    assert set(ORDER) | {"A"} | set(OF_FIELDS) == TAKEN
    assert len(FLAGS) == len(BY_LETTER)


def test_a_stands_for_ten_classes() -> None:
    assert all_flags("AK") == set("g$lshzxetdK")
    assert written("$lshzxetdgEm") == "EAm"
    assert written("xeE") == "Exe"
    assert written("") == ""


def test_flags_that_nobody_knows_yet_are_kept() -> None:
    assert written("E?x") == "Ex?"


@pytest.mark.parametrize(
    ("asked", "on", "missing"),
    [
        ([("event", "expired")], "", "Ex"),
        ([("event", "expired")], "Ex", ""),
        ([("event", "expired")], "KA", "E"),
        ([("event", "expired"), ("event", "evicted")], "Ex", "e"),
        ([("event", "keymiss")], "KEA", "m"),
        ([("event", "set")], "KEg", "$"),
        ([("event", "del")], "KE$", "g"),
        ([("event", "*")], "", "EA"),
        ([("event", "*")], "Ex", ""),
        ([("event", "*")], "Em", ""),
        ([("event", "ex*")], "Em", "xg"),
        ([("event", "key*")], "EA", "m"),
        ([("event", "json.set")], "", "EA"),
        ([("event", "json.set")], "Ed", ""),
        ([("key", "user:*")], "", "KA"),
        ([("key", "user:*")], "E$", "K"),
        ([("key", "user:*")], "K$", ""),
        ([("key", "user:*"), ("event", "expired")], "", "KEA"),
        ([("channel", "news"), ("tracking", "user:")], "", ""),
    ],
)
def test_it_says_what_a_subscription_lacks(asked: list[tuple[str, str]], on: str, missing: str) -> None:
    assert missing_flags({"10.0.0.1:6379": on}, from_pairs(asked)) == missing


def test_one_primary_that_tells_less_is_enough_to_lack_something() -> None:
    told = {"10.0.0.1:6379": "KEA", "10.0.0.2:6379": "Ke"}
    assert missing_flags(told, from_pairs([("event", "expired")])) == "Ex"


def test_versions_that_lack_a_flag_are_known() -> None:
    assert not knows(BY_LETTER["n"], "Redis", (6, 2, 14))
    assert knows(BY_LETTER["n"], "Redis", (7, 0, 15))
    assert knows(BY_LETTER["n"], "Valkey", (7, 2, 5))
    assert not knows(BY_LETTER["o"], "Valkey", (9, 0))
    assert knows(BY_LETTER["o"], "Redis", (8, 2))
    assert all(knows(flag, "", ()) for flag in FLAGS)
    assert set(IN_A) <= {flag.letter for flag in FLAGS if knows(flag, "Redis", (6, 2))}
