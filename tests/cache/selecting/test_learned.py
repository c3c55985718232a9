"""Parts of names that must vary because there are so many of them are folded; real namespaces are not."""

from __future__ import annotations

from dashboard.cache.selecting.learned import ENOUGH_KEYS, FEW_KEYS, MANY, Learned


def _users(number: int, keys: int = 1) -> dict[bytes, int]:
    return {b"user:%s:cart" % _word(n): keys for n in range(number)}


def _word(number: int) -> bytes:
    """A name without any digit."""
    return bytes(97 + int(digit) for digit in str(number))


def test_user_names_are_folded_into_one_namespace() -> None:
    renamed = Learned(b":").learn(_users(MANY + 1), ENOUGH_KEYS)
    assert set(renamed) == set(_users(MANY + 1))
    assert set(renamed.values()) == {b"user:*:cart"}


def test_names_that_come_later_are_folded_too() -> None:
    learned = Learned(b":")
    assert learned.fold(b"user:zoe:cart") == b"user:zoe:cart"
    learned.learn(_users(MANY + 1), ENOUGH_KEYS)
    assert learned.fold(b"user:zoe:cart") == b"user:*:cart"
    assert learned.fold(b"user:%s:orders:open" % _word(7)) == b"user:*:orders:open"  # known to vary
    assert learned.fold(b"user:zoe:orders:open") == b"user:zoe:orders:open"  # what so stands there is not known yet
    assert learned.fold(b"guest:zoe:cart") == b"guest:zoe:cart"
    assert learned.fold(b"user") == b"user"


def test_names_of_another_form_are_not_taken_along() -> None:
    """Thousands of names without any separator say nothing about `export` in `export:report:42`."""
    rows = {_word(n): 1 for n in range(5000)} | {b"export:report:*": 3, b"queue:mail": 1}
    renamed = Learned(b":").learn(rows, ENOUGH_KEYS)
    assert set(renamed.values()) == {b"*"}
    assert not {b"export:report:*", b"queue:mail"} & set(renamed)


def test_at_the_end_few_keys_are_enough() -> None:
    rows = _users(MANY + 1)
    assert Learned(b":").learn(rows, MANY + 1) == {}
    assert set(Learned(b":").learn(rows, MANY + 1, ended=True).values()) == {b"user:*:cart"}


def test_a_child_with_a_small_share_of_many_keys_is_no_namespace() -> None:
    rows = {b"user:%s:cart" % _word(n): 10 for n in range(10_000)} | {b"user:anna*:cart": 90, b"user:system:cart": 5000}
    renamed = Learned(b":").learn(rows, 105_090)
    assert renamed[b"user:anna*:cart"] == b"user:*:cart"
    assert b"user:system:cart" not in renamed


def test_what_stands_below_a_folded_part_is_told_apart() -> None:
    rows = _users(MANY + 1) | {b"user:%s:orders" % _word(n): 2 for n in range(MANY + 1)}
    assert set(Learned(b":").learn(rows, ENOUGH_KEYS).values()) == {b"user:*:cart", b"user:*:orders"}


def test_hundreds_of_real_namespaces_are_not_folded() -> None:
    rows = {b"team:%s:jobs" % _word(n): FEW_KEYS + 1 for n in range(900)}
    assert Learned(b":").learn(rows, ENOUGH_KEYS) == {}


def test_a_large_namespace_among_user_names_stays_one() -> None:
    learned = Learned(b":")
    rows = _users(MANY + 1) | {b"user:settings:cart": FEW_KEYS + 1}
    renamed = learned.learn(rows, ENOUGH_KEYS)
    assert b"user:settings:cart" not in renamed
    assert learned.fold(b"user:settings:cart") == b"user:settings:cart"


def test_as_many_children_as_a_namespace_may_have_are_kept() -> None:
    assert Learned(b":").learn(_users(MANY), ENOUGH_KEYS) == {}


def test_what_is_folded_is_folded_at_every_depth() -> None:
    rows = {b"a:%s:b:%s" % (_word(n), _word(m)): 1 for n in range(40) for m in range(40)} | {
        b"w%s:x" % _word(n): 1 for n in range(MANY + 1)
    }
    renamed = Learned(b":").learn(rows, ENOUGH_KEYS)
    # `a` has 1600 keys and stays; its 40 children have 40 keys each and stay; theirs have one each, 40 of them.
    assert set(renamed.values()) == {b"*:x"}


def test_nothing_is_learned_from_little() -> None:
    assert Learned(b":").learn(_users(MANY + 1), ENOUGH_KEYS - 1) == {}


def test_a_fold_learned_is_the_same_for_every_separator() -> None:
    rows = {name.replace(b":", b"::"): keys for name, keys in _users(MANY + 1).items()}
    assert set(Learned(b"::").learn(rows, ENOUGH_KEYS).values()) == {b"user::*::cart"}
