"""One primary of three is lost: what the others have is shown, the loss is said, and it heals by itself."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from dashboard.cache.errors import CacheError, ClusterDown, TimedOut, Unreachable
from dashboard.cache.reading import keys
from dashboard.cache.reading.namespaces import namespaces
from dashboard.cache.reading.search import State, listing, search, state_from_text
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers import connect
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.walk import Budget, walk
from tests.cache.invalidating import removed
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, start_cluster

KEYS = [b"k:%d" % number for number in range(3000)]


@dataclass
class Lossy:
    """A cluster of which a primary can be stopped; `shop` enters it by all of its nodes."""

    cluster: Cluster
    shop: Cache

    def keys_of(self, server: Server) -> set[bytes]:
        return {key for key in KEYS if self.shop.node_of(key).name == f"{HOST}:{server.port}"}

    def rank(self, index: int) -> Server:
        """The primaries in the order in which walks visit them."""
        names = [node.name for node in self.shop.primaries()]
        return next(server for server in self.cluster.servers if names[index] == f"{HOST}:{server.port}")


@pytest.fixture(scope="module")
def _clusters() -> Iterator[Cluster]:
    # The nodes of a cluster that lost a primary go on with the slots that they have, and call nobody lost soon.
    cluster = start_cluster(3, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
    yield cluster
    cluster.stop()


@pytest.fixture
def lossy(_clusters: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lossy]:
    monkeypatch.setattr(connect, "FAILURE_SECONDS", 0.0)
    with contextlib.closing(_clusters.client()) as client:
        pipe = client.pipeline()
        for key in KEYS:
            pipe.set(key, "v")
        pipe.execute()
    hosts = ",".join(f"{HOST}:{server.port}" for server in _clusters.servers)
    target = parse_target(f"shop=redis+cluster://{hosts}?timeout=0.4&connect_timeout=0.4")
    with contextlib.closing(Cache(target)) as shop:
        yield Lossy(_clusters, shop)


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_walk_goes_on_with_the_others_and_says_which_is_lost(lossy: Lossy, index: int) -> None:
    lost = lossy.rank(index)
    walking = walk(lossy.shop, Selection(), Budget(share=1.0))
    batches = [next(walking)]
    with stopped(lost):
        batches += walking
    last = batches[-1].position
    assert last.ended
    assert list(last.lost) == [f"{HOST}:{lost.port}"]
    assert "did not answer" in last.lost[f"{HOST}:{lost.port}"]
    seen = {key for batch in batches for key in batch.found}
    assert set(KEYS) - lossy.keys_of(lost) <= seen
    assert last.examined < last.total == len(KEYS)
    again = list(walk(lossy.shop, Selection(), Budget(share=1.0), last.retried()))
    assert seen | {key for batch in again for key in batch.found} == set(KEYS)
    assert not again[-1].position.lost


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_search_that_begins_without_a_primary_shows_the_others(lossy: Lossy, index: int) -> None:
    lost = lossy.rank(index)
    # A pattern whose own name, as a key, lives on the primary that is lost.
    pattern = next(
        b"k:*" + b"*" * more
        for more in range(100)
        if lossy.shop.node_of(b"k:*" + b"*" * more).name.endswith(str(lost.port))
    )
    with stopped(lost):
        step = search(lossy.shop, Selection(pattern), limit=5000, seconds=5)
        shown = {row.key for row in step.rows}
        assert shown == set(KEYS) - lossy.keys_of(lost)
        assert all(row.type == "string" for row in step.rows)
        assert list(step.lost) == [f"{HOST}:{lost.port}"]
        assert step.ended
        assert not step.complete
    assert step.state
    state = state_from_text(step.state.to_text())
    step = search(lossy.shop, Selection(pattern), State(state.position.retried(), state.shown), limit=5000, seconds=5)
    assert {row.key for row in step.rows} == lossy.keys_of(lost)
    assert step.complete
    assert step.found == len(KEYS)


def test_namespaces_and_listings_show_the_others_and_claim_no_more(lossy: Lossy) -> None:
    lost = lossy.rank(1)
    left = len(KEYS) - len(lossy.keys_of(lost))
    with stopped(lost):
        found = namespaces(lossy.shop, b"", b":", seconds=5)
        assert found.children[0].keys.value == left
        assert not found.exact
        assert found.position.lost
        *_, (_, position) = shown = list(listing(lossy.shop, Selection(b"*")))
        assert sum(len(rows) for rows, _ in shown) == left
        assert position.lost


def test_keys_of_the_others_can_be_worked_on_and_its_own_fail_in_a_sentence(lossy: Lossy) -> None:
    lost = lossy.rank(0)
    theirs, ours = lossy.keys_of(lost).pop(), lossy.keys_of(lossy.rank(1)).pop()
    with stopped(lost):
        assert keys.look(lossy.shop, ours)
        assert keys.set_ttl(lossy.shop, ours, 60).after_ms > 0
        assert removed(lossy.shop, ours)
        for act in (keys.look, keys.persist):
            with pytest.raises(TimedOut, match="shop did not answer"):
                act(lossy.shop, theirs)
    assert keys.look(lossy.shop, theirs)


def test_rows_of_a_primary_that_fails_after_its_keys_were_seen_stay_in_the_list(lossy: Lossy) -> None:
    lost = lossy.rank(2)
    keys.look(lossy.shop, KEYS[0])
    with stopped(lost):
        found = keys.rows(lossy.shop, KEYS[:100], seen=True)
        assert list(found) == KEYS[:100]
        assert {key for key, row in found.items() if not row.type} == lossy.keys_of(lost) & set(KEYS[:100])
        with pytest.raises(CacheError):
            keys.rows(lossy.shop, KEYS[:100])


def test_capabilities_are_asked_of_those_that_answer(lossy: Lossy) -> None:
    with stopped(lossy.rank(0)):
        assert lossy.shop.capabilities().product == "Valkey"
        assert lossy.shop.policy() == "noeviction"


def test_a_primary_that_was_killed_and_started_again_is_found(lossy: Lossy) -> None:
    lost = lossy.rank(1)
    theirs = lossy.keys_of(lost).pop()
    lost.stop()
    with pytest.raises(Unreachable):
        keys.look(lossy.shop, theirs)
    step = search(lossy.shop, Selection(b"*"), limit=5000, seconds=5)
    assert list(step.lost) == [f"{HOST}:{lost.port}"]
    assert "cannot be reached" in step.lost[f"{HOST}:{lost.port}"]
    lost.restart()
    with lost.client() as client:
        wait_until(lambda: b"cluster_state:ok" in client.execute_command(b"CLUSTER", b"INFO"), "it is back")
    assert keys.look(lossy.shop, theirs) is None
    step = search(lossy.shop, Selection(b"*"), limit=5000, seconds=5)
    assert step.complete


def test_a_cluster_that_calls_itself_down_lists_what_it_can() -> None:
    cluster = start_cluster(3, "--cluster-node-timeout", "600")
    try:
        target = parse_target(f"shop={cluster.url}?timeout=0.5")
        with contextlib.closing(cluster.client()) as client, contextlib.closing(Cache(target)) as shop:
            for key in KEYS[:100]:
                client.set(key, "v")
            assert search(shop, Selection(b"*")).complete
            ours = next(key for key in KEYS if shop.node_of(key).name == f"{HOST}:{cluster.servers[0].port}")
            cluster.servers[2].stop()
            with cluster.servers[0].client() as one, cluster.servers[1].client() as two:
                wait_until(lambda: _is_down(one) and _is_down(two), "the cluster calls itself down")
            for act in (keys.look, keys.persist):
                with pytest.raises(ClusterDown, match="The cluster shop is down for these keys"):
                    act(shop, ours)
            step = search(shop, Selection(b"*"))
            assert 20 < step.found < 100
            assert list(step.lost) == [f"{HOST}:{cluster.servers[2].port}"]
    finally:
        cluster.stop()


def _is_down(client: redis.Redis) -> bool:
    return b"cluster_state:fail" in client.execute_command(b"CLUSTER", b"INFO")
