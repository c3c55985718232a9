"""Commands on a connection of their own: many words behind the last one arrive as they are, and the guard is held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboard.cache.errors import ReadOnlyCache
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.line import packed
from dashboard.cache.servers.target import parse_target
from tests.cache.hostile_keys import HOSTILE
from tests.servers import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def _cache(server: Server, options: str = "") -> closing[Cache]:
    return closing(Cache(parse_target(f"shop={server.url}{options}")))


def test_words_behind_a_command_arrive_as_they_are(server: Server) -> None:
    words = [*{*HOSTILE.values(), b""}, b"\r\n*1\r\n$8\r\nFLUSHALL\r\n", b"x" * 100_000]
    with _cache(server) as cache, server.client() as client:
        (node,) = cache.primaries()
        assert packed(cache, node, [("ECHO", "before"), ("SADD", "words")], words) == [b"before", len(words)]
        assert client.smembers("words") == set(words)


def test_a_command_that_only_words_make_whole(server: Server) -> None:
    with _cache(server) as cache:
        (node,) = cache.primaries()
        assert packed(cache, node, [("ECHO",)], [b"all"]) == [b"all"]
        assert packed(cache, node, [("ECHO", b"none more")]) == [b"none more"]


def test_a_cache_that_is_read_only_refuses_it_whatever_words_follow(server: Server) -> None:
    with _cache(server, "?read_only=yes") as cache, server.client() as client:
        client.set("stays", 1)
        (node,) = cache.primaries()
        with pytest.raises(ReadOnlyCache):
            packed(cache, node, [("UNLINK",)], [b"stays"])
        assert packed(cache, node, [("EXISTS",)], [b"stays"]) == [1]
