"""A few at a time, in every order that there is: a reader, a writer and an eviction, and two writers.

Each stands still before every command to the cache and around everything that it asks the database. What
test_version_check.py finds by chance among many is here looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from dashboard.demo.patterns import Pattern
from dashboard.demo.patterns.cache_aside import CacheAside
from dashboard.demo.patterns.read_through import ReadThrough
from dashboard.demo.patterns.write_through import WriteThrough
from dashboard.demo.prevention.none import Unprevented
from dashboard.demo.prevention.xfetch import XFetch
from tests.demo.stepping import Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Cached, SlowTable, cached, slowly
from tests.servers import Server

Start = Callable[[], Sequence[Stepper]]
LEASE = f"lease:{{{KEY}}}"


def orders(start: Start) -> Iterator[Sequence[Stepper]]:
    """Each order in which those that `start` begins can be let on to their ends; begun anew each time. They are given
    whenever one of them has come to its end."""
    untried: list[tuple[int, ...]] = [()]
    while untried:
        prefix = untried.pop()
        taken: list[int] = []
        begun = start()
        while under_way := [stepper for stepper in begun if not stepper.is_over]:
            chosen = 0
            if len(taken) < len(prefix):
                chosen = prefix[len(taken)]
            else:
                untried.extend((*taken, other) for other in range(1, len(under_way)))
            taken.append(chosen)
            if not under_way[chosen].step():
                yield begun


@pytest.fixture
def here(valkey: Server) -> Iterator[Cached]:
    found = slowly(cached(valkey.url))
    yield found
    found.remote.close()


def through(name: str, here: Cached, table: SlowTable) -> Pattern:
    made: dict[str, Pattern] = {
        "cache-aside": CacheAside(here.reader, here.entries, table),
        "write-through": WriteThrough(here.reader, here.entries, table),
        "read-through": ReadThrough(here.reader, here.entries, table, lambda _key: (table.loader(ROW), TTL)),
    }
    return made[name]


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize(
    ("name", "evicted"),
    [
        ("cache-aside", None),
        ("cache-aside", KEY),
        ("cache-aside", LEASE),
        ("write-through", None),
        ("read-through", None),
    ],
)
def test_in_no_order_of_a_reader_a_writer_and_an_eviction_is_the_old_row_left(
    here: Cached, valkey: Server, name: str, is_there: bool, evicted: str | None
) -> None:
    """`is_there`: the reader finds an entry, and refreshes it early."""
    table = SlowTable()

    def start() -> Sequence[Stepper]:
        here.entries.forget([KEY])
        table.reset()
        pattern = through(name, here, table)
        here.reader.prevention = Unprevented()
        if is_there:
            pattern.get(KEY, table.loader(ROW), TTL)
            client.pexpire(KEY, 20_000)  # so that it is seen of an entry whether it was filled since
            here.reader.prevention = XFetch(beta=1e9, random=lambda: 0.5)
        begun = [
            Stepper(lambda: pattern.get(KEY, table.loader(ROW), TTL)),
            Stepper(lambda: pattern.update(table.changing("Ghent"), TTL)),
        ]
        return begun if evicted is None else [*begun, Stepper(lambda: (pause(), client.delete(evicted)))]

    with valkey.client() as client:
        for begun in orders(start):
            reader, writer = begun[:2]
            look = here.entries.look(KEY)
            if writer.is_over:
                assert writer.finish().told
                assert look.version == 2 or not look.found
            if reader.is_over:
                assert reader.finish().document["version"] in (1, 2)
            if all(stepper.is_over for stepper in begun) and not look.found:
                assert here.entries.look(KEY, "the next reader").leased, "and nobody is left to wait"


@pytest.mark.parametrize("name", ["cache-aside", "write-through"])
def test_in_no_order_of_two_writers_is_an_older_row_left(here: Cached, name: str) -> None:
    table = SlowTable()

    def start() -> Sequence[Stepper]:
        table.reset()
        pattern = through(name, here, table)
        # Something that has been there for long, so that each of them may leave it by mistake.
        here.entries.forget([KEY])
        pattern.get(KEY, table.loader(ROW), TTL)
        return [Stepper(partial(pattern.update, table.changing(city), TTL)) for city in ("Ghent", "Bruges")]

    for writers in orders(start):
        acknowledged = [writer.finish().version for writer in writers if writer.is_over]
        look = here.entries.look(KEY)
        assert not look.found or (look.version or 0) >= max(acknowledged)
