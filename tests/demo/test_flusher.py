"""The queue is written to the database: coalesced, in order, by any number of flushers, and nothing goes lost."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy.exc as sa

from dashboard.demo import flusher as module
from dashboard.demo.caching.queue import BATCH, GROUP
from dashboard.demo.flusher import MOST_FAILURES
from dashboard.demo.patterns import write_behind as pattern_module
from dashboard.demo.patterns.write_behind import VERSION_STEP
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.making import Size
from tests.demo.behind import Behind, at_once, behind
from tests.postgres import Postgres
from tests.postgres import running as postgres_running
from tests.programs import wait_until
from tests.servers import HOST, Server, free_port, running

SKU = "SKU-00017"


@pytest.fixture
def shop(sqlite_database: Database, valkey: Server) -> Iterator[Behind]:
    with behind(sqlite_database, valkey.url) as found:
        yield found


def refuse(database: Database, cents: int) -> None:
    """From now on the database does not take this price."""
    with database.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER refuse_{cents} BEFORE UPDATE ON prices WHEN NEW.cents = {cents} "
            "BEGIN SELECT RAISE(ABORT, 'no such price'); END"
        )


def under_way(shop: Behind) -> int:
    """Changes that a flusher was given and has not settled."""
    return int(shop.client.xpending(shop.keys.writes, GROUP)["pending"])


def test_the_thread_writes_without_being_asked(shop: Behind) -> None:
    shop.flusher.start()
    shop.change_price(SKU, 4321)
    wait_until(lambda: shop.cents(SKU) == 4321, "the change to be written")
    wait_until(lambda: shop.queue.length() == 0, "the queue to be empty")
    shop.flusher.close()
    assert not shop.client.exists(shop.keys.pending(shop.keys.price(SKU)))


def test_of_one_row_only_the_newest_change_is_written(shop: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[object] = []
    apply = shop.rows.apply
    monkeypatch.setattr(shop.rows, "apply", lambda *change: writes.append(change) or apply(*change))
    for cents in range(10):
        shop.change_price(SKU, cents)
    shop.change_user(3, "Oslo")
    assert shop.flusher.drain(60) == 0
    assert writes == [
        ("price", SKU, {"cents": 9}, 1 + 10 * VERSION_STEP),
        ("user", 3, {"city": "Oslo", "bio": "-"}, 1 + VERSION_STEP),
    ]
    counted = shop.counters.to_plain()
    assert (counted["flushed"], counted["coalesced"], counted["dead"]) == (2, 9, 0)


def test_more_than_a_batch_is_written_at_once(shop: Behind) -> None:
    for number in range(2 * BATCH + 7):
        shop.change_price(f"SKU-{1 + number % 40:05d}", number)
    assert shop.queue.figures().length == 2 * BATCH + 7
    assert shop.flusher.drain(60) == 0
    assert [shop.cents(f"SKU-{1 + number % 40:05d}") for number in range(2 * BATCH - 33, 2 * BATCH + 7)] == list(
        range(2 * BATCH - 33, 2 * BATCH + 7)
    )


def test_what_a_dead_flusher_had_is_taken_over(shop: Behind) -> None:
    shop.claim_after = 0.0
    shop.change_price(SKU, 4321)
    assert len(next(shop.queue.batches("one that dies"))) == 1
    assert under_way(shop) == 1
    assert shop.another_flusher("another").drain(60) == 0
    assert shop.cents(SKU) == 4321


def test_what_a_flusher_at_work_has_is_left_to_it(shop: Behind) -> None:
    shop.change_price(SKU, 4321)
    assert len(next(shop.queue.batches("one at work"))) == 1
    assert shop.another_flusher("another").drain(0.2) == 1
    assert shop.another_flusher("one at work").drain(60) == 0


def test_a_flusher_goes_on_with_what_it_had_before_what_is_new(shop: Behind) -> None:
    for cents in (1, 2):
        shop.change_price(SKU, cents)
        shop.change_user(3, f"city {cents}")
    given = next(shop.queue.batches("tests"))
    shop.change_price("SKU-00018", 3)
    batches = list(shop.queue.batches("tests"))
    assert batches[0] == given
    assert [entry.row for entry in batches[1]] == ["SKU-00018"]  # type: ignore[union-attr]


def test_two_flushers_at_once_are_harmless(shop: Behind) -> None:
    shop.claim_after = 0.0  # each takes from the other what it has just been given
    flushers = [shop.another_flusher(name) for name in ("one", "two")]
    acknowledged: dict[str, tuple[int, int]] = {}

    def write() -> None:
        for number in range(300):
            sku = f"SKU-{1 + number % 5:05d}"
            version = shop.change_price(sku, number).version
            acknowledged[sku] = (number, version or 0)

    at_once(write, *[lambda flusher=flusher: [flusher.drain(0.05) for _ in range(40)] for flusher in flushers])
    assert flushers[0].drain(60) == 0
    for sku, (cents, version) in acknowledged.items():
        assert shop.cents(sku) == cents
        # Written once more it has a version above that: see the next test.
        assert shop.rows.versions([("price", sku)])["price", sku] >= version
    assert shop.queue.figures().dead == 0


def test_a_change_that_was_written_and_not_settled_is_written_again_and_changes_nothing(
    shop: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = shop.change_price(SKU, 4321)
    shop.rows.apply("price", SKU, {"cents": 4321}, changed.version or 0)  # and then the flusher died
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 4321
    assert shop.get_price(SKU).document["cents"] == 4321  # type: ignore[index]


def test_an_old_change_after_a_newer_one_changes_nothing(shop: Behind) -> None:
    shop.change_price(SKU, 1111)
    assert len(next(shop.queue.batches("slow"))) == 1
    shop.change_price(SKU, 2222)
    assert shop.flusher.drain(0) == 1
    assert shop.cents(SKU) == 2222
    assert shop.another_flusher("slow").drain(60) == 0
    assert shop.cents(SKU) == 2222
    assert shop.queue.figures().dead == 0


def test_what_others_do_to_the_row_meanwhile_costs_no_change(shop: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's new posts raise the version of the profile, as it shows how many there are."""
    monkeypatch.setattr(pattern_module, "VERSION_STEP", 5)
    shop.change_user(3, "Oslo")
    for number in range(10):
        shop.shop.add_post(3, 1, f"post {number}", "text")
    assert shop.flusher.drain(60) == 0
    found = shop.shop.user(3)
    assert found
    assert found["city"] == "Oslo"
    assert shop.get_user(3).document["city"] == "Oslo"  # type: ignore[index]


def test_a_change_of_a_row_that_is_gone_is_a_dead_letter(shop: Behind) -> None:
    shop.get_price(SKU)
    with shop.database.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM prices WHERE sku = '{SKU}'")
    changed = shop.change_price(SKU, 4321)
    assert shop.flusher.drain(60) == 0
    (letter,) = shop.dead_letters()
    assert letter["reason"] == "there is no such row"
    assert (letter["kind"], letter["row"], letter["values"]) == ("price", f'"{SKU}"', '{"cents": 4321}')
    assert (letter["version"], letter["key"]) == (str(changed.version), shop.keys.price(SKU))
    assert shop.get_price(SKU).document is None
    assert (shop.queue.figures().dead, shop.counters.to_plain()["dead"]) == (1, 1)


def test_a_change_that_the_database_refuses_is_a_dead_letter_and_the_one_before_it_is_written(shop: Behind) -> None:
    refuse(shop.database, 1300)
    shop.change_price(SKU, 1200)
    shop.change_price(SKU, 1300)
    assert shop.get_price(SKU).document["cents"] == 1300  # type: ignore[index]
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 1200
    assert shop.get_price(SKU).document["cents"] == 1200  # type: ignore[index]
    (letter,) = shop.dead_letters()
    assert letter["reason"].startswith("the database refuses it: IntegrityError: no such price")


def test_a_refused_change_does_not_take_a_later_one_with_it(shop: Behind) -> None:
    refuse(shop.database, 1300)
    shop.change_price(SKU, 1300)
    refused = next(shop.queue.batches("tests"))
    shop.change_price(SKU, 1400)
    shop.flusher._write(refused)  # type: ignore[arg-type]
    assert shop.queue.figures().dead == 1
    assert shop.get_price(SKU).source == "hit"
    shop.client.unlink(shop.keys.price(SKU))
    assert shop.get_price(SKU).document["cents"] == 1400  # type: ignore[index]
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 1400


def test_a_change_that_fails_for_another_reason_is_tried_five_times(
    shop: Behind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[object] = []
    apply = shop.rows.apply

    def fail(kind: str, row: object, *rest: object) -> str:
        if row == SKU:
            tries.append(row)
            raise RuntimeError("a mistake somewhere")
        return apply(kind, row, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.rows, "apply", fail)
    for sku in (SKU, "SKU-00018"):
        shop.change_price(sku, 4321)
    assert shop.flusher.drain(60) == 0
    assert (len(tries), shop.cents("SKU-00018")) == (MOST_FAILURES, 4321)
    (letter,) = shop.dead_letters()
    assert letter["reason"] == "it failed 5 times: RuntimeError: a mistake somewhere"


def test_while_the_database_is_away_every_change_is_kept(
    shop: Behind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def away(*_change: object) -> str:
        tries.append(1)
        raise sa.OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))

    for cents in range(3):
        shop.change_price(f"SKU-0000{1 + cents}", cents)
    with monkeypatch.context() as patch:
        patch.setattr(shop.rows, "apply", away)
        while len(tries) <= 3 * MOST_FAILURES:
            assert shop.flusher.drain(0) == 3
        assert shop.queue.figures().dead == 0
    assert shop.flusher.drain(60) == 0
    assert [shop.cents(f"SKU-0000{1 + cents}") for cents in range(3)] == [0, 1, 2]


def test_a_locked_database_is_one_that_is_away(shop: Behind) -> None:
    shop.change_price(SKU, 4321)
    with sqlite3.connect(str(shop.database.file), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert shop.flusher.drain(0) == 1
        other.execute("ROLLBACK")
    other.close()
    assert shop.flusher.drain(60) == 0
    assert (shop.cents(SKU), shop.queue.figures().dead) == (4321, 0)


def test_the_thread_survives_a_database_and_a_cache_that_go_and_come(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(module, "LONGEST_REST_SECONDS", 0.05)
    with (
        caplog.at_level(logging.WARNING),
        running("--appendonly", "yes", "--appendfsync", "always") as server,
        behind(sqlite_database, server.url) as shop,
    ):
        shop.change_price(SKU, 1)
        with monkeypatch.context() as patch:
            patch.setattr(shop.rows, "apply", lambda *_change: 1 / 0)
            shop.flusher.start()
            wait_until(lambda: "is tried again" in caplog.text, "a failure")
        server.stop()
        wait_until(lambda: "changes wait in the queue" in caplog.text, "the cache to be missed")
        server.restart()
        wait_until(lambda: shop.cents(SKU) == 1, "the change to be written")
        shop.flusher.close()


def test_a_flusher_that_ends_leaves_the_group_unless_it_has_something_to_finish(shop: Behind) -> None:
    shop.change_price(SKU, 1)
    other = shop.another_flusher("other")
    assert len(next(shop.queue.batches("other"))) == 1
    shop.flusher.drain(0)
    for flusher in (shop.flusher, other):
        flusher.close()
    assert [one["name"] for one in shop.client.xinfo_consumers(shop.keys.writes, GROUP)] == [b"other"]


def test_what_is_no_change_of_a_row_is_a_dead_letter(shop: Behind) -> None:
    good = {
        "kind": "price",
        "row": f'"{SKU}"',
        "values": {"cents": 1},
        "version": "999999",
        "key": shop.keys.price(SKU),
    }
    shop.enqueue(anything="x")
    shop.enqueue(**{**good, "row": "{"})
    for wrong in ({"row": True}, {"row": [1]}, {"values": [1]}, {"version": "x"}, {"kind": b"\xff"}):
        shop.enqueue(**{**good, **wrong})
    shop.enqueue(**{name: value for name, value in good.items() if name != "key"})
    shop.client.xadd(shop.keys.writes, {f"field {number}": "x" for number in range(9000)})
    shop.enqueue(**{**good, "kind": "cart"})
    shop.enqueue(**{**good, "values": {"sku": "x"}})
    shop.enqueue(**{**good, "values": {"cents": "free"}})
    shop.enqueue(**{**good, "version": "9" * 30})
    number = shop.queue.length()
    shop.change_price(SKU, 4321)
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 4321
    reasons = [letter["reason"] for letter in shop.dead_letters()]
    assert len(reasons) == number == 13
    assert reasons.count("this is not a change of a row") == 9
    assert sum(reason.startswith("the database refuses it: BadRow") for reason in reasons) == 4


def test_what_was_removed_from_the_queue_by_hand_is_no_trouble(shop: Behind) -> None:
    shop.change_price(SKU, 1)
    (entry,) = next(shop.queue.batches("tests"))
    shop.client.xdel(shop.keys.writes, entry.id)
    assert shop.flusher.drain(60) == 0
    assert (under_way(shop), shop.queue.figures().dead) == (0, 0)


def test_a_queue_that_is_removed_under_way_begins_anew(shop: Behind) -> None:
    shop.change_price(SKU, 1)
    assert shop.flusher.drain(60) == 0
    shop.client.flushall()
    assert shop.flusher.drain(60) == 0
    assert not shop.client.exists(shop.keys.writes)
    shop.change_price(SKU, 2)
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 2


def test_draining_gives_up_in_time_and_says_what_is_left(shop: Behind, sqlite_database: Database) -> None:
    shop.change_price(SKU, 1)
    with shop.flusher._turn:
        assert shop.flusher.drain(0.05) == 1
    with behind(sqlite_database, f"redis://{HOST}:{free_port()}") as lost:
        assert lost.flusher.drain(0.0) == 1


def test_the_lag_is_the_age_of_the_oldest_change_by_the_servers_clock(shop: Behind) -> None:
    assert (shop.queue.figures().length, shop.queue.figures().lag_seconds) == (0, 0.0)
    seconds, _micros = shop.client.time()
    fields = {"kind": "price", "row": f'"{SKU}"', "values": '{"cents": 1}', "version": 6, "key": shop.keys.price(SKU)}
    shop.client.xadd(shop.keys.writes, fields, id=f"{(seconds - 100) * 1000}-0")  # type: ignore[arg-type]
    shop.change_price("SKU-00018", 2)
    figures = shop.queue.figures()
    assert figures.length == 2
    assert figures.lag_seconds >= 99
    assert shop.flusher.drain(60) == 0
    assert shop.queue.figures().lag_seconds == 0


def test_it_warns_of_a_server_that_may_lose_the_queue(shop: Behind) -> None:
    assert "appendonly is off" in (shop.queue.warning() or "")
    shop.client.config_set("maxmemory", 10**9)
    shop.client.config_set("maxmemory-policy", "allkeys-lru")
    assert "maxmemory-policy is allkeys-lru" in (shop.queue.warning() or "")


def test_it_does_not_warn_of_a_server_that_keeps_it(sqlite_database: Database) -> None:
    with running("--appendonly", "yes") as server, behind(sqlite_database, server.url) as shop:
        assert shop.queue.warning() is None


def test_a_postgresql_that_is_read_only_or_gone_for_a_while_costs_no_change(
    postgres: Postgres, valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        postgres.database() as url,
        closing(Database(url, size=Size(users=30, products=40))) as database,
        behind(database, valkey.url) as shop,
        postgres.connect(url) as other,
    ):
        name = database.engine.url.database
        shop.change_price(SKU, 1111)
        assert shop.flusher.drain(60) == 0
        shop.change_price(SKU, 2222)
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only TO on")  # type: ignore[call-overload]
        database.engine.dispose()
        for _ in range(2 * MOST_FAILURES):
            assert shop.flusher.drain(0) == 1
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only TO off")  # type: ignore[call-overload]
        database.engine.dispose()
        assert shop.flusher.drain(60) == 0
        assert (shop.cents(SKU), shop.queue.figures().dead) == (2222, 0)


def test_a_postgresql_that_dies_costs_no_change(valkey: Server) -> None:
    with (
        postgres_running() as server,
        server.database() as url,
        closing(Database(url, size=Size(users=30, products=40))) as database,
        behind(database, valkey.url) as shop,
    ):
        shop.change_price(SKU, 1111)
        assert shop.flusher.drain(60) == 0
        assert shop.change_price(SKU, 2222).queued
        server.stop()
        for _ in range(2 * MOST_FAILURES):
            assert shop.flusher.drain(0) == 1
        assert shop.change_price(SKU, 3333).queued
        assert shop.get_price(SKU).document["cents"] == 3333  # type: ignore[index]
        server.start_again()
        assert shop.flusher.drain(60) == 0
        assert (shop.cents(SKU), shop.queue.figures().dead) == (3333, 0)
