"""A cache declared read-only: nothing that could change it leaves this process, on any path, and looking goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dashboard.cache.errors import ReadOnlyCache
from dashboard.cache.reading import keys
from dashboard.cache.reading.namespaces import namespaces
from dashboard.cache.reading.search import search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.guard import only_looks
from tests.cache.invalidating import removed
from tests.contract.sites import Site

COMMANDS: list[tuple[Any, ...]] = [
    ("SET", "k", "x"),
    (b"set", b"k", b"x"),
    ("DEL", "k"),
    ("UNLINK", "k"),
    ("EXPIRE", "k", 1),
    ("PEXPIRE", "k", 1),
    ("PERSIST", "k"),
    ("GETDEL", "k"),
    ("GETEX", "k", "EX", 1),
    ("RESTORE", "k", 0, b""),
    ("SORT", "k", "STORE", "k2"),
    ("EVAL", "return redis.call('DEL', KEYS[1])", 1, "k"),
    ("EVALSHA", "0" * 40, 1, "k"),
    ("FCALL", "f", 1, "k"),
    ("NOSUCHCOMMAND", "k"),
]

ADMINISTRATION: list[tuple[Any, ...]] = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("CONFIG SET", "maxmemory", "1"),
    ("CONFIG RESETSTAT",),
    ("SCRIPT", "LOAD", "return 1"),
    ("FUNCTION", "FLUSH"),
    ("CLIENT", "PAUSE", 10_000),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("ACL", "SETUSER", "eve", "on", "nopass"),
    ("DEBUG", "SLEEP", 0),
    ("PUBLISH", "c", "m"),
    ("REPLICAOF", "NO", "ONE"),
    ("SHUTDOWN",),
    ("MULTI",),
]


# What reaches the servers from others: the arranging client's own, and the sentinel's.
OF_THE_SITE = {"config|resetstat", "replconf", "publish", "exec", "multi", "config|rewrite"}


@pytest.fixture
def sent(site: Site, only_looking: Cache) -> Callable[[], set[str]]:
    """What has reached the servers from the cache (connected beforehand) that is not a look."""
    site.fill([b"k"], ttl=1000)
    keys.look(only_looking, b"k")
    site.forget_calls()

    def since() -> set[str]:
        return {name for name in site.calls() if not only_looks(name.split("|"))} - OF_THE_SITE

    return since


def test_a_write_is_refused_before_a_byte_is_sent(only_looking: Cache, sent: Callable[[], set[str]]) -> None:
    node = only_looking.node_of(b"k")
    for command in COMMANDS:
        name = str(command[0], "ascii").upper() if isinstance(command[0], bytes) else command[0]
        with pytest.raises(ReadOnlyCache, match=f"shop is declared read-only here: {name} was not sent") as caught:
            only_looking.execute(*command, node=node)
        assert "read_only" in caught.value.advice
        assert only_looking.execute("STRLEN", "k", node=node) == 1
    assert sent() == set()


def test_a_write_is_refused_where_the_client_chooses_the_server(
    only_looking: Cache, sent: Callable[[], set[str]]
) -> None:
    for command in [
        ("SET", "k", "x"),
        ("DEL", "k"),
        ("UNLINK", "k"),
        ("PEXPIRE", "k", 1),
        ("EVAL", "return 1", 1, "k"),
    ]:
        with pytest.raises(ReadOnlyCache):
            only_looking.execute(*command)
    assert sent() == set()
    assert only_looking.execute("STRLEN", "k") == 1


def test_administration_is_refused_on_every_primary(only_looking: Cache, sent: Callable[[], set[str]]) -> None:
    for node in only_looking.primaries():
        for command in ADMINISTRATION:
            with pytest.raises(ReadOnlyCache):
                only_looking.execute(*command, node=node)
    assert sent() == set()


def test_a_pipeline_with_one_write_in_it_sends_nothing(
    only_looking: Cache, sent: Callable[[], set[str]], site: Site
) -> None:
    node = only_looking.node_of(b"k")
    with pytest.raises(ReadOnlyCache, match="DEL"):
        only_looking.pipeline(node, [("STRLEN", "k"), ("DEL", "k"), ("STRLEN", "k")])
    assert sent() == set()
    assert only_looking.pipeline(node, [("STRLEN", "k")]) == [1]


@pytest.mark.parametrize("transaction", [True, False])
def test_redis_pys_own_pipelines_and_transactions_are_refused(
    transaction: bool, only_looking: Cache, sent: Callable[[], set[str]], site: Site
) -> None:
    for client in (only_looking.node_of(b"k").client, only_looking.client):
        pipe = client.pipeline(transaction=transaction)
        pipe.set("k", "x")
        with pytest.raises(ReadOnlyCache):
            pipe.execute()
    assert sent() == set()


def test_a_watch_and_a_registered_script_are_refused(
    only_looking: Cache, sent: Callable[[], set[str]], site: Site
) -> None:
    client = only_looking.node_of(b"k").client
    with pytest.raises(ReadOnlyCache), client.pipeline() as pipe:
        pipe.watch("k")
    with pytest.raises(ReadOnlyCache):
        client.register_script("return redis.call('DEL', KEYS[1])")(keys=["k"])
    with pytest.raises(ReadOnlyCache), client.lock("k", timeout=1):
        pass
    assert sent() == set()


@pytest.mark.parametrize(
    "act",
    [
        lambda cache: keys.set_ttl(cache, b"k", 10),
        lambda cache: keys.persist(cache, b"k"),
        lambda cache: removed(cache, b"k"),
    ],
    ids=["set_ttl", "persist", "delete"],
)
def test_acting_on_a_key_is_refused(
    act: Callable[[Cache], object], only_looking: Cache, sent: Callable[[], set[str]], site: Site
) -> None:
    with pytest.raises(ReadOnlyCache):
        act(only_looking)
    assert sent() == set()
    assert site.plain.ttl("k") > 900


def test_everything_else_goes_on(only_looking: Cache, site: Site) -> None:
    site.fill([b"a:1", b"a:2", b"b:1"])
    assert {row.key for row in search(only_looking, Selection(b"a:*")).rows} == {b"a:1", b"a:2"}
    assert search(only_looking, Selection(b"b:1")).found == 1
    assert {child.name for child in namespaces(only_looking, b"", b":").children} == {b"a", b"b"}
    row = keys.look(only_looking, b"a:1")
    assert row
    assert row.memory


def test_capabilities_say_what_the_declaration_takes_away(only_looking: Cache) -> None:
    can = only_looking.capabilities()
    assert can.product == "Valkey"
    assert can.can("SCAN")
    assert can.can("MEMORY USAGE")
    for command in ("DEL", "UNLINK", "PEXPIRE", "PERSIST", "EVAL", "CONFIG SET"):
        assert can.why_not(command) == f"{command}: the cache is declared read-only"


def test_the_same_server_without_the_declaration_can_be_written(shop: Cache, site: Site) -> None:
    site.fill([b"k"])
    assert removed(shop, b"k")
    assert site.plain.exists("k") == 0
