"""The notifications of one primary, as a real server publishes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from dashboard.cache.errors import CacheError, Denied, Unreachable
from dashboard.cache.notifications.keyevents import FLAGS, SETTING, KeyEvents
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.cache.hostile_keys import HOSTILE
from tests.programs import wait_until
from tests.servers import HOST, Server, running


@pytest.fixture(scope="module")
def _told() -> Iterator[Server]:
    with running("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru", "--" + SETTING, FLAGS) as server:
        yield server


@pytest.fixture
def server(_told: Server) -> Server:
    with closing(_told.client()) as client:
        client.flushall()
    return _told


@pytest.fixture
def plain(server: Server) -> Iterator[redis.Redis]:
    with closing(server.client()) as client:
        yield client


def opened(server: Server, database: int = 0, user: str = "") -> Cache:
    return Cache(parse_target(f"shop=redis://{user}{HOST}:{server.port}/{database}?timeout=1"))


@pytest.fixture
def ear(server: Server) -> Iterator[KeyEvents]:
    with closing(opened(server)) as cache, closing(KeyEvents(cache, cache.primaries()[0])) as ear:
        yield ear


def test_it_hears_of_misses_in_their_order(ear: KeyEvents, plain: redis.Redis) -> None:
    plain.get("a")
    plain.hgetall("b")
    plain.set("c", 1)
    plain.get("c")
    plain.mget("a", "c", "d")
    assert ear.drained(5) == [("keymiss", b"a"), ("keymiss", b"b"), ("keymiss", b"a"), ("keymiss", b"d")]


def test_it_hears_of_evictions(ear: KeyEvents, plain: redis.Redis) -> None:
    names = {b"k:%d" % number for number in range(3000)}
    before = plain.info("stats")["evicted_keys"]
    for name in names:
        plain.set(name, "x" * 2000)
    heard = [key for what, key in ear.drained(5) if what == "evicted"]
    assert len(heard) == plain.info("stats")["evicted_keys"] - before > 100
    assert set(heard) == names - set(plain.keys())  # which ones go is the server's choice among a few that it draws


def test_hostile_names_arrive_as_they_are(ear: KeyEvents, plain: redis.Redis) -> None:
    names = [*HOSTILE.values(), b"", b"x" * 300_000, b"\r\n+OK\r\n$-1\r\n", b"__keyevent@0__:evicted"]
    for name in names:
        plain.get(name)
    heard: list[tuple[str, bytes]] = []
    wait_until(lambda: bool(heard.extend(ear.take()) or len(heard) >= len(names)), "all of them came")
    assert heard == [("keymiss", name) for name in names]


def test_what_others_publish_on_other_channels_is_not_taken_for_an_event(ear: KeyEvents, plain: redis.Redis) -> None:
    plain.publish("__keyevent@1__:evicted", "forged")
    plain.publish("evicted", "forged")
    assert ear.drained(5) == []


def test_another_database_is_another_matter(server: Server) -> None:
    with closing(opened(server, 3)) as cache, closing(KeyEvents(cache, cache.primaries()[0])) as ear:
        for database in (0, 3):
            with closing(server.client(db=database)) as client:
                client.get(f"of {database}")
        assert ear.drained(5) == [("keymiss", b"of 3")]


def test_a_server_that_hangs_up_is_an_error(ear: KeyEvents, plain: redis.Redis) -> None:
    plain.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    with pytest.raises(CacheError):
        wait_until(lambda: bool(ear.take()), "it was noticed")


def test_it_says_that_listening_is_denied(server: Server, plain: redis.Redis) -> None:
    for number, rights in enumerate((("+@all", "&*", "-subscribe"), ("+@all", "resetchannels"))):
        plain.execute_command("ACL", "SETUSER", f"deaf{number}", "reset", "on", ">pw", "~*", *rights)
        with closing(opened(server, user=f"deaf{number}:pw@")) as cache:
            with pytest.raises(Denied) as denied:
                KeyEvents(cache, cache.primaries()[0])
            assert ("SUBSCRIBE" in denied.value.sentence, "channel" in denied.value.sentence) == (
                not number,
                bool(number),
            )


def test_a_server_that_is_not_there_is_an_error() -> None:
    with running() as server:
        pass
    with closing(opened(server)) as cache, pytest.raises(Unreachable):
        KeyEvents(cache, cache.primaries()[0])


def test_a_cache_that_is_read_only_may_be_listened_to(server: Server, plain: redis.Redis) -> None:
    cache = Cache(parse_target(f"shop={server.url}?read_only=yes"))
    with closing(cache), closing(KeyEvents(cache, cache.primaries()[0])) as ear:
        plain.get("gone")
        assert ear.drained(5) == [("keymiss", b"gone")]


def test_it_counts_the_bytes_that_come(ear: KeyEvents, plain: redis.Redis) -> None:
    before = plain.info("stats")["total_net_output_bytes"]
    for number in range(1000):
        plain.get(f"a key of thirty bytes, no. {number:04d}")
    ear.drained(5)
    # The server's own count has the replies to us in it as well: 5 bytes for each GET, and an INFO.
    told = plain.info("stats")["total_net_output_bytes"] - before
    assert ear.received == pytest.approx(told, rel=0.2)
