"""What the cache could not be told is told before anything is read from it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dashboard.demo.caching.breaker import REST_SECONDS
from dashboard.demo.patterns import Pattern
from dashboard.demo.patterns import telling as module
from dashboard.demo.patterns.cache_aside import CacheAside
from dashboard.demo.patterns.read_through import ReadThrough
from dashboard.demo.patterns.telling import Teller
from dashboard.demo.patterns.write_through import WriteThrough
from tests.demo.table import KEY, ROW, TTL, Cached, Clock, Table, cached
from tests.servers import Server

MAKE: dict[str, Callable[[Cached, Table], Pattern]] = {
    "cache-aside": lambda here, table: CacheAside(here.reader, here.entries, table),
    "write-through": lambda here, table: WriteThrough(here.reader, here.entries, table),
    "read-through": lambda here, table: ReadThrough(
        here.reader, here.entries, table, lambda _key: (table.loader(ROW), TTL)
    ),
}


def away(here: Cached, clock: Clock, seconds: float = 60.0) -> Callable[[], None]:
    """The cache goes away; call what this gives, and it is back."""
    here.remote.cut(seconds)

    def back() -> None:
        clock.now += seconds + REST_SECONDS

    return back


@pytest.mark.parametrize("name", MAKE)
def test_after_an_outage_a_process_reads_its_own_changes_at_once(name: str, here: Cached, clock: Clock) -> None:
    table = Table()
    pattern = MAKE[name](here, table)
    pattern.get(KEY, table.loader(ROW), TTL)
    back = away(here, clock)
    assert pattern.update(table.changing("Ghent"), TTL).told is False
    assert pattern.get(KEY, table.loader(ROW), TTL).source == "bypass"
    back()
    answer = pattern.get(KEY, table.loader(ROW), TTL)
    assert (answer.source, (answer.document or {})["city"]) == ("miss", "Ghent")
    assert pattern.get(KEY, table.loader(ROW), TTL).source == "hit", "it is told once"


@pytest.mark.parametrize("name", MAKE)
def test_where_the_cache_refuses_to_forget_a_process_reads_past_what_it_has_changed(name: str, valkey: Server) -> None:
    """As a primary does that has become a replica: it answers readers, and takes no removal."""
    table = Table()
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "bound", "on", ">secret", "~*", "+@all")
        here = cached(valkey.url.replace("redis://", "redis://bound:secret@"))
        try:
            pattern = MAKE[name](here, table)
            pattern.get(KEY, table.loader(ROW), TTL)
            client.execute_command("ACL", "SETUSER", "bound", "-unlink", "-set")
            assert pattern.update(table.changing("Ghent"), TTL).told is False
            answer = pattern.get(KEY, table.loader(ROW), TTL)
            assert (answer.source, (answer.document or {})["city"]) == ("bypass", "Ghent")
            client.execute_command("ACL", "SETUSER", "bound", "+unlink", "+set")
            assert [pattern.get(KEY, table.loader(ROW), TTL).source for _ in range(2)] == ["miss", "hit"]
        finally:
            here.remote.close()
            client.execute_command("ACL", "DELUSER", "bound")


def test_what_was_only_to_be_forgotten_is_forgotten_then(here: Cached, clock: Clock) -> None:
    table, teller = Table(), Teller(here.entries)
    here.reader.get(KEY, table.loader(ROW), TTL)
    back = away(here, clock)
    assert teller.forget([KEY, "another"]) is False
    assert teller.outdate(KEY, 1) is False, "of a version that is there: but it was to be forgotten whatever it is"
    assert teller.catch_up() is False
    back()
    assert teller.catch_up() is True
    assert not here.entries.look(KEY).found


def test_a_newer_entry_is_left_alone(here: Cached, clock: Clock) -> None:
    table, teller = Table(), Teller(here.entries)
    back = away(here, clock)
    assert teller.outdate(KEY, 1) is False
    back()
    here.reader.get(KEY, table.loader(ROW), TTL)  # version 1, which is as new as what is untold
    assert teller.catch_up() is True
    assert here.entries.look(KEY).found


def test_of_too_many_the_oldest_are_left_to_the_relay(
    here: Cached, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNTOLD", 3)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    teller = Teller(here.entries)
    for number in range(5):
        here.reader.get(f"row:{number}", lambda: {"version": 1}, TTL)
    back = away(here, clock)
    for number in range(5):
        teller.outdate(f"row:{number}", 2)
    back()
    assert teller.catch_up() is True
    assert [here.entries.look(f"row:{number}").found for number in range(5)] == [True, True, False, False, False]


def test_what_changes_while_it_is_told_is_told_again(here: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    teller, told = Teller(here.entries), []

    def outdate(changes: list[tuple[str, int | None]]) -> int:
        told.append(list(changes))
        if len(told) == 1:
            teller._remember({KEY: 3})
        return 0

    monkeypatch.setattr(here.entries, "outdate", outdate)
    assert teller.outdate(KEY, 2) is True
    assert told == [[(KEY, 2)], [(KEY, 3)]]
