"""Which keys look like the lock of another, and which only belong to the same thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.cache.stampedes.lock_signs import LONGEST_LOOKED_AT, SHORT_SECONDS, LockSigns

KEY = b"api:product:17"


@pytest.mark.parametrize(
    "lock",
    [
        b"lock:api:product:17",
        b"api:product:17:lock",
        b"api:lock:product:17",
        b"LOCK:api:product:17",
        b"{api:product:17}:mutex",
        b"app1:locks:api:product:17",
        b"api:product:17.lock",
        b"api:product:17-refreshing",
        b"api:productLock:17",
        b"inflight:api:product:17",
    ],
)
def test_a_name_with_a_word_for_a_lock_is_one(lock: bytes) -> None:
    signs = LockSigns()
    signs.written(lock, 5.0)
    assert signs.of(KEY, 4.0) == lock
    assert signs.of(KEY, 5.0) == lock
    assert signs.of(KEY, 6.0) is None
    assert signs.of(b"api:product:18", 0.0) is None


@pytest.mark.parametrize(
    "other",
    [
        KEY,
        b"api:product:170:lock",
        b"api:product:17:reviews",
        b"block:api:product:17",
        b"clock:api:product:17",
        b"api:product",
        b"lock:api:user:17",
        b"lock",
    ],
)
def test_other_keys_are_none(other: bytes) -> None:
    signs = LockSigns()
    signs.written(other, 5.0)
    assert signs.of(KEY, 0.0) is None


def test_a_name_without_such_a_word_is_one_when_it_is_soon_removed() -> None:
    signs = LockSigns()
    signs.written(b"l:api:product:17", 5.0)
    assert signs.of(KEY, 0.0) is None
    signs.removed(b"l:api:product:17", 5.2)
    assert signs.of(KEY, 5.0) == b"l:api:product:17"
    assert signs.of(KEY, 5.1) is None


def test_one_that_is_removed_late_or_was_not_written_is_none() -> None:
    signs = LockSigns()
    signs.written(b"api:product:17:reviews", 5.0)
    signs.removed(b"api:product:17:reviews", 5.0 + SHORT_SECONDS + 1)
    signs.removed(b"api:product:17:images", 6.0)
    for same in (KEY, b"api-product-17"):
        signs.written(same, 6.0)
        signs.removed(same, 6.1)
    assert signs.of(KEY, 0.0) is None


@given(st.lists(st.binary(max_size=40), max_size=200))
def test_whatever_is_written_its_memory_is_bounded(keys: list[bytes]) -> None:
    signs = LockSigns(most_written=10, most_signs=20)
    for at, key in enumerate(keys):
        signs.written(b"lock:" + key, at)
        signs.written(key, at)
        signs.removed(key, at)
    assert len(signs._written) <= 10
    assert len(signs._signs) <= 20


def test_a_name_of_a_megabyte_is_not_looked_at() -> None:
    signs = LockSigns()
    signs.written(b"lock:" + b"x:" * 500_000, 1.0)
    assert signs.of(b"x:" * LONGEST_LOOKED_AT, 0.0) is None
    assert not signs._signs
