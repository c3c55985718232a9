"""What a walk must not claim: that what it could not ask about is not there, or that a part is the whole."""

from __future__ import annotations

from contextlib import closing

from dashboard.cache.reading.namespaces import namespaces
from dashboard.cache.reading.search import search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.walk import Budget, walk
from tests.servers import Cluster, Server, running


def test_keys_whose_ttl_may_not_be_asked_are_not_left_out_in_silence() -> None:
    with running() as server, server.client() as client:
        client.mset({f"k:{number}": "v" for number in range(50)})
        client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all", "-pttl")
        target = parse_target(f"shop=redis://bob:pw@127.0.0.1:{server.port}")
        with closing(Cache(target)) as cache:
            step = search(cache, Selection(b"*", ttl="any"))
    assert not step.complete
    assert "PTTL" in next(iter(step.lost.values()))


def test_a_keyspace_whose_size_is_not_told_is_searched_all_the_same() -> None:
    with running() as server, server.client() as client:
        client.mset({f"k:{number}": "v" for number in range(250)})
        client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all", "-dbsize")
        target = parse_target(f"shop=redis://bob:pw@127.0.0.1:{server.port}")
        with closing(Cache(target)) as cache:
            step = search(cache, Selection(b"k:*"), limit=1000, seconds=5)
    assert step.complete
    assert step.found == 250
    assert step.total >= 250


def test_primaries_of_a_cluster_advance_alike(cluster: Cluster) -> None:
    with closing(cluster.client()) as client:
        pipe = client.pipeline()
        for number in range(6_000):
            pipe.set(f"k:{number}", "v")
        pipe.execute()
    with closing(Cache(parse_target(f"shop={cluster.url}"))) as cache:
        for batch in walk(cache, Selection(), Budget(first_count=20)):
            shares = [place.share for place in batch.position.places.values()]
            if batch.position.examined >= 1_500:
                break
    assert min(shares) > 0.05


def test_namespaces_of_one_primary_do_not_stand_for_all(cluster: Cluster) -> None:
    """Three namespaces, each on one primary by its hash tag: a partial walk must name all of them."""
    with closing(cluster.client()) as client:
        tags = {}
        for number in range(100):
            node = client.get_node_from_key(f"{{t{number}}}").name
            tags.setdefault(node, f"{{t{number}}}")
        assert len(tags) == 3
        for tag in tags.values():
            pipe = client.pipeline()
            for number in range(4_000):
                pipe.set(f"{tag}:{number}", "v")
            pipe.execute()
    with closing(Cache(parse_target(f"shop={cluster.url}"))) as cache:
        found = namespaces(cache, b"", b":", seconds=0.01)
    assert {child.name.decode() for child in found.children} == set(tags.values())


def test_an_empty_server_is_empty(valkey: Server) -> None:
    with closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        step = search(cache, Selection())
    assert (step.complete, step.found, step.total) == (True, 0, 0)
