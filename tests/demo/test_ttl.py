"""TTLs by class, with and without jitter, within what Cachedeck's own rules say of such keys."""

from __future__ import annotations

import importlib
import random
from fnmatch import fnmatchcase

import pytest

from dashboard.demo.caching.ttl import DOCUMENT_SECONDS, JITTER, TTL_SECONDS, Lifetimes
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.prevention.revalidate import Revalidate

RULES = importlib.import_module("dashboard.store.migrations.versions.r0003_ttl_rules").STARTING_SET
KEYS = Keyspace()
KEY_OF = {
    "profile": KEYS.user(42),
    "posts": KEYS.posts(42),
    "product": KEYS.product(17),
    "search": KEYS.search(("red", "shoes"), 1),
    "price": KEYS.price("SKU-00017"),
    "catalogue": KEYS.catalogue,
    "session": KEYS.session("00000000000000aa"),
    "cart": KEYS.cart("00000000000000aa"),
    "rate": KEYS.rate("00000000000000aa", 7),
    "online": KEYS.online(7),
}


@pytest.mark.parametrize("ttl_class", TTL_SECONDS)
def test_without_jitter_keys_of_a_class_live_equally_long(ttl_class: str) -> None:
    assert {Lifetimes().of(ttl_class) for _ in range(50)} == {TTL_SECONDS[ttl_class]}


@pytest.mark.parametrize("ttl_class", TTL_SECONDS)
def test_jitter_spreads_them_evenly_by_its_share(ttl_class: str) -> None:
    lifetimes = Lifetimes(JITTER, random.Random(5).uniform)
    drawn = [lifetimes.of(ttl_class) / TTL_SECONDS[ttl_class] for _ in range(4000)]
    assert all(0.9 <= share <= 1.1 for share in drawn)
    # A uniform draw of this width has its quarters at 0.95, 1.00 and 1.05.
    for bound, expected in ((0.95, 0.25), (1.0, 0.5), (1.05, 0.75)):
        assert sum(share < bound for share in drawn) / len(drawn) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("ttl_class", TTL_SECONDS)
def test_they_lie_within_the_built_in_rules_with_jitter_and_grace(ttl_class: str) -> None:
    rules = [(low, high) for pattern, low, high, _why in RULES if fnmatchcase(KEY_OF[ttl_class], pattern)]
    assert bool(rules) is (ttl_class != "cart"), "a cart is the one for which there is no rule"
    shortest, longest = (TTL_SECONDS[ttl_class] * (1 + sign * JITTER) for sign in (-1, 1))
    if ttl_class in DOCUMENT_SECONDS:
        longest = Revalidate().life(longest)
    for low, high in rules:
        assert low <= shortest <= longest <= high


def test_jitter_is_switched_while_the_shop_runs() -> None:
    lifetimes = Lifetimes()
    lifetimes.jitter = JITTER
    assert len({lifetimes.of("profile") for _ in range(20)}) > 1
    lifetimes.jitter = 0.0
    assert len({lifetimes.of("profile") for _ in range(20)}) == 1


def test_the_scale_is_of_documents_alone() -> None:
    lifetimes = Lifetimes(scale=0.001)
    assert lifetimes.of("profile") == pytest.approx(7.2)
    assert {
        lifetimes.of(ttl_class) / TTL_SECONDS[ttl_class] for ttl_class in ("session", "cart", "rate", "online")
    } == {1.0}
