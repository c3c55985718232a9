"""What is listened to travels in an address; what passes a sieve; what a watcher reads at its own pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.cache.events.buffer import Buffer
from dashboard.cache.events.event import Event, Gap
from dashboard.cache.events.sieve import Sieve, sieve_of
from dashboard.cache.events.subscription import BadSubscription, Source, Subscription, from_pairs


def test_a_query_string_is_one_to_one_with_a_subscription() -> None:
    wanted = Subscription((Source("pattern", b"inv\xff*"), Source("channel", b"a b"), Source("tracking", b"")))
    assert from_pairs(wanted.to_query()) == wanted
    assert from_pairs([("tracking", "*"), ("page", "2"), ("channel", " ")]).sources == (Source("tracking", b""),)
    assert from_pairs([("channel", " a  b\\x20c\n"), ("tracking", "api:* web:")]).sources == (
        Source("channel", b"a"),
        Source("channel", b"b c"),
        Source("tracking", b"api:"),
        Source("tracking", b"web:"),
    )


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=5))
def test_any_names_survive_a_query_string(names: list[bytes]) -> None:
    wanted = Subscription(tuple(Source("channel", name) for name in names))
    assert from_pairs(wanted.to_query()) == wanted
    joined = " ".join(text for _, text in wanted.to_query())
    assert from_pairs([("channel", joined)]) == wanted, "and one field with all of them"


def test_order_and_repetition_make_no_other_subscription() -> None:
    one, other = Source("channel", b"a"), Source("event", b"expired")
    assert Subscription((other, one, other)) == Subscription((one, other))


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([], "Name a channel"),
        ([("channel", "c" * 3000)], "at most 2,048 bytes"),
        ([("channel", f"c{number}") for number in range(51)], "At most 50 sources"),
        ([("tracking", "api:"), ("tracking", "api:user:")], "overlap"),
    ],
)
def test_what_says_nothing_sensible_is_refused_in_a_sentence(pairs: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(BadSubscription, match=why):
        from_pairs(pairs)


def test_notifications_are_channels_of_a_database() -> None:
    whole = from_pairs([("channel", "c"), ("event", "expired"), ("key", "api:*")])
    assert {one.channel(3) for one in whole.sources} == {b"c", b"__keyevent@3__:expired", b"__keyspace@3__:api:*"}
    assert whole.names("channel") == (b"c",)
    assert whole.notified
    assert not whole.tracks


@pytest.mark.parametrize(
    ("text", "channel", "passes"),
    [
        ("", "", True),
        ("USER:42", "", True),
        ("inval", "", True),
        ("other", "", False),
        ("", "inv*", True),
        ("", "news*", False),
        ("user", "news*", False),
    ],
)
def test_a_sieve_looks_at_channel_and_payload(text: str, channel: str, passes: bool) -> None:
    assert sieve_of(text, channel).judge()(b"invalidate", b'{"keys":["api:user:42"]}') is passes


def test_a_pattern_of_many_stars_is_refused() -> None:
    with pytest.raises(BadSubscription, match="stars"):
        Sieve(channel=b"*a" * 40)


def event(number: int) -> Event:
    return Event(float(number), "here", "channel", b"c", b"%d" % number, 1)


def payloads(buffer: Buffer, after: int, most: int = 1000) -> list[bytes]:
    return [item.payload for _, item in buffer.batch(after, most).items if isinstance(item, Event)]


def test_watchers_read_at_their_own_pace() -> None:
    buffer = Buffer(Sieve(), most=4)
    buffer.add([event(1), event(2)])
    assert not buffer.wait(0, 0)  # nobody was told yet
    buffer.tell()
    assert buffer.wait(0, 0)
    assert payloads(buffer, 0) == [b"1", b"2"]
    assert buffer.batch(0, 10) is buffer.batch(0, 10)  # drawn once for all who keep up
    buffer.add([event(number) for number in range(3, 8)])
    buffer.tell()
    late = buffer.batch(2, 10)
    assert (late.after, late.upto, late.lost, late.skipped) == (2, 7, 1, 0)
    assert [number for number, _ in late.items] == [4, 5, 6, 7]
    assert buffer.batch(7, 10).empty


@pytest.mark.parametrize("after", [0, 1, 5, 99, 100])
def test_every_event_is_given_or_counted(after: int) -> None:
    buffer = Buffer(Sieve(), most=50)
    buffer.add([event(number) for number in range(51, 101)], passed=100)
    buffer.tell()
    batch = buffer.batch(after, 10)
    assert len(batch.items) + batch.lost + batch.skipped == batch.upto - batch.after == 100 - after
    assert len(batch.items) <= 10


def told(buffer: Buffer, *beats: int) -> None:
    """As many events as each says, and those who wait are woken after each."""
    for number in beats:
        buffer.add([event(buffer.passed + place) for place in range(1, number + 1)])
        buffer.tell()


def test_who_is_some_beats_behind_gets_what_the_others_had() -> None:
    buffer = Buffer(Sieve())
    told(buffer, 3)
    quick = buffer.beat(0, 10)
    told(buffer, 4)
    quick_again = buffer.beat(quick.upto, 10)
    told(buffer, 5)
    slow = buffer.beat(0, 10)
    assert slow is quick
    assert buffer.beat(slow.upto, 10) is quick_again
    assert (buffer.beat(7, 10).after, buffer.beat(7, 10).upto) == (7, 12)
    assert buffer.beat(5, 10).upto == 7  # wherever it comes from, it is in step then
    assert buffer.beat(12, 10).empty


def test_who_is_too_late_passes_over_the_rest_but_for_gaps_and_the_last_beat() -> None:
    buffer = Buffer(Sieve(), most=10)
    told(buffer, 6)
    buffer.add([Gap(7.0, 6.0, "here", "It went away.", over=True)])
    told(buffer, 5, 2)
    over = buffer.beat(0, 10)
    assert [number for number, _ in over.items] == [7]
    assert (over.after, over.upto, over.lost, over.skipped) == (0, 12, 4, 7)
    last = buffer.beat(over.upto, 10)
    assert [number for number, _ in last.items] == [13, 14]


def test_a_flood_is_shown_to_who_keeps_up() -> None:
    buffer = Buffer(Sieve(), most=10)
    told(buffer, 50)
    told(buffer, 50)
    batch = buffer.beat(50, 5)
    assert (len(batch.items), batch.lost, batch.skipped) == (5, 40, 5)


def test_a_selection_has_the_newest_and_every_gap() -> None:
    buffer = Buffer(Sieve())
    buffer.add(
        [event(1), Gap(2.0, 1.0, "here", "It went away.", over=True), *(event(number) for number in range(3, 90))]
    )
    buffer.tell()
    chosen = [item for _, item in buffer.batch(0, 5).items]
    assert sum(isinstance(item, Gap) for item in chosen) == 1
    assert isinstance(chosen[-1], Event)
    assert chosen[-1].payload == b"89"


def test_who_waits_is_woken_by_the_end() -> None:
    buffer = Buffer(Sieve())
    buffer.close("The process ends.")
    assert not buffer.wait(0, 60)
    assert buffer.closed
