"""CLIENT LIST as a real server tells it, and lines that none would."""

from __future__ import annotations

from contextlib import closing

import pytest

from dashboard.cache.errors import ServerError
from dashboard.cache.listeners.client_list import parse
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.servers import Server


def test_a_subscriber_is_told_with_what_it_has_subscribed_to(valkey: Server) -> None:
    with (
        closing(Cache(parse_target(f"shop={valkey.url}"))) as cache,
        valkey.client(client_name="<b>shop</b>") as client,
        closing(client.pubsub()) as listening,
    ):
        listening.subscribe("a", "b")
        listening.psubscribe("c*")
        for _ in range(3):
            assert listening.get_message(timeout=60) is not None
        (node,) = cache.primaries()
        everybody = parse(node.name, cache.execute("CLIENT", "LIST", node=node))
        (found,) = (one for one in everybody if one.name == "<b>shop</b>")
        assert (found.channels, found.patterns, found.sharded, found.subscribed) == (2, 1, 0, True)
        assert found.address.startswith("127.0.0.1:")
        assert (found.node, found.user) == (node.name, "default")
        assert found.memory > 0
        assert [one for one in everybody if not one.subscribed]


def test_what_no_server_would_say_does_no_harm() -> None:
    assert parse("n", b"") == ()
    assert parse("n", b"\n \nname=x addr=y\n") == ()
    (one,) = parse("n", b"id=7 addr= name=\xff\x1b sub=many psub=-1 flags=P novalue\r\n")
    assert (one.id, one.name, one.channels, one.subscribed) == (7, "\\xff\\x1b", 0, True)
    with pytest.raises(ServerError):
        parse("n", [b"id=1"])
