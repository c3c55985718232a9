"""Read-through: the application knows the cache alone, and the threads of a process share their loads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dashboard.demo.caching.flights import Flights
from dashboard.demo.encoding import Document
from dashboard.demo.patterns import Load
from dashboard.demo.patterns.read_through import ReadThrough
from dashboard.demo.prevention.mutex import Mutex
from tests.demo.table import KEY, ROW, TTL, Cached, Table
from tests.programs import wait_until

READERS = 16


def over(here: Cached, table: Table) -> ReadThrough:
    def sources(key: str) -> tuple[Load, float]:
        return table.loader(int(key.rpartition(":")[2])), TTL

    return ReadThrough(here.reader, here.entries, table, sources)


def test_the_application_names_the_key_and_nothing_else(here: Cached, table: Table) -> None:
    cache = over(here, table)
    answers = [cache.read(KEY) for _ in range(2)]
    assert [answer.source for answer in answers] == ["miss", "hit"]
    assert [answer.document for answer in answers] == [table.rows[ROW]] * 2


def test_whoever_brings_a_load_of_its_own_is_answered_all_the_same(here: Cached, table: Table) -> None:
    def of_the_caller() -> Document | None:
        raise AssertionError("the cache has its own")

    assert over(here, table).get(KEY, of_the_caller, 1).document == table.rows[ROW]
    assert here.entries.look(KEY).remaining > 1


def test_a_change_is_seen_by_who_reads_then(here: Cached, table: Table) -> None:
    cache = over(here, table)
    cache.read(KEY)
    changed = cache.update(table.changing("Ghent"), TTL)
    assert (changed.version, changed.told) == (2, True)
    answer = cache.read(KEY)
    assert (answer.source, answer.document) == ("miss", {"name": "Ada", "city": "Ghent", "version": 2})
    assert cache.update(table.changing("Ghent", row=7), TTL).version is None


def test_a_change_of_which_the_cache_cannot_be_told_stands(here: Cached, table: Table) -> None:
    cache = over(here, table)
    here.remote.cut(60)
    changed = cache.update(table.changing("Ghent"), TTL)
    assert (changed.version, changed.told) == (2, False)
    assert cache.read(KEY).source == "bypass"


def read_at_once(here: Cached, cache: ReadThrough, table: Table, readers: int) -> list[Any]:
    """All of them ask while the first load stands still."""
    held, go = threading.Event(), threading.Event()

    def stand_still() -> None:
        if table.reads == 1:
            held.set()
            go.wait(60)

    table.within = stand_still
    with ThreadPoolExecutor(readers) as pool:
        first = pool.submit(cache.read, KEY)
        assert held.wait(60)
        rest = [pool.submit(cache.read, KEY) for _ in range(readers - 1)]
        flights = cache._flights
        wait_until(lambda: waiting(flights) == readers - 1, "all others wait for the next load")
        go.set()
        return [future.result(60) for future in (first, *rest)]


def waiting(flights: Flights) -> int:
    """How many threads wait for a load; the one that will make the next waits for the present one."""
    with flights._lock:
        futures = [*flights._under_way.values(), *flights._next.values()]
    found = 0
    for future in futures:
        with future._condition:  # the only place where the standard library says who waits
            found += len(future._condition._waiters)  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("away", [False, True])
def test_threads_that_want_the_same_share_two_loads(here: Cached, table: Table, away: bool) -> None:
    here.remote.cut(60 if away else 0)
    answers = read_at_once(here, over(here, table), table, READERS)
    assert [answer.document for answer in answers] == [table.rows[ROW]] * READERS
    assert table.reads == 2
    assert here.counted["loads"] == 2


def test_with_the_mutex_they_share_one(here: Cached, table: Table) -> None:
    here.reader.prevention = Mutex(wait_seconds=60)
    cache = over(here, table)
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(lambda _: cache.read(KEY), range(READERS)))
    assert table.reads == 1


class Loads:
    """Loads that end when they are told to. Each brings its number, counted from 1 in the order of their beginnings."""

    def __init__(self) -> None:
        self.begun = 0
        self._ends = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __call__(self) -> Document:
        with self._lock:
            self.begun += 1
            number = self.begun
        assert self._ends.acquire(timeout=60)
        return {"number": number}

    def end(self, count: int = 1) -> None:
        self._ends.release(count)


def test_a_reader_does_not_share_a_load_that_began_before_it() -> None:
    flights, loads = Flights(), Loads()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(flights.share, "a", loads)
        wait_until(lambda: loads.begun == 1, "the first load is under way")
        others = [pool.submit(flights.share, "a", loads) for _ in range(3)]
        wait_until(lambda: waiting(flights) == 3, "the others wait")
        loads.end()
        assert first.result(60) == {"number": 1}
        wait_until(lambda: loads.begun == 2, "the second load is under way")
        late = pool.submit(flights.share, "a", loads)
        wait_until(lambda: waiting(flights) == 3, "the late one waits for a third")
        loads.end(2)
        assert [future.result(60) for future in others] == [{"number": 2}] * 3
        assert late.result(60) == {"number": 3}


def test_other_keys_do_not_wait() -> None:
    flights, loads = Flights(), Loads()
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(flights.share, key, loads) for key in ("a", "b")]
        wait_until(lambda: loads.begun == 2, "both are under way")
        loads.end(2)
        assert sorted(str(future.result(60)) for future in both) == ["{'number': 1}", "{'number': 2}"]


def test_a_load_that_fails_fails_for_those_who_share_it_and_for_nobody_after() -> None:
    flights, loads = Flights(), Loads()

    def fail() -> Document:
        loads()
        raise ConnectionError("the database is away")

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(flights.share, "a", loads)
        wait_until(lambda: loads.begun == 1, "the first load is under way")
        second = pool.submit(flights.share, "a", fail)
        wait_until(lambda: waiting(flights) == 1, "the second waits")
        third = pool.submit(flights.share, "a", fail)
        wait_until(lambda: waiting(flights) == 2, "the third shares with the second")
        loads.end(2)
        assert first.result(60) == {"number": 1}
        for future in (second, third):
            assert isinstance(future.exception(60), ConnectionError)
    loads.end()
    assert flights.share("a", loads) == {"number": 3}
