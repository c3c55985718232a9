"""Without prevention: everybody who finds nothing loads, and one of them fills."""

from __future__ import annotations

import pytest

from tests.demo.stepping import Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Cached, Table
from tests.servers import Server


def test_everybody_loads_what_is_not_there_and_the_first_fills(here: Cached) -> None:
    table = Table(within=pause)
    readers = [Stepper(lambda: here.reader.get(KEY, table.loader(ROW), TTL)) for _ in range(5)]
    assert [reader.finish().source for reader in reversed(readers)] == ["miss"] * 5
    assert here.counted == {"misses": 5, "loads": 5, "duplicate_loads": 4}
    assert here.reader.get(KEY, table.loader(ROW), TTL).source == "hit"


def test_a_load_that_fails_leaves_nothing_behind(here: Cached) -> None:
    table = Table()

    def fail() -> None:
        raise ConnectionError("the database is away")

    table.within = fail
    with pytest.raises(ConnectionError):
        here.reader.get(KEY, table.loader(ROW), TTL)
    table.within = lambda: None
    assert [here.reader.get(KEY, table.loader(ROW), TTL).source for _ in range(2)] == ["miss", "hit"]


def test_the_reader_that_is_slow_with_a_change_that_was_queued_shows_the_change(here: Cached, valkey: Server) -> None:
    table = Table()
    with valkey.client() as client:
        client.hset(f"shop:pending:{KEY}", mapping={"version": 2, "values": '{"city": "Ghent"}'})
    for source in ("miss", "hit"):
        answer = here.reader.get(KEY, table.loader(ROW), TTL, pending=True)
        assert (answer.source, answer.document) == (source, {"name": "Ada", "city": "Ghent", "version": 2})
    table.change("user", ROW, {"city": "Bruges"})
    table.change("user", ROW, {"city": "Bruges"})
    here.entries.forget([KEY])
    newer = here.reader.get(KEY, table.loader(ROW), TTL, pending=True).document
    assert newer == {"name": "Ada", "city": "Bruges", "version": 3}, "the database has it already"
