"""Under real memory pressure, with the shop's traffic at three times what fits, every policy of the server is applied
through the page, and the figures follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.tuning.policies import policy_of
from dashboard.demo.app import close_demo_app, create_demo_app
from dashboard.demo.assembly import Plan
from dashboard.demo.sql.database import sqlite_url
from dashboard.demo.sql.making import Size
from dashboard.demo.visitors.mix import Mix
from dashboard.demo.visitors.traffic import ShopSize, Traffic
from dashboard.jobs.sampler import Sampler
from dashboard.jobs.trial_windows import window
from dashboard.settings import Settings
from dashboard.store import samples
from dashboard.store.operators import Role
from tests.programs import wait_until
from tests.servers import Server, running
from tests.views.conftest import deck_of, post, signed_in_client

SIZE = Size(users=900, products=700)
WARM = 4000
"""Requests until the shop has cached what its visitors usually look at."""
TIMES = 3
A_POLICY = 400
"""Requests under each policy, and once more until something was evicted."""
MOST_ROUNDS = 10
PERIOD = 0.5
EVENTS = ("keyspace_hits", "keyspace_misses", "evicted_keys")


class Shop:
    """The demo's shop and its visitors, one request after the other."""

    def __init__(self, folder: Path, url: str) -> None:
        self.app = create_demo_app(Plan(sqlite_url(folder / "shop.db"), url, size=SIZE))
        self._client = self.app.test_client(use_cookies=False)
        self._mix = Mix(ShopSize(SIZE.users, SIZE.products), Traffic(SIZE.users, SIZE.products), 1)

    def visited(self, times: int) -> set[int]:
        """The statuses of so many answers."""
        found = set()
        for _ in range(times):
            one = self._mix.next()
            headers = {"Cookie": f"sid={one.sid}"} if one.sid else {}
            kind = "application/json" if one.body is not None else None
            answer = self._client.open(one.path, method=one.method, headers=headers, data=one.body, content_type=kind)
            found.add(answer.status_code)
        return found


class _Form(HTMLParser):
    """The hidden fields of the form that posts to an address, and whether it wants something confirmed."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self._action = action
        self._inside = False
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self._inside = has.get("action") == self._action
        elif tag == "input" and self._inside and (has.get("type") == "hidden" or has.get("name") == "confirmed"):
            self.fields[str(has["name"])] = str(has["value"])


@dataclass
class Site:
    """A full cache with its traffic, and an administrator's browser on it."""

    server: Server
    app: Flask
    shop: Shop
    admin: FlaskClient

    def told(self) -> dict[str, float]:
        with self.server.client() as client:
            stats = client.info("stats")
            return {name: float(stats[name]) for name in EVENTS}

    def apply(self, **wanted: str) -> None:
        """Through the preview's own form, confirming what it asks."""
        query = {name.replace("_", "-"): value for name, value in wanted.items()}
        seen = self.admin.get("/caches/main/setting-previews", query_string=query)
        form = _Form("/caches/main/setting-changes")
        form.feed(seen.text)
        answer = post(self.admin, "/caches/main/setting-changes", form.fields)
        assert answer.status_code == 303, answer.text
        assert "applied" in self.admin.get(answer.location).text

    def value(self, name: str) -> str:
        with self.server.client(decode_responses=True) as client:
            return str(client.config_get(name)[name])


@pytest.fixture
def site(tmp_path: Path, settings: Settings, make_app: Callable[[Settings], Flask]) -> Iterator[Site]:
    """The shop is visited until it has what it usually needs; a third of that is what is let to it."""
    with running() as server:
        wanted = settings.model_copy(update={"caches": Settings(caches=f"main={server.url}").caches})  # type: ignore[arg-type]
        app = make_app(wanted)
        shop = Shop(tmp_path, server.url)
        try:
            found = Site(server, app, shop, signed_in_client(app, Role.ADMIN))
            with server.client() as client:
                # With everybody's connections, whose buffers count too: they are not to take the place of keys.
                assert found.admin.get("/caches/main/eviction").status_code == 200
                shop.visited(50)
                client.flushall()
                empty = client.info("memory")["used_memory"]
                assert max(shop.visited(WARM)) < 500
                needs = client.info("memory")["used_memory"] - empty
            found.apply(maxmemory=str(empty + needs // TIMES), maxmemory_policy="allkeys-lru")
            yield found
        finally:
            close_demo_app(shop.app)


def test_every_policy_is_applied_through_the_page_and_the_figures_follow(site: Site) -> None:
    deck = deck_of(site.app)
    sampler = Sampler(deck.store, deck.caches.values(), PERIOD)
    sampler.start()
    try:
        limit = int(site.value("maxmemory"))
        page = site.admin.get("/caches/main/eviction").text
        with site.server.client() as client, pytest.raises(redis.ResponseError) as error:
            client.config_set("maxmemory-policy", "none of yours")
        policies = [name.strip() for name in str(error.value).rpartition("following: ")[2].split(",")]
        assert len(policies) >= 8
        for policy in policies:
            assert f'value="{policy}"' in page
            if site.value("maxmemory-policy") != policy:
                site.apply(maxmemory_policy=policy)
            assert site.value("maxmemory-policy") == policy
            _figures_follow(site, policy, limit)
    finally:
        sampler.stop()


def _sampled(site: Site) -> float:
    """The slot of a sample that is newer than now. Nobody visits meanwhile, so it holds all that has happened."""
    asked, found = time.time(), []

    def is_newer() -> bool:
        found[:] = [one for one in samples.latest(deck_of(site.app).store, "main") if one.values["sampled_at"] > asked]
        return bool(found)

    wait_until(is_newer, "the sampler has looked again")
    return found[0].at


def _figures_follow(site: Site, policy: str, limit: int) -> None:
    begun, before = _sampled(site), site.told()
    for _ in range(MOST_ROUNDS):
        assert max(site.shop.visited(A_POLICY)) < 500, "the shop serves whatever the cache refuses"
        # On a slow machine keys expire as fast as the visitors bring new ones, and memory is not full for a while.
        if not policy_of(policy).evicts or site.told()["evicted_keys"] > before["evicted_keys"]:
            break
    after, ended = site.told(), _sampled(site)
    seen = window(deck_of(site.app).store, "main", ended - begun + 0.01, ended + 0.01)
    assert seen
    happened = {name: after[name] - before[name] for name in EVENTS}
    # What the worker asks of keys to tell how old they are when they go counts among the hits too.
    assert seen.reads == pytest.approx(happened["keyspace_hits"] + happened["keyspace_misses"], rel=0.1), policy
    assert seen.hit_ratio == pytest.approx(
        happened["keyspace_hits"] / (happened["keyspace_hits"] + happened["keyspace_misses"]), abs=0.03
    ), policy
    assert (happened["evicted_keys"] > 0) == policy_of(policy).evicts, policy
    assert seen.evictions == pytest.approx(happened["evicted_keys"], rel=0.1, abs=10), policy
    assert seen.memory is not None
    assert seen.memory <= limit * 1.05
    live = site.admin.get("/caches/main/eviction/live").text
    assert policy in live


def test_a_cache_that_takes_nothing_more_says_so(site: Site) -> None:
    site.apply(maxmemory_policy="noeviction")
    site.shop.visited(100)
    deck = deck_of(site.app)
    sampler = Sampler(deck.store, deck.caches.values(), PERIOD)
    sampler.start()
    try:
        with site.server.client() as client:

            def is_said() -> bool:
                _fill(client)  # again each time: what the shop wrote expires, and then there is room
                return "writes fail" in site.admin.get("/caches/main/overview").text

            wait_until(is_said, "it is said that writes fail")
    finally:
        sampler.stop()


def _fill(client: redis.Redis) -> None:
    """Until the server refuses: with values that do not expire, small ones at last, so that no room is left."""
    for size in (4096, 64):
        refused, value = False, b"x" * size
        while not refused:
            try:
                client.set(f"ballast:{time.time_ns()}", value)
            except redis.OutOfMemoryError:
                refused = True
