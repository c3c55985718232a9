"""The mutex: one loads, the others wait, for a bounded time, and survive the death of the one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.demo.prevention.mutex import LONGEST_PAUSE_SECONDS, WAIT_SECONDS, Mutex
from tests.demo.stepping import Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Cached, Clock, Table, cached
from tests.programs import wait_until
from tests.servers import Server

LEASE = f"lease:{{{KEY}}}"
READERS = 5


class Waiting:
    """A mutex whose waiting stands still and takes no time but its clock's."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pauses: list[float] = []
        self.mutex = Mutex(clock=self.clock, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        pause()
        self.clock.now += seconds


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def here(valkey: Server, waiting: Waiting) -> Iterator[Cached]:
    found = cached(valkey.url, waiting.mutex)
    yield found
    found.remote.close()


def reading(here: Cached, table: Table) -> Stepper:
    return Stepper(lambda: here.reader.get(KEY, table.loader(ROW), TTL))


def test_one_loads_and_the_others_wait_for_it(here: Cached) -> None:
    table = Table(within=pause)
    first, *others = [reading(here, table) for _ in range(READERS)]
    for other in others:
        assert other.step(), "it waits on"
    assert first.finish().source == "miss"
    assert [other.finish().source for other in others] == ["hit"] * (READERS - 1)
    assert here.counted == {"misses": 1, "hits": READERS - 1, "loads": 1, "waited": READERS - 1}


def test_many_threads_of_two_processes_load_once(valkey: Server) -> None:
    table = Table()
    both = [cached(valkey.url, Mutex(wait_seconds=60)) for _ in range(2)]
    for round_ in range(1, 6):
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: both[n % 2].reader.get(KEY, table.loader(ROW), TTL), range(16)))
        assert {str(answer.document) for answer in answers} == {str(table.rows[ROW])}
        assert table.reads == round_
        both[0].entries.forget([KEY])
    for one in both:
        one.remote.close()


def test_pauses_grow_and_are_spread_and_end_after_the_longest_wait(here: Cached, waiting: Waiting) -> None:
    table = Table(within=pause)
    owner = reading(here, table)
    other = reading(here, table)
    table.within = lambda: None
    assert other.finish().source == "miss"
    assert WAIT_SECONDS <= sum(waiting.pauses) <= WAIT_SECONDS + LONGEST_PAUSE_SECONDS
    assert max(waiting.pauses) <= LONGEST_PAUSE_SECONDS
    assert waiting.pauses[0] < waiting.pauses[3] < waiting.pauses[-1] * 2
    assert len(set(waiting.pauses)) == len(waiting.pauses)
    assert here.counted["gave_up"] == 1
    owner.finish()


def test_whoever_gave_up_fills_nothing(here: Cached, waiting: Waiting, valkey: Server) -> None:
    table = Table(within=pause)
    owner, other = reading(here, table), reading(here, table)
    waiting.clock.now += WAIT_SECONDS
    table.within = lambda: None
    assert other.finish().source == "miss"
    assert not here.entries.look(KEY).found
    assert owner.finish().source == "miss"
    assert here.entries.look(KEY).found


def test_the_death_of_the_owner_is_survived_by_the_end_of_its_lease(here: Cached, valkey: Server) -> None:
    table = Table(within=pause)
    reading(here, table)  # and it is never heard of again
    other = reading(here, table)
    assert other.step()
    with valkey.client() as client:
        assert 0 < client.pttl(LEASE) <= 5000
        client.pexpire(LEASE, 1)
        wait_until(lambda: not client.exists(LEASE), "the lease has ended")
    table.within = lambda: None
    assert other.finish().source == "miss"
    assert here.entries.look(KEY).found
    assert table.reads == 2


def test_the_owner_that_comes_back_after_its_lease_fills_nothing(here: Cached, valkey: Server) -> None:
    table = Table(within=pause)
    owner = reading(here, table)
    with valkey.client() as client:
        client.delete(LEASE)
    assert here.entries.look(KEY, "another").leased
    owner.finish()
    assert not here.entries.look(KEY).found
    assert not here.entries.look(KEY, "a third").leased, "nor has it ended the other's lease"
    assert here.counted["refused_fills"] == 1


def test_where_the_owner_fails_the_next_one_loads_at_once(here: Cached) -> None:
    def fail() -> None:
        pause()
        raise ConnectionError("the database is away")

    table = Table(within=fail)
    owner, other = reading(here, table), reading(here, table)
    with pytest.raises(ConnectionError):
        owner.finish()
    table.within = lambda: None
    assert other.finish().source == "miss"
    assert here.entries.look(KEY).found
    assert here.counted["loads"] == 2


def test_a_change_during_the_wait_is_seen_by_who_waits(here: Cached) -> None:
    table = Table(within=pause)
    owner, other = reading(here, table), reading(here, table)
    table.change("user", ROW, {"city": "Ghent"})
    here.entries.forget([KEY])
    owner.finish()
    table.within = lambda: None
    document = other.finish().document
    assert document is not None
    assert document["city"] == "Ghent"


def test_where_the_cache_goes_away_nobody_waits_on(here: Cached) -> None:
    table = Table(within=pause)
    owner, other = reading(here, table), reading(here, table)
    here.remote.cut(60)
    table.within = lambda: None
    assert other.finish().source == "bypass"
    assert owner.finish().source == "bypass"
