"""Write-through: the database first, then the cache, and what happens where the cache does not take it."""

from __future__ import annotations

import pytest

from dashboard.demo.patterns.write_through import WriteThrough
from dashboard.demo.prevention.revalidate import GRACE_SHARE, Revalidate
from tests.demo.stepping import Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Cached, Clock, Table, cached
from tests.servers import Server


def over(here: Cached, table: Table) -> WriteThrough:
    return WriteThrough(here.reader, here.entries, table)


def test_whoever_reads_after_a_change_hits_the_new_document(here: Cached, table: Table, valkey: Server) -> None:
    pattern = over(here, table)
    changed = pattern.update(table.changing("Ghent"), TTL)
    assert (changed.version, changed.told, changed.queued) == (2, True, False)
    answer = pattern.get(KEY, table.loader(ROW), TTL)
    assert (answer.source, answer.document) == ("hit", {"name": "Ada", "city": "Ghent", "version": 2})
    with valkey.client() as client:
        assert 50_000 < client.pttl(KEY) <= TTL * 1000
        assert client.keys("*") == [KEY.encode()]


def test_it_replaces_what_was_there(here: Cached, table: Table) -> None:
    pattern = over(here, table)
    for city in ("Ghent", "Bruges"):
        pattern.get(KEY, table.loader(ROW), TTL)
        pattern.update(table.changing(city), TTL)
        document = pattern.get(KEY, table.loader(ROW), TTL).document
        assert document is not None
        assert document["city"] == city


def test_a_row_that_is_not_there_changes_nothing(here: Cached, table: Table) -> None:
    assert over(here, table).update(table.changing("Ghent", row=7), TTL).version is None
    assert not here.entries.look(KEY).found


def test_the_old_document_is_served_until_the_change_is_acknowledged(here: Cached, table: Table) -> None:
    pattern = over(here, table)
    pattern.get(KEY, table.loader(ROW), TTL)
    table.within = pause
    writer = Stepper(lambda: pattern.update(table.changing("Ghent"), TTL))
    assert pattern.get(KEY, table.loader(ROW), TTL).source == "hit"
    assert writer.finish().told


def test_a_reader_that_was_slow_does_not_undo_a_change(here: Cached, table: Table) -> None:
    pattern = over(here, table)
    table.within = pause
    reader = Stepper(lambda: pattern.get(KEY, table.loader(ROW), TTL))
    table.within = lambda: None
    pattern.update(table.changing("Ghent"), TTL)
    assert reader.finish().document == {"name": "Ada", "city": "Ulm", "version": 1}
    assert here.entries.look(KEY).version == 2
    assert here.counted["refused_fills"] == 1


def test_a_writer_that_was_slow_does_not_undo_a_later_change_even_if_that_one_was_evicted(
    here: Cached, table: Table, valkey: Server
) -> None:
    pattern = over(here, table)
    table.within = pause
    first = Stepper(lambda: pattern.update(table.changing("Ghent"), TTL))
    table.within = lambda: None
    assert pattern.update(table.changing("Bruges"), TTL).version == 3
    with valkey.client() as client:
        client.delete(KEY)
    assert first.finish().told
    answer = pattern.get(KEY, table.loader(ROW), TTL)
    assert answer.document is not None
    assert answer.document["city"] == "Bruges"


def test_of_two_writers_neither_acknowledges_while_something_older_lies_there(here: Cached, table: Table) -> None:
    pattern = over(here, table)
    pattern.get(KEY, table.loader(ROW), TTL)
    table.within = pause
    first = Stepper(lambda: pattern.update(table.changing("Ghent"), TTL))
    second = Stepper(lambda: pattern.update(table.changing("Bruges"), TTL))
    # The second has taken the lease, so the first cannot fill; and the second is not done yet.
    assert first.finish().told
    assert not here.entries.look(KEY).found
    assert second.finish().told
    assert here.entries.look(KEY).version in (None, 3)


def test_where_the_cache_is_away_the_change_stands_and_the_relay_heals_it_for_other_processes(
    here: Cached, table: Table, clock: Clock, valkey: Server
) -> None:
    other = cached(valkey.url)
    pattern, of_another = over(here, table), over(other, table)
    pattern.get(KEY, table.loader(ROW), TTL)
    here.remote.cut(60)
    changed = pattern.update(table.changing("Ghent"), TTL)
    assert (changed.version, changed.told) == (2, False)
    answer = of_another.get(KEY, table.loader(ROW), TTL)
    assert answer.source == "hit", "the old one, as nobody could tell the cache"
    other.entries.outdate([(KEY, changed.version)])
    answer = of_another.get(KEY, table.loader(ROW), TTL)
    assert (answer.source, answer.document) == ("miss", {"name": "Ada", "city": "Ghent", "version": 2})
    other.remote.close()


def test_where_the_cache_goes_away_in_the_midst_the_change_stands(here: Cached, table: Table) -> None:
    pattern = over(here, table)
    table.within = lambda: here.remote.cut(60)
    changed = pattern.update(table.changing("Ghent"), TTL)
    assert (changed.version, changed.told) == (2, False)


def test_out_of_memory_the_old_document_is_removed_instead(here: Cached, table: Table, valkey: Server) -> None:
    pattern = over(here, table)
    pattern.get(KEY, table.loader(ROW), TTL)
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
        assert pattern.update(table.changing("Ghent"), TTL).told
        assert client.keys("*") == []


def test_where_the_database_fails_after_the_change_the_old_document_is_removed(here: Cached, table: Table) -> None:
    pattern = over(here, table)
    pattern.get(KEY, table.loader(ROW), TTL)

    def fail() -> None:
        raise ConnectionError("the database is away")

    table.within = fail
    with pytest.raises(ConnectionError):
        pattern.update(table.changing("Ghent"), TTL)
    assert not here.entries.look(KEY).found


def test_what_it_puts_there_lies_as_long_as_what_readers_fill(here: Cached, table: Table, valkey: Server) -> None:
    here.reader.prevention = Revalidate()
    over(here, table).update(table.changing("Ghent"), TTL)
    with valkey.client() as client:
        assert TTL * 1000 < client.pttl(KEY) <= TTL * (1 + GRACE_SHARE) * 1000


def test_it_forgets_what_has_changed_otherwise(here: Cached, table: Table) -> None:
    pattern = over(here, table)
    pattern.get(KEY, table.loader(ROW), TTL)
    assert pattern.forget([KEY])
    assert not here.entries.look(KEY).found
    here.remote.cut(60)
    assert not pattern.forget([KEY])
