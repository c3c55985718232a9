"""A cluster whose slots move under us: a single-key command still reaches the key, and costs no restart."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import redis

from dashboard.cache.exporting.reading import Reader
from dashboard.cache.exporting.run import Options, export
from dashboard.cache.reading import keys
from dashboard.cache.reading.search import search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.values.page import Excerpt, HashRow, ValuePage, page
from tests.cache.invalidating import removed
from tests.programs import wait_until
from tests.servers import Cluster, Server, start_cluster

KEY = b"wanderer"


@dataclass
class Move:
    """A key's slot, where it was when `shop` looked at the cluster, and where it is going."""

    shop: Cache
    cluster: Cluster
    slot: int
    old: Server
    new: Server

    def tell(self, server: Server, *words: object) -> None:
        with server.client() as client:
            client.execute_command("CLUSTER", "SETSLOT", self.slot, *words)

    def hand_over(self) -> None:
        """The slot belongs to the new node; the key is there and nowhere else."""
        for server in (self.new, self.old, *self.cluster.servers):
            self.tell(server, "NODE", _id(self.new))
        wait_until(lambda: all(_owner(server, self.slot) == self.new.port for server in self.cluster.servers), "agreed")


def _id(server: Server) -> bytes:
    with server.client() as client:
        return bytes(client.execute_command(b"CLUSTER", b"MYID"))


def _owner(server: Server, slot: int) -> int | None:
    with server.client() as client:
        for first, last, primary, *_ in client.execute_command(b"CLUSTER", b"SLOTS"):
            if first <= slot <= last:
                return int(primary[1])
    return None


@pytest.fixture(scope="module")
def _own_cluster() -> Iterator[Cluster]:
    cluster = start_cluster()
    yield cluster
    cluster.stop()


@pytest.fixture
def move(_own_cluster: Cluster) -> Iterator[Move]:
    """Under way: the old node sends whoever asks for the key on to the new one, which has it."""
    cluster = _own_cluster
    cluster.flush()
    slot = redis.cluster.key_slot(KEY)
    old = next(server for server in cluster.servers if _owner(server, slot) == server.port)
    new = next(server for server in cluster.servers if server is not old)
    with closing(Cache(parse_target(f"shop={cluster.url}"))) as shop:
        assert shop.node_of(KEY).name.endswith(str(old.port))
        found = Move(shop, cluster, slot, old, new)
        found.tell(new, "IMPORTING", _id(old))
        found.tell(old, "MIGRATING", _id(new))
        with new.client() as client:
            pipe = client.pipeline(transaction=False)
            pipe.execute_command("ASKING")
            pipe.hset(KEY, "f", "v")
            pipe.execute()
        yield found
    with new.client() as client:
        found.hand_over()
        client.delete(KEY)


def _all_of_it(shop: Cache) -> None:
    row = keys.look(shop, KEY)
    assert row
    assert (row.type, row.pttl_ms) == ("hash", -1)
    assert row.memory
    assert [row.key for row in search(shop, Selection(KEY)).rows] == [KEY]
    found = page(shop, KEY, type="hash")
    assert isinstance(found, ValuePage)
    assert [row for row in found.rows if isinstance(row, HashRow)] == [HashRow(Excerpt(b"f", 1), Excerpt(b"v", 1))]
    assert keys.set_ttl(shop, KEY, 60).after_ms > 50_000
    assert keys.persist(shop, KEY).after_ms == -1
    assert shop.execute("HGET", KEY, "f") == b"v"


def test_a_key_of_a_slot_on_its_way_is_followed(move: Move) -> None:
    _all_of_it(move.shop)
    assert removed(move.shop, KEY)


def test_a_key_of_a_slot_that_has_moved_is_followed(move: Move) -> None:
    move.hand_over()
    _all_of_it(move.shop)
    assert removed(move.shop, KEY)
    assert not removed(move.shop, KEY)


def test_a_move_is_learnt(move: Move) -> None:
    move.hand_over()
    assert keys.look(move.shop, KEY)
    deadline = time.monotonic() + 120
    while not move.shop.node_of(KEY).name.endswith(str(move.new.port)):
        assert time.monotonic() < deadline
        keys.look(move.shop, KEY)


@pytest.mark.parametrize("dump", [False, True])
@pytest.mark.parametrize("script", [True, False])
def test_a_key_on_its_way_is_exported(move: Move, dump: bool, script: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not script:
        monkeypatch.setattr("dashboard.cache.exporting.reading.Reader.read", Reader._by_commands)
    for begun in (True, False):
        if not begun:
            move.hand_over()
        parts = list(export(move.shop, Selection(), Options(dump=dump)))
        lines = [json.loads(line) for part in parts for line in part.lines]
        assert [(line["key"], line["type"]) for line in lines] == [("wanderer", "hash")]
        assert ("dump" in lines[0], lines[0].get("value")) == ((True, None) if dump else (False, [["f", "v"]]))
        assert parts[-1].progress.complete
