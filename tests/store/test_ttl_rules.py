"""TTL rules: a starting set, rules for one cache or for all, and no more than a server can check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.demo.keyspace import Keyspace
from dashboard.store import ttl_rules
from dashboard.store.engine import Store
from dashboard.store.ttl_rules import EVERY_CACHE, MOST, Draft, PatternTaken, TooManyRules, UnknownRule

KEYS = Keyspace()
DRAFT = Draft("main", b"report:*", 60.0, 600.0, "reports")


def _patterns(store: Store, cache: str) -> list[bytes]:
    return [rule.pattern for rule in ttl_rules.for_cache(store, cache)]


def test_it_starts_with_a_set_for_every_cache_each_with_its_reason(store: Store) -> None:
    rules = ttl_rules.for_cache(store, "any")
    assert len(rules) > 5
    assert all(rule.built_in and rule.cache == EVERY_CACHE and rule.reason for rule in rules)
    assert [Rule(rule.pattern, rule.low, rule.high, rule.reason, rule.id) for rule in rules]


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        (KEYS.session("0a1b"), 900, 1800),
        ("spring:session:sessions:7", 900, 1800),
        (KEYS.user(42), 3600, 86400),
        ("app:profile:42", 3600, 86400),
        ("user:1:profile", 3600, 86400),
        (KEYS.catalogue, 3600, 21600),
        (KEYS.product(17), 3600, 21600),
        (KEYS.search(("red", "shoes"), 1), 300, 900),
        (KEYS.rate("0a1b", 9), 1, 3600),
        (KEYS.price("SKU-1"), 30, 60),
        ("shop:item:1:price", 30, 60),
        (KEYS.online(9), 30, 60),
    ],
)
def test_the_starting_set_knows_common_names_and_those_of_the_demo_shop(
    key: str, low: float, high: float, store: Store
) -> None:
    rules = [Rule(rule.pattern, rule.low, rule.high) for rule in ttl_rules.for_cache(store, "main")]
    assert {(rule.low, rule.high) for rule in rules if rule.covers(key.encode())} == {(low, high)}


@pytest.mark.parametrize("key", ["user:1:cart", "user:1:orders", "user:1", KEYS.cart("0a1b"), KEYS.orders])
def test_the_starting_set_takes_no_key_whose_kind_its_name_does_not_tell(key: str, store: Store) -> None:
    rules = [Rule(rule.pattern, rule.low, rule.high) for rule in ttl_rules.for_cache(store, "main")]
    assert [rule.pattern for rule in rules if rule.covers(key.encode())] == []


def test_a_rule_of_one_cache_leaves_the_others_alone(store: Store) -> None:
    made = ttl_rules.create(store, DRAFT)
    assert not made.built_in
    assert ttl_rules.by_id(store, made.id) == made
    assert b"report:*" in _patterns(store, "main")
    assert b"report:*" not in _patterns(store, "other")


def test_a_rule_of_one_cache_takes_the_place_of_the_general_one_with_its_pattern(store: Store) -> None:
    ttl_rules.create(store, replace(DRAFT, pattern=b"sess:*"))
    mine = [rule for rule in ttl_rules.for_cache(store, "main") if rule.pattern == b"sess:*"]
    others = [rule for rule in ttl_rules.for_cache(store, "other") if rule.pattern == b"sess:*"]
    assert [rule.cache for rule in mine] == ["main"]
    assert [rule.cache for rule in others] == [EVERY_CACHE]


def test_a_built_in_rule_is_changed_and_removed_like_any_other(store: Store) -> None:
    first = ttl_rules.for_cache(store, "main")[0]
    changed = ttl_rules.change(store, first.id, Draft(EVERY_CACHE, b"s:*", 1.0, 2.0, "ours"))
    assert (changed.id, changed.pattern, changed.low, changed.built_in) == (first.id, b"s:*", 1.0, True)
    assert ttl_rules.remove(store, first.id) == changed
    assert b"s:*" not in _patterns(store, "main")
    assert ttl_rules.by_id(store, first.id) is None


def test_a_pattern_has_one_rule(store: Store) -> None:
    made = ttl_rules.create(store, DRAFT)
    other = ttl_rules.create(store, replace(DRAFT, pattern=b"bill:*"))
    with pytest.raises(PatternTaken):
        ttl_rules.create(store, DRAFT)
    with pytest.raises(PatternTaken):
        ttl_rules.change(store, other.id, DRAFT)
    assert ttl_rules.by_id(store, made.id) == made
    assert ttl_rules.by_id(store, other.id) == other


def test_any_bytes_are_kept_as_a_pattern(store: Store) -> None:
    made = ttl_rules.create(store, replace(DRAFT, pattern=b"\xff\x00*"))
    assert ttl_rules.by_id(store, made.id) == made


def test_no_cache_has_more_rules_than_a_script_can_check(store: Store) -> None:
    room = MOST - len(ttl_rules.for_cache(store, "main"))
    made = [ttl_rules.create(store, replace(DRAFT, pattern=b"%d:*" % number)) for number in range(room)]
    with pytest.raises(TooManyRules):
        ttl_rules.create(store, DRAFT)
    with pytest.raises(TooManyRules):
        ttl_rules.create(store, replace(DRAFT, cache=EVERY_CACHE))
    elsewhere = ttl_rules.create(store, replace(DRAFT, cache="other"))
    with pytest.raises(TooManyRules):
        ttl_rules.change(store, elsewhere.id, DRAFT)
    ttl_rules.remove(store, made[0].id)
    ttl_rules.create(store, DRAFT)
    assert len(ttl_rules.for_cache(store, "main")) == MOST


@pytest.mark.parametrize("number", [0, -1, 4711, 2**40])
def test_a_rule_that_is_not_there_is_said_to_be_unknown(number: int, store: Store) -> None:
    assert ttl_rules.by_id(store, number) is None
    with pytest.raises(UnknownRule):
        ttl_rules.change(store, number, DRAFT)
    with pytest.raises(UnknownRule):
        ttl_rules.remove(store, number)
