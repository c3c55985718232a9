"""How near a client is to being dropped, without a server."""

from __future__ import annotations

import pytest

from dashboard.cache.listeners.client_list import Client
from dashboard.cache.listeners.risk import DEFAULT, Limit, answer, limits_of, listener, ranked

MB = 1024**2
LIMITS = limits_of("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")


def client(output: int = 0, number: int = 1, **more: object) -> Client:
    facts = {"flags": "P", "channels": 1, **more}
    return Client("10.0.0.1:6379", number, "10.0.0.9:1", "app", output=output, **facts)  # type: ignore[arg-type]


def test_the_setting_is_read_whatever_stands_in_it() -> None:
    assert LIMITS["pubsub"] == DEFAULT == Limit(32 * MB, 8 * MB, 60)
    assert limits_of("") == {}
    assert limits_of("pubsub 1 2") == {}
    assert limits_of("pubsub a b c replica 1 2 3") == {"replica": Limit(1, 2, 3)}


@pytest.mark.parametrize(
    ("output", "over", "share", "level", "words"),
    [
        (0, None, 0, "quiet", "0\u202f% of 8\u202fMB"),
        (2 * MB, None, 0.25, "quiet", "25\u202f% of 8\u202fMB"),
        (5 * MB, None, 0.625, "warn", "62.5\u202f% of 8\u202fMB"),
        (7 * MB, None, 0.875, "bad", "87.5\u202f% of 8\u202fMB"),
        (8 * MB, 0.0, 1.0, "bad", "above 8\u202fMB: dropped after 60\u202fs of that"),
        (9 * MB, 12.0, 1.125, "bad", "above 8\u202fMB for at least 12\u202fs: dropped after 60\u202fs of that"),
    ],
)
def test_a_subscriber_is_held_against_the_nearer_of_its_limits(
    output: int, over: float | None, share: float, level: str, words: str
) -> None:
    found = listener(client(output), LIMITS, over if over is not None else 99.0)
    assert (found.share, found.over, found.level) == (share, over, level)
    assert found.words == words


def test_a_hard_limit_alone_counts_as_it_is() -> None:
    found = listener(client(17 * MB), {"pubsub": Limit(20 * MB, 0, 0)})
    assert (found.words, found.level, found.over) == ("85\u202f% of 20\u202fMB", "bad", None)


def test_who_has_no_limit_is_not_dropped() -> None:
    assert listener(client(10**9), {"pubsub": Limit(0, 0, 0)}).words == "no limit"
    tracking = listener(client(10**9, flags="t", channels=0), LIMITS)
    assert (tracking.words, tracking.tracks, tracking.level) == ("no limit", True, "quiet"), "of the class normal"


def test_where_the_limits_are_not_told_those_of_a_fresh_server_are_taken() -> None:
    assert listener(client(4 * MB), None).share == 0.5
    assert listener(client(4 * MB, flags="t", channels=0), None).share is None


def test_the_nearest_to_being_dropped_comes_first() -> None:
    found = [
        listener(client(number=1, memory=10**6), LIMITS),
        listener(client(number=2, memory=10**7), LIMITS),
        listener(client(7 * MB, number=3), LIMITS),
        listener(client(9 * MB, number=4), LIMITS, 1.0),
        listener(client(9 * MB, number=5), LIMITS, 40.0),
    ]
    assert [one.client.id for one in ranked(found)] == [5, 4, 3, 2, 1]


def test_the_sentence_counts_and_names_the_worst() -> None:
    quiet, near = listener(client(), LIMITS), listener(client(7 * MB), LIMITS)
    over = listener(client(9 * MB), LIMITS, 12.0)
    ours = listener(Client("n", 9, "a", "cachedeck", flags="P", output=7 * MB), LIMITS)
    assert (
        answer(12, 3, [quiet, near]) == "12 clients track keys, 3 clients listen to channels; "
        "one is at 87.5\u202f% of the limit at which the server drops it."
    )
    assert answer(1, 1, [quiet]).startswith("1 client tracks keys, 1 client listens to channels; none is near")
    assert "1 is above the soft limit, for at least 12\u202fs" in answer(0, 2, [over, near])
    assert answer(0, 1, [ours]) == "0 clients track keys, 1 client listens to channels."
    assert answer(0, 0, []) == "No client tracks keys, and none listens to channels."
    assert answer(None, None, []).startswith("It is not known how many clients track keys")
