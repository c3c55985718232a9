"""How a document lies in the cache, and who may put it there."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest
import redis

from dashboard.demo.caching.entries import Entries, Look, Pending
from dashboard.demo.caching.remote import Refused, Remote
from dashboard.demo.encoding import encode
from tests.demo.table import KEY, cached
from tests.programs import wait_until
from tests.servers import Server

LEASE = f"lease:{{{KEY}}}"
ADA = {"name": "Ada", "version": 3}
NOBODY = Look(found=False)


@pytest.fixture
def entries(valkey: Server) -> Iterator[Entries]:
    found = cached(valkey.url)
    yield found.entries
    found.remote.close()


def put(entries: Entries, document: dict[str, object] | None = ADA, ttl: float = 60.0) -> None:
    assert entries.look(KEY, "of the arrangement").leased
    assert entries.fill(KEY, "of the arrangement", document, ttl, 0.0125)


def test_what_was_filled_is_found_with_what_is_known_of_it(entries: Entries, valkey: Server) -> None:
    put(entries)
    look = entries.look(KEY, remaining=True)
    assert (look.found, look.document, look.version, look.took) == (True, ADA, 3, 0.0125)
    assert 50 < look.remaining <= 60
    with valkey.client() as client:
        assert client.hgetall(KEY) == {b"document": encode(ADA), b"version": b"3", b"took": b"12.500"}
        assert client.keys("*") == [KEY.encode()]


@pytest.mark.parametrize("document", [None, {"q": "red"}])
def test_a_document_without_version_leaves_none_of_an_earlier_one(
    entries: Entries, valkey: Server, document: dict[str, object] | None
) -> None:
    put(entries)
    assert entries.take(KEY, "a").leased
    assert entries.fill(KEY, "a", document, 60, 0)
    look = entries.look(KEY)
    assert (look.found, look.document, look.version) == (True, document, None)


def test_an_entry_without_an_end_remains_for_ever(entries: Entries, valkey: Server) -> None:
    put(entries)
    with valkey.client() as client:
        client.persist(KEY)
    assert entries.look(KEY, remaining=True).remaining == math.inf


def counted(client: redis.Redis) -> tuple[int, int]:
    """Look-ups by the server's own count: hits, misses."""
    stats = client.info("stats")
    return stats["keyspace_hits"], stats["keyspace_misses"]


@pytest.mark.parametrize("pending", [False, True])
def test_a_reader_is_one_miss_or_one_hit_of_its_entry_to_the_server(
    entries: Entries, valkey: Server, *, pending: bool
) -> None:
    with valkey.client() as client:
        began = counted(client)
        assert entries.look(KEY, "a", pending=pending).leased
        assert entries.fill(KEY, "a", ADA, 60, 0)
        assert counted(client) == (began[0] + 1, began[1] + 1), "the miss, and the lease that fill finds"
        assert entries.look(KEY, "b", pending=pending).found
        assert counted(client) == (began[0] + 2, began[1] + 1)


def test_what_is_told_of_a_change_is_no_miss(entries: Entries, valkey: Server) -> None:
    with valkey.client() as client:
        began = counted(client)
        assert entries.outdate([(KEY, 4)]) == 0
        assert counted(client) == began


def test_where_the_size_of_a_key_is_not_told_all_is_found_all_the_same(valkey: Server) -> None:
    """MEMORY USAGE tells whether something is there, uncounted. An ACL may deny it."""
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "frugal", "on", ">secret", "~*", "+@all", "-memory")
        client.hset(f"shop:pending:{KEY}", mapping={"version": 7, "values": '{"city": "Ghent"}'})
        found = cached(valkey.url.replace("redis://", "redis://frugal:secret@"))
        try:
            assert found.entries.look(KEY, pending=True).pending == Pending(7, {"city": "Ghent"})
            client.set(KEY, "x")
            assert found.entries.look(KEY, "a") == Look(found=False, foreign=True, leased=True)
            assert found.entries.fill(KEY, "a", ADA, 60, 0)
            assert found.entries.outdate([(KEY, 3)]) == 0
            assert found.entries.outdate([(KEY, 4)]) == 1
        finally:
            found.remote.close()
            client.execute_command("ACL", "DELUSER", "frugal")


def test_the_first_who_finds_nothing_gets_the_lease_and_nobody_else(entries: Entries) -> None:
    assert entries.look(KEY) == NOBODY
    assert [entries.look(KEY, token).leased for token in ("a", "b", "a")] == [True, False, False]


def test_whoever_finds_an_entry_gets_no_lease_unless_it_asks_for_it(entries: Entries) -> None:
    put(entries)
    assert not entries.look(KEY, "a").leased
    assert [entries.take(KEY, token).leased for token in ("a", "b")] == [True, False]
    assert entries.take(KEY, "b").document == ADA


def test_only_the_owner_of_the_lease_fills_and_only_once(entries: Entries) -> None:
    entries.look(KEY, "a")
    assert [entries.fill(KEY, token, ADA, 60, 0) for token in ("b", "a", "a")] == [False, True, False]


def test_a_lease_that_has_ended_fills_nothing(valkey: Server) -> None:
    entries = cached(valkey.url, lease_seconds=0.001).entries
    assert entries.look(KEY, "a").leased
    with valkey.client() as client:
        wait_until(lambda: not client.exists(LEASE), "the lease has ended")
    assert not entries.fill(KEY, "a", ADA, 60, 0)
    assert not entries.look(KEY).found


@pytest.mark.parametrize("how", ["forget", "outdate", "outdate without a version"])
def test_a_slow_reader_does_not_write_back_what_was_invalidated(entries: Entries, how: str) -> None:
    entries.look(KEY, "slow")
    if how == "forget":
        entries.forget([KEY])
    else:
        entries.outdate([(KEY, 4 if how == "outdate" else None)])
    assert not entries.fill(KEY, "slow", ADA, 60, 0)
    assert not entries.look(KEY).found


def test_a_slow_reader_does_not_write_back_what_was_evicted_with_its_lease(entries: Entries, valkey: Server) -> None:
    entries.look(KEY, "slow")
    with valkey.client() as client:
        client.delete(LEASE)
    assert entries.look(KEY, "quick").leased
    assert not entries.fill(KEY, "slow", ADA, 60, 0)
    assert entries.fill(KEY, "quick", ADA, 60, 0)


def test_a_writer_takes_the_lease_away_from_readers_and_from_an_earlier_writer(entries: Entries) -> None:
    entries.look(KEY, "reader")
    entries.claim(KEY, "first")
    entries.claim(KEY, "second")
    assert [entries.fill(KEY, token, ADA, 60, 0) for token in ("reader", "first", "second")] == [False, False, True]


def test_a_newer_version_is_not_replaced_by_an_older(entries: Entries) -> None:
    put(entries)
    entries.take(KEY, "a")
    assert not entries.fill(KEY, "a", {**ADA, "version": 2}, 60, 0)
    assert entries.look(KEY).version == 3
    assert entries.take(KEY, "b").leased, "and whoever was refused stands in nobody's way"
    assert entries.fill(KEY, "b", {**ADA, "version": 3, "name": "A."}, 60, 0)


def test_a_lease_is_released_by_its_owner_only(entries: Entries) -> None:
    entries.look(KEY, "a")
    entries.release(KEY, "b")
    assert not entries.look(KEY, "c").leased
    entries.release(KEY, "a")
    assert entries.look(KEY, "c").leased


def test_outdated_is_what_is_older_or_has_no_version(entries: Entries, valkey: Server) -> None:
    def lie(version: int | None) -> None:
        entries.forget([KEY])
        put(entries, {"name": "Ada"} if version is None else {"name": "Ada", "version": version})

    for there, told, removed in ((3, 4, 1), (3, 3, 0), (3, 2, 0), (None, 1, 1), (3, None, 1), (9, 10, 1), (10, 9, 0)):
        lie(there)
        assert entries.outdate([(KEY, told)]) == removed, (there, told)
        assert entries.look(KEY).found is not removed
    entries.forget([KEY])
    assert entries.outdate([(KEY, 4), ("not there", None)]) == 0
    assert entries.outdate([]) == 0


def test_what_is_told_anew_of_a_current_entry_does_not_disturb_its_refresh(entries: Entries) -> None:
    put(entries)
    entries.take(KEY, "refresher")
    entries.outdate([(KEY, 3)])
    assert entries.fill(KEY, "refresher", {**ADA, "version": 4}, 60, 0)


def test_several_keys_are_forgotten_at_once_and_no_other(entries: Entries, valkey: Server) -> None:
    for key in ("a", "b", "c"):
        entries.look(key, "t")
        entries.fill(key, "t", ADA, 60, 0)
    entries.forget(["a", "b", "not there"])
    entries.forget([])
    with valkey.client() as client:
        assert client.keys("*") == [b"c"]


@pytest.mark.parametrize(
    "fields",
    [
        {"document": b"\x80\x04]"},
        {"document": encode({"a": "b" * 9000})[:-3]},
        {"document": encode(ADA), "version": "three"},
        {"document": encode(ADA), "took": "long"},
        {"version": "3", "took": "1"},
        {"user": "42"},
    ],
)
def test_a_damaged_entry_is_foreign_and_is_filled_anew(
    entries: Entries, valkey: Server, fields: dict[str, bytes | str]
) -> None:
    with valkey.client() as client:
        client.hset(KEY, mapping=fields)  # type: ignore[arg-type]
    assert entries.look(KEY) == Look(found=False, foreign=True)
    assert entries.look(KEY, "a") == Look(found=False, foreign=True, leased=True)
    assert entries.fill(KEY, "a", ADA, 60, 0)
    assert entries.look(KEY).document == ADA


@pytest.mark.parametrize("kind", ["string", "list", "set", "stream"])
def test_a_key_of_another_type_is_foreign_and_is_replaced(entries: Entries, valkey: Server, kind: str) -> None:
    with valkey.client() as client:
        arrange = {
            "string": lambda: client.set(KEY, json.dumps(ADA)),
            "list": lambda: client.rpush(KEY, "x"),
            "set": lambda: client.sadd(KEY, "x"),
            "stream": lambda: client.xadd(KEY, {"x": "y"}),
        }
        arrange[kind]()
        assert entries.look(KEY, "a") == Look(found=False, foreign=True, leased=True)
        assert entries.fill(KEY, "a", ADA, 60, 0)
        assert client.pttl(KEY) > 0
    assert entries.look(KEY).document == ADA


@pytest.mark.parametrize("kind", ["string", "list"])
def test_a_lease_without_an_end_is_not_ours_and_is_taken_over(entries: Entries, valkey: Server, kind: str) -> None:
    with valkey.client() as client:
        client.set(LEASE, "x") if kind == "string" else client.rpush(LEASE, "x")
    assert entries.look(KEY, "a").leased
    assert entries.fill(KEY, "a", ADA, 60, 0)


def test_the_change_that_the_database_has_yet_to_get_is_seen_where_it_is_asked_for(
    entries: Entries, valkey: Server
) -> None:
    with valkey.client() as client:
        client.hset(f"shop:pending:{KEY}", mapping={"version": 7, "values": '{"city": "Ghent"}'})
        assert entries.look(KEY, pending=True).pending == Pending(7, {"city": "Ghent"})
        assert entries.take(KEY, "a", pending=True).pending == Pending(7, {"city": "Ghent"})
        assert entries.look(KEY).pending is None
        for damaged in ({"version": "x"}, {"version": 7, "values": "{"}, {"version": 7, "values": "[]"}):
            client.hset(f"shop:pending:{KEY}", mapping=damaged)  # type: ignore[arg-type]
            assert entries.look(KEY, pending=True).pending is None
        client.delete(f"shop:pending:{KEY}")
        client.rpush(f"shop:pending:{KEY}", "x")
        assert entries.look(KEY, pending=True).pending is None


def test_out_of_memory_it_is_refused_and_nobody_waits_for_who_was_refused(entries: Entries, valkey: Server) -> None:
    put(entries)
    entries.look("other", "a")
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
        assert entries.look(KEY, "b").document == ADA
        with pytest.raises(Refused):
            entries.look("third", "a")
        with pytest.raises(Refused):
            entries.fill("other", "a", ADA, 60, 0)
        assert client.keys("*") == [KEY.encode()]
        entries.forget([KEY])
        assert client.keys("*") == []


def test_two_processes_share_leases_and_entries(entries: Entries, valkey: Server) -> None:
    other = cached(valkey.url)
    entries.look(KEY, "a")
    assert not other.entries.look(KEY, "b").leased
    entries.fill(KEY, "a", ADA, 60, 0)
    assert other.entries.look(KEY).document == ADA
    other.entries.forget([KEY])
    assert not entries.look(KEY).found
    other.remote.close()


def test_scripts_are_sent_again_to_a_server_that_has_forgotten_them(entries: Entries, valkey: Server) -> None:
    put(entries)
    with valkey.client() as client:
        client.script_flush()
    assert entries.look(KEY).found


def test_a_look_is_one_round_trip(valkey: Server) -> None:
    found = cached(valkey.url)
    found.entries.look(KEY, "a")
    asked = 0
    ask = Remote.ask

    def counting(remote: Remote, question: object) -> object:
        nonlocal asked
        asked += 1
        return ask(remote, question)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Remote, "ask", counting)
        found.entries.fill(KEY, "a", ADA, 60, 0)
        found.entries.look(KEY, "a")
        found.entries.outdate([(KEY, 3)])
    assert asked == 3
    found.remote.close()
