"""The ACL that docs/configuration.md recommends: enough for every screen and act, and no more."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask

from dashboard.cache.analysis.run import analyze
from dashboard.cache.estimate import exactly
from dashboard.cache.eviction.age import NO_LIMIT, draw, eviction_age
from dashboard.cache.exporting.run import Options, export
from dashboard.cache.invalidation.mode import Now, Stale
from dashboard.cache.invalidation.task import Task, Tell
from dashboard.cache.listeners.listeners import listening
from dashboard.cache.messages.channels import channels_of
from dashboard.cache.messages.draft import Draft
from dashboard.cache.messages.publishing import publish
from dashboard.cache.notifications.keyevents import FLAGS, SETTING, KeyEvents
from dashboard.cache.reading import keys
from dashboard.cache.reading.search import search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target, parse_targets
from dashboard.cache.tuning import node_settings
from dashboard.cache.values import page as values
from dashboard.cache.values.rows import ValuePage
from dashboard.jobs import invalidating, results
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import samples
from dashboard.store.operators import Role
from tests.cache.invalidating import removed
from tests.servers import HOST, Cluster, Server
from tests.views.conftest import deck_of, signed_in_client

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
USED = ("INFO", "DBSIZE", "SCAN", "TYPE", "PTTL", "MEMORY USAGE", "OBJECT", "UNLINK", "DEL", "PEXPIRE", "PERSIST")
USED_ALSO = (
    "EVAL_RO",
    "CONFIG GET",
    "CLIENT",
    "LATENCY",
    "LATENCY HISTOGRAM",
    "SLOWLOG",
    "EVAL",
    "DUMP",
    "RESTORE",
    "PUBLISH",
    "SPUBLISH",
    "SUBSCRIBE",
)
REFUSED = (
    "KEYS *",
    "SORT_RO list",
    "FLUSHALL",
    "CLIENT KILL ID 1",
    "CLIENT PAUSE 1",
    "CONFIG SET maxmemory 0",
    "MIGRATE h 1 k 0 1",
    "SET a b",
    "SHUTDOWN NOSAVE",
    "ACL LIST",
    "CLUSTER RESET",
    "MONITOR",
)


def _documented(which: int = 0) -> list[str]:
    """0: for everybody. 1: what admins need besides."""
    blocks = re.findall(r"^```\n(ACL SETUSER .*?)```", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    return str(blocks[which]).split()


@pytest.fixture(params=["standalone", "cluster"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server, or of a cluster, as the documented user."""
    if request.param == "cluster":
        cluster: Cluster = request.getfixturevalue("cluster")
        servers, scheme = cluster.servers, "redis+cluster"
    else:
        valkey: Server = request.getfixturevalue("valkey")
        servers, scheme = [valkey], "redis"
    for server in servers:
        with server.client() as client:
            client.execute_command(*_documented())
    yield f"{scheme}://cachedeck:secret@{HOST}:{servers[0].port}"
    for server in servers:
        with server.client() as client:
            client.execute_command("ACL", "DELUSER", "cachedeck")


@pytest.fixture
def cache(url: str, request: pytest.FixtureRequest) -> Iterator[Cache]:
    is_cluster = url.startswith("redis+cluster")
    arranging = request.getfixturevalue("cluster" if is_cluster else "valkey").client()
    arranging.rpush("list", "a", "b")
    arranging.hset("hash", "f", "v")
    arranging.set("text", "v")
    arranging.close()
    with contextlib.closing(Cache(parse_target(f"main={url}"))) as opened:
        yield opened


def test_it_allows_all_that_is_used(cache: Cache) -> None:
    found = cache.capabilities()
    assert [command for command in (*USED, *USED_ALSO) if not found.can(command)] == []


def test_it_allows_to_search_and_to_look(cache: Cache) -> None:
    shown = search(cache, Selection(), seconds=5.0)
    assert {row.key for row in shown.rows} == {b"list", b"hash", b"text"}
    row = keys.look(cache, b"list")
    assert row is not None
    assert (row.type, row.memory is not None) == ("list", True)


@pytest.mark.parametrize("key", ["list", "hash", "text"])
def test_it_shows_values(cache: Cache, key: str) -> None:
    row = keys.look(cache, key.encode())
    assert row is not None
    found = values.page(cache, key.encode(), type=row.type)
    assert isinstance(found, ValuePage)
    assert found.notes == ()


def test_it_allows_a_whole_analysis(cache: Cache) -> None:
    *_, last = analyze(cache, Selection())
    assert last.progress.complete
    assert (last.report.missing, last.report.notes, last.report.method) == ((), (), "script")
    assert last.report.keys == exactly(3)
    assert last.report.memory is not None
    assert {group.name for group in last.report.types} == {"list", "hash", "string"}


def test_it_allows_what_operators_do(cache: Cache) -> None:
    assert keys.set_ttl(cache, b"text", 100.0).after_ms > 0
    assert keys.persist(cache, b"text").after_ms == keys.NO_TTL
    assert removed(cache, b"text")
    assert keys.look(cache, b"text") is None


def test_it_allows_an_export(cache: Cache) -> None:
    for dump in (False, True):
        *_, last = export(cache, Selection(), Options(dump=dump))
        assert (last.counts.keys, last.counts.left_out, last.progress.complete) == (3, 0, True)


def test_it_allows_to_invalidate_to_tell_it_and_to_take_it_back(
    url: str, cache: Cache, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    found = deck_of(make_app(settings.model_copy(update={"caches": parse_targets(f"main={url}")})))
    caller = invalidating.Caller("otto", "here", "page")
    for mode, changed in ((Now(), "restored"), (Stale(60), "retimed")):
        task = Task(Selection(keys=(b"text", b"hash")), mode, tell=Tell("invalidate"))
        made, job = invalidating.at_once(found.store, found.settings, cache, task, caller)
        done = results.snapshot(found.store, job)
        assert (job.state, done.counts.done, done.counts.refused, done.notes) == ("finished", 2, 0, ())
        assert done.counts.messages > 0
        assert done.method.startswith("a script")
        job, undone = invalidating.undo_now(found.store, found.settings, cache, made.number, caller)
        assert undone is not None
        assert (job.state, getattr(undone, changed), undone.refused) == ("finished", 2, {})


@pytest.mark.parametrize("sharded", [False, True])
def test_it_allows_to_publish_and_to_hear_who_acknowledges(cache: Cache, sharded: bool) -> None:
    *_, last = publish(cache, Draft(b"invalidate", "keys", keys=(b"text",), sharded=sharded), 0.2)
    assert (last.notes, last.before.problems) == ((), ())
    assert last.before.subscribers is not None
    assert last.silent_count is not None


def test_the_sampler_and_the_overview_work(url: str, settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    app = make_app(settings.model_copy(update={"caches": parse_targets(f"main={url}")}))
    opened, store = deck_of(app).caches["main"], deck_of(app).store
    Follower(store, opened, settings.sample_seconds).sample()
    assert len(samples.latest(store, "main")) == len(opened.primaries())
    page = signed_in_client(app, Role.VIEWER).get("/caches/main/")
    assert page.status_code == 200
    assert "No sample yet" not in page.text
    assert "cannot be" not in page.text


def test_it_allows_to_see_how_old_the_keys_are_that_are_evicted(cache: Cache) -> None:
    found, _ = draw(cache, cache.primaries()[0], "allkeys-lru", 10)
    assert all(one.is_like.idle is not None for one in found)
    assert all(one.problem == NO_LIMIT for one in eviction_age(cache).nodes)


def test_with_what_admins_need_settings_are_changed_and_evictions_are_heard_of(
    cache: Cache, request: pytest.FixtureRequest
) -> None:
    for node in cache.primaries():
        assert node_settings.put(cache, node, {SETTING: FLAGS}).state == "refused"
    servers = [request.getfixturevalue("valkey")]
    if cache.target.kind == "cluster":
        servers = request.getfixturevalue("cluster").servers
    for server in servers:
        with server.client() as client:
            client.execute_command(*_documented(1))
    for node in cache.primaries():
        assert node_settings.put(cache, node, {SETTING: FLAGS}).state == "applied"
        with contextlib.closing(KeyEvents(cache, node)) as ear:
            node.client.get("nobody" if cache.target.kind != "cluster" else _key_of(cache, node.name))
            assert [what for what, _ in ear.drained(5)] == ["keymiss"]
        assert node_settings.put(cache, node, {SETTING: ""}).state == "applied"


def test_it_allows_to_see_who_listens(cache: Cache) -> None:
    found = listening(cache)
    assert (found.denied, [one.problems for one in found.nodes if one.problems]) == ("", [])
    assert all(one.listed and one.limits for one in found.nodes)
    assert channels_of(cache).problems == ()


def _key_of(cache: Cache, node: str) -> str:
    return next(key for key in map("gone:{}".format, range(10_000)) if cache.node_of(key.encode()).name == node)


@pytest.mark.parametrize("words", REFUSED)
def test_it_refuses(cache: Cache, words: str) -> None:
    node = cache.primaries()[0]
    with pytest.raises(redis.exceptions.NoPermissionError):
        node.client.execute_command(*words.split())


def test_a_script_may_do_no_more_than_its_user(cache: Cache) -> None:
    node = cache.primaries()[0]
    with pytest.raises(redis.exceptions.ResponseError, match=r"can't run this command|NOPERM|permission"):
        node.client.execute_command("EVAL", "return redis.call('FLUSHALL')", "0")
    assert keys.look(cache, b"text") is not None
