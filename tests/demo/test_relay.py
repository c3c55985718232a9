"""The relay: at least once, in order per key, one at a time; on both databases and a real cache."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dashboard.demo import relay as relays
from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.remote import Remote, Unavailable
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.relay import Relay
from dashboard.demo.sql.database import Database, sqlite_url
from dashboard.demo.sql.feeds import Feed, the_feed
from dashboard.demo.sql.rows import Rows
from dashboard.demo.sql.schema import outbox
from dashboard.demo.sql.shop import Shop
from tests.demo.conftest import TINY
from tests.programs import environment, running, wait_until
from tests.servers import Server
from tests.servers import running as server_running

KEYS = Keyspace("relayed:")
SKU = "SKU-00007"
PRICE = KEYS.price(SKU)

# A process that relays, says so, and dies of what a message does to it.
DYING = """
import os, signal, sys, time
from dashboard.demo.sql.database import Database
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.relay import Relay
def tell(keys):
    print("told", *keys, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
Relay(Database(sys.argv[1]), Keyspace("relayed:"), lambda changes: 0, tell).start()
print("started", flush=True)
time.sleep(600)
"""


@dataclass
class Heard:
    """In place of the cache: notes what it is told, in order. It fails while `away`; `deaf`, it takes no messages."""

    away: bool = False
    deaf: bool = False
    outdated: list[tuple[str, int | None]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    attempts: int = 0

    def outdate(self, changes: Sequence[tuple[str, int | None]]) -> int:
        self.outdated += changes
        return 0

    def tell(self, keys: Sequence[str]) -> bool:
        self.attempts += 1
        if self.away:
            raise Unavailable("away")
        self.told += keys
        return not self.deaf


@pytest.fixture(autouse=True)
def _nothing_unexpected(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """A relay that begins anew after an error of its own would hide it from these tests."""
    yield
    if "outlives" not in request.node.name:
        assert "begins anew" not in caplog.text


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def relay_to(either_database: Database, opened: ExitStack) -> Callable[..., Relay]:
    """Makes relays of the database, started, and closes them after the test."""

    def make(heard: Heard, relayed: Callable[[int], object] = lambda _count: None) -> Relay:
        relay = opened.enter_context(closing(Relay(either_database, KEYS, heard.outdate, heard.tell, relayed)))
        relay.start()
        return relay

    return make


def left(database: Database) -> int:
    """Notes in the outbox."""
    with database.apart.connect() as connection:
        return len(connection.execute(outbox.select()).all())


def is_empty(database: Database) -> Callable[[], bool]:
    return lambda: left(database) == 0


def test_what_another_program_changes_is_forgotten_by_the_cache(
    either_database: Database, other_program: Callable[[str], None], valkey: Server
) -> None:
    shop, heard = Shop(either_database), Heard()
    with closing(Remote(valkey.url)) as remote:
        entries = Entries(remote, KEYS)
        for key, document in ((PRICE, shop.price(SKU)), (KEYS.product(7), shop.product(7))):
            entries.look(key, "token")
            assert entries.fill(key, "token", document, 60.0, 0.005)
        with closing(Relay(either_database, KEYS, entries.outdate, heard.tell)) as relay:
            relay.start()
            other_program(f"UPDATE {{}}prices SET cents = 5 WHERE sku = '{SKU}'")
            wait_until(lambda: PRICE in heard.told, "it is told")
        assert not entries.look(PRICE).found
        assert entries.look(KEYS.product(7)).found
    assert heard.told == [PRICE]


def test_an_entry_that_shows_the_change_already_stays(either_database: Database, valkey: Server) -> None:
    shop, rows, heard = Shop(either_database), Rows(either_database), Heard()
    rows.change("price", SKU, {"cents": 5})
    with closing(Remote(valkey.url)) as remote:
        entries = Entries(remote, KEYS)
        entries.look(PRICE, "token")
        assert entries.fill(PRICE, "token", shop.price(SKU), 60.0, 0.005)
        with closing(Relay(either_database, KEYS, entries.outdate, heard.tell)) as relay:
            relay.start()
            wait_until(is_empty(either_database), "all is told")
        assert heard.told == [PRICE]
        assert entries.look(PRICE).version == 2


def test_what_was_changed_while_nobody_listened_is_told_at_the_start(
    either_database: Database, relay_to: Callable[..., Relay]
) -> None:
    Rows(either_database).change("price", SKU, {"cents": 5})
    heard = Heard()
    relay_to(heard)
    wait_until(lambda: heard.told == [PRICE], "it is told")
    assert heard.outdated == [(PRICE, 2)]


def test_a_note_stays_until_the_cache_has_heard_of_it(
    either_database: Database, relay_to: Callable[..., Relay]
) -> None:
    Rows(either_database).change("price", SKU, {"cents": 5})
    heard = Heard(away=True)
    relay_to(heard)
    wait_until(lambda: heard.attempts >= 3, "some attempts")
    assert left(either_database) == 1
    heard.away = False
    wait_until(is_empty(either_database), "the outbox is empty")
    assert heard.told == [PRICE]


def test_messages_that_are_not_taken_are_tried_again_and_do_not_stop_what_comes_later(
    either_database: Database, relay_to: Callable[..., Relay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "LONGEST_REST", 0.1)
    rows, heard = Rows(either_database), Heard(deaf=True)
    rows.change("price", SKU, {"cents": 5})
    relay_to(heard)
    wait_until(is_empty(either_database), "it is given up")
    assert heard.told == [PRICE] * relays.MOST_ATTEMPTS
    heard.deaf = False
    rows.change("user", 3, {"city": "Ghent"})
    wait_until(is_empty(either_database), "the next one is told")
    assert heard.told == [PRICE] * relays.MOST_ATTEMPTS + [KEYS.user(3)]


def test_a_cache_that_was_away_is_told_when_it_comes_back(either_database: Database) -> None:
    rows, heard, done = Rows(either_database), Heard(), list[int]()
    with server_running() as server, closing(Remote(server.url)) as remote:
        server.stop()
        entries = Entries(remote, KEYS)
        with closing(Relay(either_database, KEYS, entries.outdate, heard.tell, done.append)) as relay:
            relay.start()
            for cents in range(1, 6):
                rows.change("price", SKU, {"cents": cents})
            rows.change("user", 3, {"city": "Ghent"})
            assert (heard.told, done, left(either_database)) == ([], [], 6)
            server.restart()
            wait_until(is_empty(either_database), "all is told")
    assert set(heard.told) == {PRICE, KEYS.user(3)}
    assert sum(done) == 6


def test_many_changes_of_a_row_are_told_as_one(either_database: Database, relay_to: Callable[..., Relay]) -> None:
    rows, heard, done = Rows(either_database), Heard(), list[int]()
    for cents in range(relays.AT_ONCE + 20):
        rows.change("price", SKU, {"cents": cents})
    relay_to(heard, done.append)
    wait_until(is_empty(either_database), "all is told")
    assert heard.outdated == [(PRICE, 1 + relays.AT_ONCE), (PRICE, 21 + relays.AT_ONCE)]
    assert heard.told == [PRICE, PRICE]
    wait_until(lambda: done == [relays.AT_ONCE, 20], "both are counted")


def test_the_changes_of_a_row_are_told_in_their_order_and_the_last_is_among_them(
    either_database: Database, relay_to: Callable[..., Relay]
) -> None:
    rows, heard = Rows(either_database), Heard()
    relay_to(heard)

    def change(first: int) -> None:
        for number in range(60):
            rows.change("user", 1 + (first + number) % 5, {"city": f"City {number}"})

    threads = [threading.Thread(target=change, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(is_empty(either_database), "all is told")
    for user in range(1, 6):
        versions = [version or 0 for key, version in heard.outdated if key == KEYS.user(user)]
        assert versions == sorted(versions)
        assert versions[-1] == rows.versions([("user", user)])["user", user] == 37


def test_of_two_relays_one_works_and_the_other_takes_over(
    either_database: Database, relay_to: Callable[..., Relay], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, first, second = Rows(either_database), Heard(), Heard()
    refused: list[bool] = []

    @contextmanager
    def watched(database: Database) -> Iterator[Feed | None]:
        with the_feed(database) as feed:
            refused.append(feed is None)
            yield feed

    monkeypatch.setattr(relays, "the_feed", watched)
    first.away = True
    working = relay_to(first)
    rows.change("price", SKU, {"cents": 1})
    wait_until(lambda: first.attempts > 0, "the first works")
    relay_to(second)
    wait_until(lambda: refused.count(True) >= 2, "the second asks for its turn in vain")
    assert (refused.count(False), second.attempts) == (1, 0)
    working.close()
    wait_until(is_empty(either_database), "the second works")
    assert second.told == [PRICE]


def test_what_a_relay_told_before_it_was_killed_is_told_again(
    either_database: Database, relay_to: Callable[..., Relay], tmp_path: Path
) -> None:
    address = either_database.engine.url.render_as_string(hide_password=False)
    heard = Heard()
    with running([sys.executable, "-c", DYING, address], environment(tmp_path)) as program:
        program.has_said("started")
        Rows(either_database).change("price", SKU, {"cents": 5})
        program.has_said(f"told {PRICE}")
        assert program.end() == -signal.SIGKILL
    assert left(either_database) == 1
    relay_to(heard)
    wait_until(is_empty(either_database), "the other one takes over")
    assert heard.outdated == [(PRICE, 2)]
    assert heard.told == [PRICE]


def test_a_note_of_nothing_that_the_shop_knows_holds_nobody_up(
    either_database: Database, other_program: Callable[[str], None], relay_to: Callable[..., Relay]
) -> None:
    heard = Heard()
    other_program("INSERT INTO {}outbox (kind, row_id, version) VALUES ('planet', '7', 1), ('user', 'seven', 1)")
    Rows(either_database).change("price", SKU, {"cents": 5})
    relay_to(heard)
    wait_until(is_empty(either_database), "the outbox is empty")
    assert heard.told == [PRICE]


def test_the_thread_outlives_what_nobody_expected(
    either_database: Database, relay_to: Callable[..., Relay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "LONGEST_REST", 0.05)
    heard = Heard()
    failures = iter([ZeroDivisionError("unexpected")])

    def tell(keys: Sequence[str]) -> bool:
        for failure in failures:
            raise failure
        return Heard.tell(heard, keys)

    heard.tell = tell  # type: ignore[method-assign]
    Rows(either_database).change("price", SKU, {"cents": 5})
    relay_to(heard)
    wait_until(is_empty(either_database), "the outbox is empty")
    assert heard.told == [PRICE]


def test_the_relay_is_neither_slowed_nor_counted(tmp_path: Path) -> None:
    statements: list[int] = []
    path = tmp_path / "shop.db"
    with closing(Database(sqlite_url(path), size=TINY, counted=lambda: statements.append(1))) as database:
        rows, heard = Rows(database), Heard()
        rows.change("price", SKU, {"cents": 5})
        assert len(statements) == 1
        database.latency = 3600.0
        with closing(Relay(database, KEYS, heard.outdate, heard.tell)) as relay:
            relay.start()
            wait_until(lambda: heard.told == [PRICE], "it is told")
            wait_until(is_empty(database), "it is removed")
        assert len(statements) == 1


def test_close_ends_a_relay_wherever_it_is(either_database: Database, opened: ExitStack) -> None:
    heard = [Heard(), Heard(away=True), Heard()]
    Rows(either_database).change("price", SKU, {"cents": 5})
    made = [Relay(either_database, KEYS, one.outdate, one.tell) for one in heard]
    made[1].start()
    wait_until(lambda: heard[1].attempts > 0, "it works")
    made[2].start()
    for relay in made:  # the first was never started, the second rests, the third waits for its turn
        relay.close()
    assert "relay" not in {thread.name for thread in threading.enumerate()}
