"""Write-behind: a change is acknowledged by the queue, seen by every reader, and goes past the queue where it must."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.demo.caching.entries import new_token
from dashboard.demo.encoding import encode
from dashboard.demo.patterns import Change
from dashboard.demo.patterns import write_behind as pattern_module
from dashboard.demo.patterns.write_behind import MOST_QUEUED, VERSION_STEP
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.rows import JUMP
from tests.demo.behind import TTL, Behind, at_once, behind
from tests.servers import HOST, Server, free_port, running

SKU = "SKU-00017"


@pytest.fixture
def shop(sqlite_database: Database, valkey: Server) -> Iterator[Behind]:
    with behind(sqlite_database, valkey.url) as found:
        yield found


def test_a_change_is_acknowledged_before_the_database_has_it(shop: Behind) -> None:
    before = shop.cents(SKU)
    changed = shop.change_price(SKU, before + 1)
    assert (changed.queued, changed.told, changed.version) == (True, True, 1 + VERSION_STEP)
    assert shop.cents(SKU) == before
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == before + 1
    assert shop.rows.versions([("price", SKU)]) == {("price", SKU): changed.version}


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_reader_sees_it_at_once(shop: Behind, is_cached: bool) -> None:
    if is_cached:
        shop.get_user(3)
    changed = shop.change_user(3, "Oslo", "new")
    answer = shop.get_user(3)
    assert answer.source == "hit"
    assert answer.document == {**shop.shop.user(3), "city": "Oslo", "bio": "new", "version": changed.version}  # type: ignore[dict-item]


@pytest.mark.parametrize("loss", ["evicted", "expired", "invalidated", "foreign"])
def test_without_its_entry_a_queued_change_is_still_seen(shop: Behind, loss: str) -> None:
    changed = shop.change_price(SKU, 4321)
    key = shop.keys.price(SKU)
    if loss == "evicted":
        shop.client.unlink(key)
    elif loss == "expired":
        shop.client.pexpire(key, 0)
    elif loss == "invalidated":
        assert shop.pattern.forget([key])
    else:
        shop.client.unlink(key)
        shop.client.set(key, b"something else")
    assert [(answer.source, answer.document["cents"], answer.document["version"]) for answer in two_reads(shop)] == [  # type: ignore[index]
        ("miss", 4321, changed.version),
        ("hit", 4321, changed.version),
    ]


def two_reads(shop: Behind) -> list:
    return [shop.get_price(SKU) for _ in range(2)]


def test_a_reader_that_was_slow_does_not_bring_the_old_row_back(shop: Behind) -> None:
    def slow_load() -> object:
        old = shop.shop.price(SKU)
        shop.change_price(SKU, 4321)
        return old

    shop.pattern.get(shop.keys.price(SKU), slow_load, TTL)  # type: ignore[arg-type]
    assert shop.get_price(SKU).document["cents"] == 4321  # type: ignore[index]


def test_a_change_that_comes_while_the_last_is_written_stays_visible(
    shop: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = shop.rows.apply
    shop.change_price(SKU, 1111)

    def apply_slowly(*arguments: object) -> str:
        applied = apply(*arguments)  # type: ignore[arg-type]
        monkeypatch.undo()
        shop.change_price(SKU, 2222)
        shop.client.unlink(shop.keys.price(SKU))
        return applied

    monkeypatch.setattr(shop.rows, "apply", apply_slowly)
    batches = shop.queue.batches("tests")
    shop.flusher._write(next(batches))  # type: ignore[arg-type]
    assert (shop.cents(SKU), shop.get_price(SKU).document["cents"]) == (1111, 2222)  # type: ignore[index]
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 2222


def test_writers_of_one_row_at_once_are_all_acknowledged_with_versions_of_their_own(shop: Behind) -> None:
    versions: list[int | None] = []

    def write() -> None:
        for number in range(25):
            versions.append(shop.change_price(SKU, number).version)

    at_once(*[write] * 8)
    if not shop.counters.to_plain()["past_the_queue"]:  # where one gets in the way of another too often
        assert sorted(versions) == [1 + VERSION_STEP * number for number in range(1, 201)]  # type: ignore[type-var]
    assert len(set(versions)) == 200
    assert shop.flusher.drain(60) == 0
    assert shop.rows.versions([("price", SKU)])["price", SKU] == max(versions)  # type: ignore[type-var]
    assert shop.counters.to_plain()["coalesced"] > 0


def test_a_writer_that_lost_its_lease_looks_again(shop: Behind) -> None:
    """Between its load and its change another was queued, written and evicted: what it has read is too old."""
    seen: list[int] = []

    def load() -> object:
        document = shop.shop.price(SKU)
        assert document
        seen.append(document["version"])
        if len(seen) == 1:
            assert shop.change_price(SKU, 1111).queued
            assert shop.flusher.drain(60) == 0
            shop.client.flushall()
        return document

    change = Change("price", SKU, {"cents": 2222}, shop.keys.price(SKU), load)  # type: ignore[arg-type]
    changed = shop.pattern.update(change, TTL)
    assert seen == [1, 1 + VERSION_STEP]
    assert changed.version == 1 + 2 * VERSION_STEP
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 2222


def test_a_document_that_was_made_from_an_older_one_is_not_kept(shop: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.get_user(3)
    shop.change_user(3, "Oslo")
    take = shop.entries.take

    def take_and_be_overtaken(*arguments: object, **options: object) -> object:
        found = take(*arguments, **options)  # type: ignore[arg-type]
        monkeypatch.undo()
        shop.shop.add_post(3, 1, "a new post", "text")
        shop.pattern.forget([shop.keys.user(3)])
        shop.get_user(3)  # an entry of the same version lies there again
        return found

    monkeypatch.setattr(shop.entries, "take", take_and_be_overtaken)
    changed = shop.change_user(3, "Rom")
    found = shop.get_user(3).document
    assert found
    assert (found["city"], found["version"], found["latest"][0]["title"]) == ("Rom", changed.version, "a new post")


def test_a_writer_takes_the_lease_of_a_slow_reader(shop: Behind) -> None:
    token = new_token()
    assert shop.entries.look(shop.keys.price(SKU), token).leased
    old = shop.shop.price(SKU)
    assert shop.change_price(SKU, 4321).queued
    assert shop.entries.fill(shop.keys.price(SKU), token, old, TTL, 0.0) is False
    assert shop.get_price(SKU).document["cents"] == 4321  # type: ignore[index]


def test_of_a_row_that_there_is_not_nothing_is_queued(shop: Behind) -> None:
    assert shop.change_price("SKU-99999", 1).version is None
    assert shop.get_price("SKU-99999").document is None
    assert shop.change_price("SKU-99999", 1).version is None
    assert shop.queue.figures().length == 0
    assert not shop.client.exists(shop.keys.lease(shop.keys.price("SKU-99999")))


def test_a_foreign_value_under_any_of_its_keys_costs_no_change(shop: Behind) -> None:
    key = shop.keys.price(SKU)
    for name in (key, shop.keys.pending(key)):
        shop.client.rpush(name, "something else")
    assert shop.change_price(SKU, 4321).queued
    assert shop.get_price(SKU).document["cents"] == 4321  # type: ignore[index]
    shop.client.delete(key)
    shop.client.hset(key, mapping={"document": b"{", "version": "no number", "took": "x"})
    assert shop.change_price(SKU, 4322).queued
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 4322


def test_with_something_else_under_the_name_of_the_queue_the_database_is_asked(shop: Behind) -> None:
    shop.client.set(shop.keys.writes, "something else")
    changed = shop.change_price(SKU, 4321)
    assert (changed.queued, changed.told, changed.version) == (False, True, 1 + JUMP)
    assert shop.cents(SKU) == 4321


@pytest.fixture(params=["away", "out of memory", "full"])
def troubled(request: pytest.FixtureRequest, sqlite_database: Database, valkey: Server) -> Iterator[Behind]:
    url = f"redis://{HOST}:{free_port()}" if request.param == "away" else valkey.url
    with behind(sqlite_database, url) as found, pytest.MonkeyPatch.context() as patch:
        if request.param == "out of memory":
            found.client.config_set("maxmemory", 1)
        elif request.param == "full":
            patch.setattr(pattern_module, "MOST_QUEUED", 0)
        yield found


def test_where_the_queue_takes_nothing_the_database_does(troubled: Behind) -> None:
    changed = troubled.change_price(SKU, 4321)
    assert (changed.queued, changed.version) == (False, 1 + JUMP)
    assert troubled.cents(SKU) == 4321
    assert troubled.get_price(SKU).document["cents"] == 4321  # type: ignore[index]
    assert troubled.change_price("SKU-99999", 1).version is None


def test_a_change_past_the_queue_outranks_what_the_queue_holds(shop: Behind) -> None:
    shop.change_price(SKU, 1111)
    shop.remote.cut(60)
    past = shop.change_price(SKU, 2222)
    assert (past.queued, past.told) == (False, False)
    shop.rest()
    assert shop.get_price(SKU).document["cents"] == 2222  # type: ignore[index]
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 2222
    assert shop.get_price(SKU).document["cents"] == 2222  # type: ignore[index]
    (letter,) = shop.dead_letters()
    assert letter["reason"] == "the row was changed past the queue meanwhile"
    assert letter["values"] == '{"cents": 1111}'


def test_a_change_is_queued_on_top_of_those_that_went_past_the_queue(shop: Behind) -> None:
    skus = [f"SKU-{number:05d}" for number in range(1, 41)]
    for sku in skus:
        shop.change_price(sku, 1111)
    shop.remote.cut(60)
    for sku in skus:
        assert shop.change_price(sku, 2222).told is False
    shop.rest()
    for sku in skus[:20]:
        changed = shop.change_price(sku, 3333)
        assert (changed.queued, changed.version) == (True, 1 + JUMP + VERSION_STEP)
    assert shop.flusher.drain(60) == 0
    assert [shop.cents(sku) for sku in skus] == [3333] * 20 + [2222] * 20


def test_a_change_queued_by_who_could_not_know_of_one_past_the_queue_is_a_dead_letter(
    sqlite_database: Database, valkey: Server, shop: Behind
) -> None:
    with behind(sqlite_database, valkey.url) as other:
        other.get_price(SKU)
        shop.remote.cut(60)
        assert shop.change_price(SKU, 2222).told is False
        assert other.change_price(SKU, 3333).queued
        assert other.flusher.drain(60) == 0
        assert (other.cents(SKU), other.get_price(SKU).document["cents"]) == (2222, 2222)  # type: ignore[index]
        assert [letter["values"] for letter in shop.dead_letters()] == ['{"cents": 3333}']


def test_a_change_past_a_queue_that_answers_is_told_at_once(shop: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.get_price(SKU)
    shop.change_price(SKU, 1111)
    with monkeypatch.context() as patch:
        patch.setattr(pattern_module, "MOST_QUEUED", 0)
        assert shop.change_price(SKU, 2222).told is True
    assert shop.get_price(SKU).document["cents"] == 2222  # type: ignore[index]
    # The next change is above it, though an older one still waits.
    assert shop.change_price(SKU, 3333).version == 1 + JUMP + VERSION_STEP
    assert shop.flusher.drain(60) == 0
    assert shop.cents(SKU) == 3333


def test_a_full_queue_of_one_row_stays_below_a_jump() -> None:
    assert MOST_QUEUED * VERSION_STEP <= JUMP // 2


def test_the_entry_has_the_ttl_of_the_change_and_knows_how_long_a_load_takes(shop: Behind) -> None:
    shop.change_price(SKU, 1)
    took = shop.client.hget(shop.keys.price(SKU), "took")
    assert float(took or 0) > 0
    shop.change_price(SKU, 2)
    assert shop.client.hget(shop.keys.price(SKU), "took") == took
    assert 50_000 < shop.client.pttl(shop.keys.price(SKU)) <= 60_000


def test_what_did_not_change_lasts_as_the_entry_had_it(shop: Behind) -> None:
    """A queued change lays its columns over the document that is there; it does not read the database."""
    shop.get_user(3)
    loads = []
    change = Change("user", 3, {"city": "Rom", "bio": "b"}, shop.keys.user(3), lambda: loads.append(1))  # type: ignore[arg-type, func-returns-value]
    assert shop.pattern.update(change, TTL).queued
    assert loads == []


def test_a_server_that_dies_between_the_look_and_the_queue_costs_no_change(sqlite_database: Database) -> None:
    with running() as server, behind(sqlite_database, server.url) as shop:

        def load() -> object:
            server.stop()
            return shop.shop.price(SKU)

        change = Change("price", SKU, {"cents": 4321}, shop.keys.price(SKU), load)  # type: ignore[arg-type]
        changed = shop.pattern.update(change, TTL)
        assert (changed.queued, changed.told) == (False, False)
        assert shop.cents(SKU) == 4321


def test_an_entry_from_before_the_change_is_overlaid(shop: Behind) -> None:
    """Where somebody has put an older document under the key in spite of all, the queued change is shown."""
    changed = shop.change_price(SKU, 4321)
    old = shop.shop.price(SKU)
    shop.client.hset(shop.keys.price(SKU), mapping={"document": encode(old), "version": 1, "took": 1})
    assert shop.get_price(SKU).document == {**old, "cents": 4321, "version": changed.version}  # type: ignore[dict-item]


def test_two_processes_see_one_anothers_changes(sqlite_database: Database, valkey: Server, shop: Behind) -> None:
    with behind(sqlite_database, valkey.url, consumer="other") as other:
        first = shop.change_price(SKU, 1111)
        second = other.change_price(SKU, 2222)
        assert second.version == (first.version or 0) + VERSION_STEP
        assert shop.get_price(SKU).document["cents"] == 2222  # type: ignore[index]
