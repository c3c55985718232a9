"""Stale-while-revalidate: nobody waits for what is only past its time, and one reads it anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.demo.caching.reading import Prevention
from dashboard.demo.caching.ttl import ABSENT_SECONDS
from dashboard.demo.prevention.mutex import Mutex
from dashboard.demo.prevention.none import Unprevented
from dashboard.demo.prevention.revalidate import GRACE_SHARE, MOST_UNDER_WAY, Revalidate
from dashboard.demo.prevention.xfetch import XFetch
from tests.demo.stepping import SteppedPool, Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Cached, Table, cached
from tests.programs import wait_until
from tests.servers import Server

STALE_MS = round(TTL * GRACE_SHARE * 1000) - 1000  # so much life has an entry whose time has just been over


@pytest.fixture
def pool() -> SteppedPool:
    return SteppedPool()


@pytest.fixture
def here(valkey: Server, pool: SteppedPool) -> Iterator[Cached]:
    found = cached(valkey.url, Revalidate(pool=pool))
    yield found
    found.remote.close()


def become_stale(server: Server, key: str = KEY) -> None:
    with server.client() as client:
        assert client.pexpire(key, STALE_MS)


def test_an_entry_lies_there_for_its_time_and_a_grace(here: Cached, valkey: Server) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    here.reader.get("absent", lambda: None, TTL)
    with valkey.client() as client:
        for key, seconds in ((KEY, TTL), ("absent", ABSENT_SECONDS)):
            life = seconds * (1 + GRACE_SHARE) * 1000
            assert life - 10_000 < client.pttl(key) <= life


def test_a_stale_entry_is_served_to_all_while_one_reads_it_anew(
    here: Cached, pool: SteppedPool, valkey: Server
) -> None:
    table = Table()
    assert [here.reader.get(KEY, table.loader(ROW), TTL).source for _ in range(2)] == ["miss", "hit"]
    table.change("user", ROW, {"city": "Ghent"})
    become_stale(valkey)
    table.within = pause
    answers = [here.reader.get(KEY, table.loader(ROW), TTL) for _ in range(5)]
    assert [answer.source for answer in answers] == ["stale"] * 5
    assert {answer.document["city"] for answer in answers if answer.document} == {"Ulm"}
    assert len(pool.steppers) == 1
    pool.steppers[0].finish()
    answer = here.reader.get(KEY, table.loader(ROW), TTL)
    assert (answer.source, answer.document) == ("hit", {"name": "Ada", "city": "Ghent", "version": 2})
    assert here.counted == {"misses": 1, "hits": 2, "stale": 5, "loads": 2, "background_refreshes": 1}


def test_where_nothing_lies_it_is_done_as_with_the_mutex(here: Cached) -> None:
    table = Table(within=pause)
    first = Stepper(lambda: here.reader.get(KEY, table.loader(ROW), TTL))
    with ThreadPoolExecutor(4) as others:
        waiting = [others.submit(here.reader.get, KEY, table.loader(ROW), TTL) for _ in range(4)]
        wait_until(lambda: here.counted.get("waited") == 4, "the others wait")
        assert first.finish().source == "miss"
        assert {future.result(60).document is not None for future in waiting} == {True}


def test_a_refresh_that_is_overtaken_by_a_change_does_not_undo_it(
    here: Cached, pool: SteppedPool, valkey: Server
) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    become_stale(valkey)
    table.within = pause
    here.reader.get(KEY, table.loader(ROW), TTL)
    table.change("user", ROW, {"city": "Ghent"})
    here.entries.forget([KEY])
    pool.steppers[0].finish()
    assert not here.entries.look(KEY).found


def test_a_change_that_is_queued_before_a_refresh_begins_is_not_undone(
    here: Cached, pool: SteppedPool, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write-behind: the change lies in the queue alone, and came after the reader had looked."""
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL, pending=True)
    become_stale(valkey)
    take = here.entries.take

    def take_late(key: str, token: str, *, pending: bool = False) -> object:
        with valkey.client() as client:
            client.hset(f"shop:pending:{KEY}", mapping={"version": 2, "values": '{"city": "Ghent"}'})
        return take(key, token, pending=pending)

    monkeypatch.setattr(here.entries, "take", take_late)
    here.reader.get(KEY, table.loader(ROW), TTL, pending=True)
    assert len(pool.steppers) == 1
    assert here.entries.look(KEY).document == {"name": "Ada", "city": "Ghent", "version": 2}


def test_where_the_refresh_fails_the_stale_entry_is_served_and_the_database_rests(
    here: Cached, pool: SteppedPool, valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    become_stale(valkey)

    def fail() -> None:
        raise ConnectionError("the database is away at its secret address")

    table.within = fail
    with caplog.at_level(logging.WARNING):
        assert [here.reader.get(KEY, table.loader(ROW), TTL).source for _ in range(5)] == ["stale"] * 5
    assert len(pool.steppers) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "a stale entry could not be read anew (ConnectionError)"
    ]


def test_there_are_never_too_many_refreshes_under_way(here: Cached, pool: SteppedPool, valkey: Server) -> None:
    table = Table()
    keys = [f"key:{number}" for number in range(MOST_UNDER_WAY + 5)]
    for key in keys:
        here.reader.get(key, table.loader(ROW), TTL)
        become_stale(valkey, key)
    table.within = pause
    assert {here.reader.get(key, table.loader(ROW), TTL).source for key in keys} == {"stale"}
    assert len(pool.steppers) == here.counted["background_refreshes"] == MOST_UNDER_WAY
    for stepper in pool.steppers:
        stepper.finish()
    assert here.reader.get(keys[-1], table.loader(ROW), TTL).source == "stale"
    assert len(pool.steppers) == MOST_UNDER_WAY + 1


def test_its_own_threads_read_anew_and_end_when_it_is_closed(here: Cached, valkey: Server) -> None:
    revalidate = Revalidate(Mutex(wait_seconds=60))
    here.reader.prevention = revalidate
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    table.change("user", ROW, {"city": "Ghent"})
    become_stale(valkey)
    assert here.reader.get(KEY, table.loader(ROW), TTL).source == "stale"
    wait_until(lambda: here.entries.look(KEY).version == 2, "it is read anew")
    assert here.reader.get(KEY, table.loader(ROW), TTL).source == "hit"
    revalidate.close()


@pytest.mark.parametrize("before", [Unprevented, Mutex, XFetch, Revalidate])
@pytest.mark.parametrize("after", [Unprevented, Mutex, XFetch, Revalidate])
def test_preventions_are_exchanged_while_entries_lie_there(
    here: Cached, before: Callable[[], Prevention], after: Callable[[], Prevention]
) -> None:
    table = Table()
    here.reader.prevention = before()
    here.reader.get(KEY, table.loader(ROW), TTL)
    here.reader.prevention = after()
    assert here.reader.get(KEY, table.loader(ROW), TTL).source == "hit"
