"""Invalidate, then undo: the keyspace is what it was, but for what was written since. For random keyspaces, selections,
modes and writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.cache.invalidation.mode import Gently, Mode, Now, Paced, Stale
from dashboard.cache.invalidation.task import Task
from dashboard.cache.selecting.glob import matches
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.cache.invalidating import Key, Memory, alike, done, keyspace, undone
from tests.servers import Server

HOUR_MS = 3_600_000
names = st.builds(
    bytes.__add__, st.sampled_from([b"api:", b"sess:", b"a", b"", b"\xff:", b"[x]", b"q?*"]), st.binary(max_size=4)
)
ttls = st.sampled_from([None, HOUR_MS, 7 * HOUR_MS, 3000 * HOUR_MS])
values = st.one_of(
    st.tuples(st.just("string"), st.binary(max_size=60)),
    st.tuples(st.just("hash"), st.dictionaries(st.binary(min_size=1, max_size=5), st.binary(max_size=9), min_size=1)),
    st.tuples(st.just("list"), st.lists(st.binary(max_size=9), min_size=1, max_size=9)),
    st.tuples(st.just("set"), st.sets(st.binary(max_size=9), min_size=1, max_size=9)),
    st.tuples(st.just("zset"), st.dictionaries(st.binary(max_size=5), st.integers(-9, 9), min_size=1)),
    st.tuples(st.just("stream"), st.binary(min_size=1, max_size=5)),
)
keyspaces = st.dictionaries(names, st.tuples(values, ttls), max_size=25)
modes: st.SearchStrategy[Mode] = st.sampled_from([Now(), Paced(100_000), Gently(1800), Stale(1200)])
patterns = st.sampled_from([b"*", b"api:*", b"sess:?", b"a*", b"*:*", b"\\[x\\]*", b"q\\?\\*", b"[^a]*", b"\xff*"])


@st.composite
def selections(draw: Any, keys: list[bytes]) -> Selection:
    if keys and draw(st.booleans()):
        return Selection(keys=tuple(draw(st.lists(st.sampled_from(keys) | names, min_size=1, unique=True))))
    kind = draw(st.sampled_from(["", "", "", "hash", "string"]))
    return Selection(draw(patterns), kind, draw(st.sampled_from(["", "", "none", "any", ">7200"])))


@pytest.fixture(scope="module")
def shop(_valkey_session: Server) -> Iterator[tuple[Cache, redis.Redis]]:
    server = _valkey_session
    with server.client() as client, closing(Cache(parse_target(f"shop={server.url}"))) as cache:
        yield cache, client


def _put(client: redis.Redis, name: bytes, kind: str, value: Any) -> None:
    client.delete(name)
    if kind == "string":
        client.set(name, value)
    elif kind == "hash":
        client.hset(name, mapping=value)
    elif kind == "list":
        client.rpush(name, *value)
    elif kind == "set":
        client.sadd(name, *value)
    elif kind == "zset":
        client.zadd(name, value)
    else:
        client.xadd(name, {value: value})


def _selected(selection: Selection, name: bytes, kind: str, ttl: int | None) -> bool:
    if selection.keys is not None:
        return name in selection.keys
    wanted = {"": True, "none": ttl is None, "any": ttl is not None, ">7200": (ttl or 0) > 7_200_000}[selection.ttl]
    return matches(selection.pattern, name) and selection.takes_type(kind) and wanted


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), space=keyspaces, mode=modes)
def test_invalidate_and_undo_give_back_what_was_not_written_since(
    shop: tuple[Cache, redis.Redis], data: st.DataObject, space: dict[bytes, Any], mode: Mode
) -> None:
    cache, client = shop
    client.flushall()
    for name, ((kind, value), ttl) in space.items():
        _put(client, name, kind, value)
        if ttl is not None:
            client.pexpire(name, ttl)
    before = keyspace(client)
    selection = data.draw(selections(list(space)), label="selection")
    chosen = {name for name, ((kind, _), ttl) in space.items() if _selected(selection, name, kind, ttl)}
    task, safe = Task(selection, mode), Memory()

    counts = done(cache, task, safe).counts

    assert (counts.found, counts.done, safe.names) == (len(chosen), len(chosen), chosen)
    _holds_what_it_should(keyspace(client), before, chosen, lowered=task.lowers)
    rewritten = data.draw(st.sets(st.sampled_from(sorted(space)), max_size=4)) if space else set()
    for name in rewritten:
        _put(client, name, "string", b"written since")
    since = keyspace(client)

    back = undone(cache, task, safe)

    after = keyspace(client)
    assert after.keys() == before.keys()
    for name, key in after.items():
        assert alike(key, since[name] if name in rewritten else before[name]), name
    assert back.back == len(chosen - rewritten)
    assert back.newer == len(chosen & rewritten)
    assert not back.refused


def _holds_what_it_should(after: dict[bytes, Key], before: dict[bytes, Key], chosen: set[bytes], lowered: bool) -> None:
    assert after.keys() == before.keys() if lowered else after.keys() == before.keys() - chosen
    for name, key in after.items():
        if name in chosen:
            assert key.dump == before[name].dump
            assert key.expires != -1
            assert before[name].expires == -1 or key.expires < before[name].expires
        else:
            assert alike(key, before[name], 0)
