"""Stampedes in made-up streams of events: told once, with what was seen, and in bounded memory."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.cache.stampedes.count import (
    ABSENT_SECONDS,
    LEAST_ABSENT,
    MOST_ALERTS,
    QUIET_SECONDS,
    REDUNDANT,
    StampedeCount,
)
from dashboard.cache.stampedes.episode import LONG_NAME
from dashboard.cache.stampedes.events import ADDED, GONE, WHOLE, events, flags
from dashboard.cache.stampedes.report import Name, Stampedes
from dashboard.cache.stampedes.words import answer, held

KEY = b"api:product:17"
LOCK = b"lock:" + KEY


class Story:
    """Events one after the other. at: the clock."""

    def __init__(self, threshold: int = 20, most_keys: int = 1000) -> None:
        self.at = 100.0
        self.count = StampedeCount(b":", threshold, most_keys)

    def happens(self, *what: str, key: bytes = KEY, after: float = 0.0, node: str = "a") -> Story:
        self.at += after
        self.count.take(node, [(one, key) for one in what], self.at)
        return self

    def misses(self, number: int, seconds: float = 0.0, key: bytes = KEY) -> Story:
        for _ in range(number):
            self.happens("keymiss", key=key, after=seconds / number)
        return self

    def told(self, after: float = 20.0) -> Stampedes:
        self.at += after
        return self.count.told(self.at, 100.0)


def test_many_misses_and_many_refills_of_an_expired_key_are_one_alert() -> None:
    story = Story().happens("expired", after=1).misses(214, 0.18).happens(*["new", "set"], after=0.1)
    for _ in range(99):
        story.happens("set", after=0.001)
    (alert,) = story.told().alerts
    assert (alert.key, alert.namespace, alert.episodes) == (Name("api:product:17"), "api:product:*", 1)
    one = alert.latest
    assert (one.misses, one.cause, one.refills, one.redundant, one.lock) == (214, "expired", 100, 99, "")
    assert one.seconds == pytest.approx(0.18, abs=0.002)
    assert one.refill == pytest.approx(0.28, abs=0.002)
    assert one.at == pytest.approx(1.0, abs=0.01)


def test_one_refill_without_a_sign_of_a_lock_is_an_alert() -> None:
    (alert,) = Story().misses(20, 0.1).happens("new", "set").told().alerts
    assert (alert.latest.redundant, alert.latest.cause) == (0, "")


def test_fewer_misses_than_the_threshold_are_none() -> None:
    assert Story().misses(19, 0.1).happens("new", *["set"] * 50).told().alerts == ()
    assert Story(threshold=200).misses(199, 0.1).happens("set").told().alerts == ()


def test_with_a_lock_no_number_of_misses_is_one() -> None:
    story = Story().happens("expired").misses(100, 0.01).happens("new", "set", key=LOCK)
    story.misses(400, 0.5).happens("new", "set").happens("del", key=LOCK)
    found = story.told()
    assert found.alerts == ()
    assert (found.held, found.misses) == (1, 500)


def test_a_lock_that_does_not_hold_is_an_alert_that_names_it() -> None:
    story = Story().misses(100, 0.1).happens("new", "set", key=LOCK).happens("new", *["set"] * (REDUNDANT + 1))
    (alert,) = story.told().alerts
    assert alert.latest.lock == "lock:api:product:17"
    assert alert.latest.redundant == REDUNDANT


def test_a_lock_of_before_does_not_count() -> None:
    story = Story().happens("new", "set", key=LOCK).happens("del", key=LOCK)
    story.happens("keymiss", after=1).misses(49, 0.1).happens("new", "set")
    assert len(story.told().alerts) == 1


def test_a_lock_of_a_load_that_takes_long_counts_for_who_comes_back_later() -> None:
    story = Story().misses(20, 0.1).happens("new", "set", key=LOCK)
    story.happens("keymiss", after=QUIET_SECONDS + 1).misses(30, 0.1).happens("new", "set")
    found = story.told()
    assert (found.alerts, found.held) == ((), 1)


def test_writes_of_both_events_are_one_refill() -> None:
    story = Story().misses(30, 0.1).happens("new", "set", "new")
    assert story.told().alerts[0].latest.refills == 2
    story = Story().misses(30, 0.1).happens("new", "restore")
    assert story.told().alerts[0].latest.refills == 1


def test_a_hash_that_is_filled_by_many_commands_is_filled_once() -> None:
    story = Story().misses(30, 0.1).happens(*["hset"] * 50)
    assert story.told().alerts[0].latest.refills == 1
    story = Story().misses(30, 0.1).happens("hset", "hset", "del", "hset", "hset", "del", "hset")
    assert story.told().alerts[0].latest.refills == 3


def test_late_duplicates_count_as_long_as_a_refill_takes_twice() -> None:
    story = Story().misses(30, 0.1).happens("set", after=0.9)
    story.happens("set", after=1.9).happens("set", after=0.2)
    assert story.told().alerts[0].latest.refills == 2


def test_misses_that_come_slowly_are_no_stampede() -> None:
    assert Story().misses(60, 60).happens("set").told().alerts == ()
    assert Story().happens("expired").misses(60, 60).happens("set").told().alerts == ()


def test_a_namespace_whose_refills_take_long_has_longer_stampedes() -> None:
    story = Story()
    for number in range(50):
        story.misses(1, key=b"report:%d" % number).happens("set", key=b"report:%d" % number, after=8)
    story.misses(25, 8, key=b"report:x:1").happens("set", key=b"report:x:1")
    assert story.told().alerts == ()
    story.misses(25, 8, key=b"report:99").happens("set", key=b"report:99")
    assert [one.key.text for one in story.told().alerts] == ["report:99"]


def test_one_that_goes_on_is_told_before_it_ends_and_once() -> None:
    story = Story().happens("expired").misses(100, 0.5)
    assert story.told(after=0.1).alerts == ()
    (alert,) = story.told(after=1.0).alerts
    assert (alert.latest.refill, alert.latest.misses) == (None, 100)
    story.misses(50, 0.3)
    assert story.told(after=1.0).alerts[0].misses == 150
    (alert,) = story.happens("new", "set").told().alerts
    assert (alert.episodes, alert.misses, alert.latest.misses) == (1, 150, 150)
    assert alert.latest.refill is not None
    assert alert.worst == alert.latest


def test_what_was_never_there_is_not_told_before_it_is_filled() -> None:
    assert Story().misses(100, 0.5).told(after=5).alerts == ()


def test_stampedes_of_one_key_are_one_alert_with_the_latest_and_the_worst() -> None:
    story = Story()
    for number in (30, 80, 40):
        story.happens("expired", after=20).misses(number, 0.1).happens("new", "set")
    (alert,) = story.told().alerts
    assert (alert.episodes, alert.misses, alert.latest.misses, alert.worst.misses) == (3, 150, 40, 80)


def test_a_key_that_goes_again_within_the_grace_begins_another() -> None:
    story = Story().misses(30, 0.1).happens("new", "set").happens("del").misses(40, 0.1).happens("new", "set")
    (alert,) = story.told().alerts
    assert (alert.episodes, alert.worst.misses, alert.latest.cause) == (2, 40, "deleted")


def test_keys_that_go_together_are_counted() -> None:
    story = Story()
    for number in range(4):
        story.happens("expired", key=b"api:cart:%d" % number).misses(30, 0.1, key=b"api:cart:%d" % number)
        story.happens("set", key=b"api:cart:%d" % number)
    assert {one.together for one in story.told().alerts} == {4}


def test_what_is_never_filled_is_listed_apart_and_no_stampede() -> None:
    story = Story()
    for _ in range(4):
        story.misses(50, ABSENT_SECONDS / 2)
    story.misses(LEAST_ABSENT - 1, ABSENT_SECONDS, key=b"rare")
    found = story.told()
    assert found.alerts == ()
    assert [(one.key.text, one.misses) for one in found.absent] == [("api:product:17", 200)]
    assert found.absent[0].seconds == pytest.approx(2 * ABSENT_SECONDS, rel=0.2)
    assert story.happens("set").told().absent == ()


def test_a_pause_begins_another_episode_of_a_key_that_is_not_filled() -> None:
    story = Story().misses(15, 0.1)
    story.at += QUIET_SECONDS + 1
    assert story.misses(15, 0.1).happens("set").told().alerts == ()


def test_somebody_who_looks_a_moment_before_changes_nothing() -> None:
    story = Story().happens("expired", "keymiss").happens("keymiss", after=2.5).misses(30, 0.01, KEY)
    story.happens("set")
    assert story.told().alerts[0].latest.misses == 32
    story = Story().happens("keymiss").happens("expired", after=5).misses(30, 0.1).happens("set")
    assert story.told().alerts[0].latest.misses == 30


def test_the_cause_is_what_came_last() -> None:
    for what, cause in GONE.items():
        story = Story().happens("set").happens(what).misses(30, 0.1).happens("set")
        assert story.told().alerts[0].latest.cause == cause
    story = Story().happens("expired").happens("set").misses(30, 0.1).happens("set")
    assert story.told().alerts[0].latest.cause == ""


def test_what_a_lost_primary_was_at_is_not_known_and_others_are() -> None:
    story = Story().misses(30, 0.1).happens(*["keymiss"] * 30, key=b"other:1", node="b")
    story.count.lost(story.at, "a")
    story.happens("set").happens("set", key=b"other:1", node="b")
    assert [one.key.text for one in story.told().alerts] == ["other:1"]


def test_refill_times_are_of_each_namespace() -> None:
    story = Story().misses(1).happens("set", after=0.1).misses(1, key=b"user:1").happens("set", key=b"user:1", after=2)
    found = {row.name: row for row in story.told().namespaces}
    assert found["api:product:*"].p50 == pytest.approx(0.1, rel=0.05)
    assert found["user:*"].p99 == pytest.approx(2, rel=0.05)
    assert (found["user:*"].misses, found["user:*"].filled, found["user:*"].error) == (1, 1, 0)


def test_a_name_of_ten_megabytes_is_kept_by_its_beginning_and_told_apart() -> None:
    long = b"x" * 10_000_000
    story = Story().misses(30, 0.1, key=long).misses(1, key=long + b"y").happens("set", key=long)
    found = story.told()
    assert found.alerts[0].key == Name("x" * LONG_NAME, 10_000_000)
    assert {one.key.cut for one in found.keys} == {10_000_000, 10_000_001}


def test_a_flood_of_keys_takes_bounded_memory_and_says_what_was_given_up() -> None:
    story = Story(most_keys=50)
    story.happens(*["keymiss"] * 2, key=b"hot")
    for number in range(500):
        story.happens("expired", "keymiss", key=b"%d" % number)
    assert story.count.followed == 50
    assert len(story.count._gone) <= 50
    found = story.told(after=0)
    assert found.misses == 502
    assert found.given_up == 1


def test_there_is_room_for_so_many_alerts_and_the_worst_stay() -> None:
    story = Story(threshold=2)
    for number in range(MOST_ALERTS + 20):
        key = b"k:%d" % number
        story.misses(2 + (number == 3) * 50, 0.001, key=key).happens("set", key=key)
    found = story.told()
    assert len(found.alerts) == MOST_ALERTS
    assert found.alerts_dropped == 20
    assert "k:3" in {one.key.text for one in found.alerts}


def test_what_is_listened_to_is_what_is_understood() -> None:
    for new in (True, False):
        assert {"keymiss", "set", *GONE, *WHOLE} <= set(events(new=new))
        assert len(events(new=new)) == len(set(events(new=new))) <= 50
        assert set("E$egmx") <= set(flags(new=new))
    assert "new" in events(new=True)
    assert set(events(new=False)) >= ADDED
    assert set("hlszt") <= set(flags(new=False))
    assert "n" not in flags(new=False)


_EVENT = st.tuples(
    st.sampled_from(["keymiss", "keymiss", "keymiss", "set", "new", "expired", "del", "evicted", "hset", "other"]),
    st.sampled_from([KEY, LOCK, b"", b"\xff\x00", b"<b>", b"a:1", b"a:2", b"x" * 2000]),
    st.floats(0, 15),
)


@given(st.lists(_EVENT, max_size=200), st.integers(1, 5), st.integers(1, 6))
def test_whatever_happens_its_figures_hold_together(
    stream: list[tuple[str, bytes, float]], threshold: int, most_keys: int
) -> None:
    story = Story(threshold, most_keys)
    for what, key, after in stream:
        story.happens(what, key=key, after=after)
    found = story.told()
    missed = Counter(key for what, key, _ in stream if what == "keymiss")
    assert found.misses == missed.total() == sum(row.misses for row in found.namespaces)
    assert [one.count for one in found.keys] == sorted(missed.values(), reverse=True)
    assert story.count.followed <= most_keys
    for alert in found.alerts:
        assert threshold <= alert.latest.misses <= alert.worst.misses <= alert.misses
        assert alert.episodes >= 1
        assert alert.latest.seconds >= 0
        assert alert.together >= 1
    assert len({one.key for one in found.alerts}) == len(found.alerts)
    assert found.filled == sum(row.filled for row in found.namespaces)


def test_of_a_single_refill_under_a_lock_nobody_says_that_the_others_waited() -> None:
    """One that guards the fill alone, as memcached's leases, leaves the same events behind as one that all wait for."""
    found = Story().happens("expired").misses(99, 0.1).happens("new", "set", key=LOCK).happens("new", "set").told()
    assert found.held == 1
    assert "1 time one reader refilled a key under a lock" in answer(found, ended=True)
    assert "no event tells" in held(found)
    assert held(Stampedes()) == ""
