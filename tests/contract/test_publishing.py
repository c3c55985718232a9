"""A message is published, counted and acknowledged on each of the three ways to a cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from dashboard.cache.errors import ReadOnlyCache
from dashboard.cache.messages.audience import audience
from dashboard.cache.messages.draft import Draft
from dashboard.cache.messages.publishing import Publication, publish
from dashboard.cache.servers.connect import Cache
from tests.application import Application, application
from tests.contract.sites import Site

KEYS = Draft(b"invalidate", "keys", keys=(b"api:user:1", b"\xff"))


def published(cache: Cache, draft: Draft = KEYS, seconds: float = 30.0) -> Publication:
    *_, last = publish(cache, draft, seconds)
    return last


@contextmanager
def applications(site: Site) -> Iterator[list[Application]]:
    """One on each server, `shop-0` and so on."""
    with ExitStack() as stack:
        yield [stack.enter_context(application(server, f"shop-{number}")) for number, server in enumerate(site.servers)]


def test_all_who_acknowledge_are_listed_wherever_they_have_subscribed(site: Site, shop: Cache) -> None:
    with applications(site) as apps:
        found = published(shop)
        assert {json.loads(app.next())["id"] for app in apps} == {found.id}
    assert {(ack.name, ack.client) for ack in found.acks} == {(app.name, str(app.client_id)) for app in apps}
    assert {ack.node for ack in found.acks} == {node.name for node in shop.primaries()}
    assert (found.silent, found.silent_count, found.counted.odd, found.notes) == ((), 0, 0, ())
    assert found.before.subscribers == len(site.servers)
    assert found.partial == (site.kind == "cluster")
    assert found.receivers == 1  # of this one node


def test_who_is_subscribed_and_silent_is_listed_and_cachedeck_itself_is_not(site: Site, shop: Cache) -> None:
    with (
        applications(site),
        application(site.servers[0], "silent", "news:today", answers=False),
        closing(site.servers[0].client(client_name="cachedeck")) as own,
        closing(own.pubsub(ignore_subscribe_messages=True)) as console,  # type: ignore[no-untyped-call]
    ):
        console.psubscribe("inv*")
        console.get_message(timeout=60)
        found = published(shop, seconds=3.0)
    assert [one.client.name for one in found.silent] == ["silent"]
    assert (found.before.own, found.before.patterns) == (1, 1)
    assert len(found.acks) == len(site.servers)


def test_a_sharded_channel_is_heard_where_its_slot_is(site: Site, shop: Cache) -> None:
    owner = next(server for server in site.servers if _serves(site, shop, server.port))
    draft = Draft(b"invalidate", "tags", tags=(b"red",), sharded=True)
    with application(owner, "shop-1", sharded=True) as app:
        found = published(shop, draft)
        assert json.loads(app.next())["tags"] == ["red"]
    assert (found.receivers, found.partial, found.before.subscribers, found.before.patterns) == (1, False, 1, None)
    assert [ack.name for ack in found.acks] == ["shop-1"]


def _serves(site: Site, shop: Cache, port: int) -> bool:
    return site.kind != "cluster" or shop.node_of(b"invalidate").name.endswith(f":{port}")


def test_without_waiting_nobody_is_asked(site: Site, shop: Cache) -> None:
    with applications(site) as apps:
        (found,) = publish(shop, KEYS, 0.0)
        assert "reply" not in json.loads(apps[0].next())
    assert (found.id, found.acks, found.silent_count, found.progress.ended) == ("", (), None, True)


def test_a_read_only_cache_sends_nothing(site: Site, only_looking: Cache) -> None:
    with applications(site) as apps, pytest.raises(ReadOnlyCache):
        list(publish(only_looking, KEYS, 1.0))
    assert apps[0].count == 0


def test_who_could_hear_it_takes_one_call_of_each_sort(site: Site, shop: Cache) -> None:
    shop.primaries()
    site.forget_calls()
    audience(shop, b"invalidate", sharded=False)
    calls = {name: count for name, count in site.calls().items() if name in ("pubsub|numsub", "pubsub|numpat")}
    assert calls == {"pubsub|numsub": len(site.servers), "pubsub|numpat": len(site.servers)}
    assert site.calls().get("client|list") == len(site.servers)
