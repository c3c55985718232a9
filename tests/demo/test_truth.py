"""Stale reads and lost writes, as the driver knows them."""

from __future__ import annotations

from dashboard.demo.visitors.truth import MOST_CHANGES, Row, Truth

ALICE: Row = ("user", 1)
BOB: Row = ("user", 2)


def test_the_newest_acknowledged_version_is_what_a_read_has_to_show() -> None:
    truth = Truth()
    assert truth.newest(ALICE) == 0
    truth.acknowledged(ALICE, 7, before=0)
    truth.acknowledged(ALICE, 6, before=0)  # sent earlier, answered later
    assert truth.newest(ALICE) == 7
    assert truth.newest(BOB) == 0
    assert truth.lost == 0


def test_what_the_database_has_is_settled_and_not_asked_again() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 2, before=0)
    truth.acknowledged(BOB, 5, before=0)
    asked = truth.unsettled(10)
    assert asked == {ALICE: (2,), BOB: (5,)}
    assert truth.settle(asked, {ALICE: 2, BOB: 6}) == 0
    assert truth.unsettled(10) == {}
    assert truth.lost == 0


def test_every_acknowledged_change_that_the_database_does_not_have_is_lost() -> None:
    truth = Truth()
    for version in (2, 3, 4):
        truth.acknowledged(ALICE, version, before=version - 1)
    assert truth.settle(truth.unsettled(10), {ALICE: 2}) == 2
    assert truth.lost == 2


def test_a_loss_is_counted_once_and_its_reads_are_not_stale_as_well() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 4, before=0)
    truth.settle(truth.unsettled(10), {ALICE: 3})
    assert truth.newest(ALICE) == 3
    assert truth.unsettled(10) == {}
    assert truth.lost == 1


def test_a_row_that_is_gone_has_lost_its_changes() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 2, before=0)
    assert truth.settle(truth.unsettled(10), {}) == 1
    assert truth.unsettled(10) == {}


def test_a_change_made_while_the_database_was_asked_is_not_lost() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 2, before=0)
    asked = truth.unsettled(10)
    truth.acknowledged(ALICE, 3, before=2)
    assert truth.settle(asked, {ALICE: 2}) == 0
    assert truth.unsettled(10) == {ALICE: (3,)}
    assert truth.newest(ALICE) == 3


def test_two_who_ask_at_the_same_time_do_not_count_a_loss_twice() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 2, before=0)
    asked = truth.unsettled(10)
    assert truth.settle(asked, {ALICE: 1}) == 1
    assert truth.settle(asked, {ALICE: 1}) == 0
    assert truth.lost == 1


def test_a_version_given_a_second_time_tells_of_changes_that_were_forgotten() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 5, before=0)
    truth.acknowledged(ALICE, 6, before=5)
    truth.acknowledged(ALICE, 5, before=6)  # made from version 4: nobody knew of 5 and 6
    assert truth.lost == 2
    assert truth.newest(ALICE) == 5
    assert truth.settle(truth.unsettled(10), {ALICE: 5}) == 0


def test_a_version_that_the_database_has_from_another_change_is_a_loss() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 5, before=0)
    truth.settle(truth.unsettled(10), {ALICE: 5})
    truth.acknowledged(ALICE, 5, before=5)
    assert truth.lost == 1


def test_two_changes_at_once_that_got_the_same_version_are_one_loss() -> None:
    truth = Truth()
    truth.acknowledged(ALICE, 5, before=4)
    truth.acknowledged(ALICE, 5, before=4)
    assert truth.lost == 1


def test_a_row_that_the_shop_does_not_tell_of_is_never_asked_about() -> None:
    truth = Truth()
    truth.acknowledged(("posts", 1), 5, before=0)
    assert truth.newest(("posts", 1)) == 5
    assert truth.unsettled(10) == {}


def test_memory_is_bounded() -> None:
    truth = Truth(most_rows=10)
    for number in range(100):
        truth.acknowledged(("user", number), 2, before=0)
    assert list(truth.unsettled(1000)) == [("user", number) for number in range(90, 100)]
    assert truth.newest(("user", 0)) == 0
    assert truth.newest(("user", 99)) == 2
    for version in range(3, 1000):
        truth.acknowledged(("user", 99), version, before=version - 1)
    assert len(truth.unsettled(1000)["user", 99]) == MOST_CHANGES
    assert truth.lost == 0
