"""XFetch: the formula, and readers that refresh an entry before its end."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from dashboard.demo.prevention.xfetch import XFetch, refreshes_early
from tests.demo.stepping import Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Cached, Table, cached
from tests.servers import Server

DRAWS = 20_000
NEVER, ALWAYS = 0.0, 1.0 - 1e-12  # drawn in [0, 1): 1 - drawn is what the formula gets


class Draws:
    """What XFetch draws next."""

    def __init__(self) -> None:
        self.next = NEVER

    def __call__(self) -> float:
        return self.next


@pytest.fixture
def draws() -> Draws:
    return Draws()


@pytest.fixture
def here(valkey: Server, draws: Draws) -> Iterator[Cached]:
    # A large beta, so that a load of a few microseconds counts as one that took as long as the entry lives.
    found = cached(valkey.url, XFetch(beta=1e9, random=draws))
    yield found
    found.remote.close()


def reading(here: Cached, table: Table) -> Stepper:
    return Stepper(lambda: here.reader.get(KEY, table.loader(ROW), TTL))


@pytest.mark.parametrize("deltas", [1, 2, 5])
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_it_refreshes_with_the_probability_of_the_formula(deltas: int, beta: float) -> None:
    drawn = random.Random(7)
    took = 0.02
    share = sum(refreshes_early(deltas * took, took, 1.0 - drawn.random(), beta) for _ in range(DRAWS)) / DRAWS
    expected = math.exp(-deltas / beta)
    # Five standard errors.
    assert share == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / DRAWS))


def test_at_its_end_it_always_refreshes_and_what_never_ends_or_took_no_time_never_before() -> None:
    assert all(refreshes_early(0.0, 0.02, drawn) for drawn in (1e-12, 0.5, 1.0))
    assert not any(refreshes_early(math.inf, 0.02, drawn) for drawn in (1e-12, 0.5, 1.0))
    assert not any(refreshes_early(0.001, 0.0, drawn) for drawn in (1e-12, 0.5, 1.0))


def test_who_refreshes_early_has_the_new_document_and_everybody_after(here: Cached, draws: Draws) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    table.change("user", ROW, {"city": "Ghent"})
    assert here.reader.get(KEY, table.loader(ROW), TTL).source == "hit"
    draws.next = ALWAYS
    answer = here.reader.get(KEY, table.loader(ROW), TTL)
    assert (answer.source, answer.document) == ("miss", {"name": "Ada", "city": "Ghent", "version": 2})
    draws.next = NEVER
    assert here.reader.get(KEY, table.loader(ROW), TTL).document == answer.document
    assert here.counted == {"misses": 2, "hits": 2, "loads": 2, "early_refreshes": 1}


def test_one_refreshes_at_a_time_and_the_others_have_what_lies_there(here: Cached, draws: Draws) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    draws.next, table.within = ALWAYS, pause
    first = reading(here, table)
    assert [reading(here, table).finish().source for _ in range(3)] == ["hit"] * 3
    assert first.finish().source == "miss"
    assert here.counted["loads"] == 2
    assert "duplicate_loads" not in here.counted


def test_who_comes_too_late_to_refresh_does_not_refresh_once_more(
    here: Cached, draws: Draws, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL / 2)
    draws.next = ALWAYS
    take = here.entries.take

    def late(key: str, token: str, *, pending: bool = False) -> object:
        pause()
        return take(key, token, pending=pending)

    monkeypatch.setattr(here.entries, "take", late)
    both = [reading(here, table) for _ in range(2)]  # both have looked, neither has taken the lease
    assert [one.finish().source for one in both] == ["miss", "hit"]
    assert table.reads == 2
    assert here.entries.look(KEY, "next").found


def test_a_refresh_that_is_overtaken_by_a_change_does_not_undo_it(here: Cached, draws: Draws) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    draws.next, table.within = ALWAYS, pause
    refresher = reading(here, table)
    table.change("user", ROW, {"city": "Ghent"})
    here.entries.forget([KEY])
    refresher.finish()
    assert not here.entries.look(KEY).found


def test_where_the_refresh_fails_the_entry_is_still_good_and_the_database_rests(here: Cached, draws: Draws) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)

    def fail() -> None:
        raise ConnectionError("the database is away")

    draws.next, table.within = ALWAYS, fail
    assert [here.reader.get(KEY, table.loader(ROW), TTL).source for _ in range(3)] == ["hit"] * 3
    assert table.reads == 2


def test_where_the_cache_refuses_the_refresh_what_lies_there_is_served(
    here: Cached, draws: Draws, valkey: Server
) -> None:
    table = Table()
    here.reader.get(KEY, table.loader(ROW), TTL)
    draws.next = ALWAYS
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
        assert here.reader.get(KEY, table.loader(ROW), TTL).source == "hit"
    assert table.reads == 1


def test_it_goes_by_the_servers_clock_whatever_the_clocks_of_two_processes_say(valkey: Server) -> None:
    """One of them is an hour ahead of the other; what time.time and time.monotonic say plays no part."""
    table = Table()
    seen: list[float] = []

    def never() -> float:
        return NEVER

    both = [cached(valkey.url, XFetch(random=never)) for _ in range(2)]
    both[0].reader.get(KEY, table.loader(ROW), TTL)
    with pytest.MonkeyPatch.context() as patch:
        for ahead in (0.0, 3600.0, -3600.0):
            patch.setattr("time.time", lambda ahead=ahead: 1_700_000_000.0 + ahead)
            patch.setattr("dashboard.demo.caching.reading.time.perf_counter", lambda ahead=ahead: 5000.0 + ahead)
            for one in both:
                assert one.reader.get(KEY, table.loader(ROW), TTL).source == "hit"
                seen.append(one.entries.look(KEY, remaining=True).remaining)
    assert all(0 < remaining <= TTL for remaining in seen)
    assert seen == sorted(seen, reverse=True)
    assert table.reads == 1
    for one in both:
        one.remote.close()
