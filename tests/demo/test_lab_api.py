"""What a bench asks of a running shop, and what it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.counters import NAMES
from dashboard.demo.knobs import PATTERNS, PREVENTIONS, Knobs
from tests.demo.conftest import parts_of
from tests.programs import wait_until
from tests.servers import HOST, Server, free_port

USER = {"city": "Ghent", "bio": "Moved."}


def test_it_tells_its_knobs_and_turns_those_that_are_named(shop: FlaskClient) -> None:
    assert shop.get("/lab/knobs").get_json() == Knobs(jitter=False).to_plain()
    turned = shop.put("/lab/knobs", json={"pattern": "read-through", "latency_ms": 2}).get_json()
    assert turned == Knobs(jitter=False, pattern="read-through", latency_ms=2.0).to_plain()
    assert shop.get("/lab/knobs").get_json() == turned


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("prevention", PREVENTIONS)
def test_every_pattern_with_every_prevention_answers_and_takes_changes(
    shop: FlaskClient, pattern: str, prevention: str
) -> None:
    shop.put("/lab/knobs", json={"pattern": pattern, "prevention": prevention, "events": False})
    assert [shop.get("/users/42").headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    version = shop.put("/users/42", json=USER).get_json()["version"]
    shown = shop.get("/users/42").get_json()
    assert (shown["city"], shown["version"]) == ("Ghent", version)
    told = shop.post("/lab/versions", json={"rows": [["user", 42]]}).get_json()
    assert told == {"versions": [version], "left": 0, "dead": 0}


def test_the_pattern_is_exchanged_under_queued_changes_and_none_is_lost(shop: FlaskClient) -> None:
    shop.put("/lab/knobs", json={"pattern": "write-behind"})
    last = {user: shop.put(f"/users/{user}", json=USER).get_json()["version"] for user in range(1, 20)}
    shop.put("/lab/knobs", json={"pattern": "cache-aside"})
    assert shop.get("/lab/figures").get_json()["queue"]["length"] == 0
    rows = [["user", user] for user in last]
    assert shop.post("/lab/versions", json={"rows": rows}).get_json()["versions"] == list(last.values())
    assert shop.put("/users/1", json=USER).get_json()["version"] > last[1]


def test_what_the_database_does_not_take_keeps_the_pattern(
    open_shop: Callable[..., Flask], valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_shop(valkey.url, pattern="write-behind")
    monkeypatch.setattr(parts_of(app).board, "_drain", lambda _seconds: 2)
    answer = app.test_client().put("/lab/knobs", json={"pattern": "cache-aside"})
    assert (answer.status_code, answer.get_json()["error"][:25]) == (409, "2 changes still wait for ")
    assert app.test_client().get("/lab/knobs").get_json()["pattern"] == "write-behind"


@pytest.mark.parametrize("body", [{"pattern": "none"}, {"colour": 1}, [], {"ttl_scale": 0}])
def test_a_bad_knob_is_refused_with_a_sentence(shop: FlaskClient, body: object) -> None:
    answer = shop.put("/lab/knobs", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["error"]
    assert shop.get("/lab/knobs").get_json() == Knobs(jitter=False).to_plain()


def test_its_figures_count_hits_and_the_database(shop: FlaskClient) -> None:
    before = shop.get("/lab/figures").get_json()
    assert set(NAMES) <= set(before["counters"])
    for _ in range(3):
        shop.get("/users/42")
    after = shop.get("/lab/figures").get_json()
    grown = {name: after["counters"][name] - before["counters"][name] for name in ("hits", "misses", "loads")}
    assert grown == {"hits": 2, "misses": 1, "loads": 1}
    assert after["counters"]["queries"] - before["counters"]["queries"] == 2  # the user, and the newest posts
    assert after["breaker"] == "closed"
    assert after["queue"] == {"length": 0, "lag_seconds": 0.0, "dead": 0}
    assert after["cache"]["policy"] == "noeviction"
    assert after["cache"]["used"] > 0


def test_latency_is_added_to_each_query(shop: FlaskClient, open_shop: Callable[..., Flask], valkey: Server) -> None:
    app = open_shop(valkey.url)
    assert app.test_client().put("/lab/knobs", json={"latency_ms": 7}).status_code == 200
    assert parts_of(app).database.latency == pytest.approx(0.007)


def test_it_removes_its_own_keys_and_no_others(open_shop: Callable[..., Flask], valkey: Server) -> None:
    shop = open_shop(valkey.url, prefix="lab:1:", pattern="write-behind").test_client()
    shop.set_cookie("sid", "00000000000000aa")
    for user in range(1, 30):
        shop.get(f"/users/{user}")
    version = shop.put("/users/7", json=USER).get_json()["version"]
    with valkey.client() as client:
        for key in ("api:user:1", "lab:2:api:user:1", "lab:1:", "other"):
            client.set(key, "somebody else's")
        removed = shop.post("/lab/removal", json={"everything": True}).get_json()
        assert removed["removed"] >= 29
        assert removed["left"] == 0
        assert sorted(client.keys("*")) == [b"api:user:1", b"lab:1:", b"lab:2:api:user:1", b"other"]  # type: ignore[type-var]
    # What was queued is in the database.
    assert shop.get("/users/7").get_json()["version"] == version


def test_what_the_database_has_yet_to_get_stays(
    open_shop: Callable[..., Flask], valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_shop(valkey.url, pattern="write-behind")
    shop = app.test_client()
    parts_of(app).flusher.close()  # nobody writes what is queued
    version = shop.put("/users/7", json=USER).get_json()["version"]
    for body in ({}, {"everything": True}):
        monkeypatch.setattr("dashboard.demo.lab_api.DRAIN_SECONDS", 0.2)
        shop.post("/lab/removal", json=body)
        assert shop.get("/users/7").get_json()["version"] == version
        assert shop.get("/lab/figures").get_json()["queue"]["length"] == 1


def test_an_outage_is_played_and_ended(shop: FlaskClient) -> None:
    shop.get("/users/42")
    assert shop.post("/lab/outage", json={"seconds": 600}).get_json() == {"seconds": 600.0}
    answer = shop.get("/users/42")
    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "bypass")
    assert shop.get("/lab/figures").get_json()["cache"] is None
    assert shop.post("/lab/removal", json={}).status_code == 503
    told = shop.post("/lab/versions", json={"rows": [["user", 42]], "drain_seconds": 0}).get_json()
    assert (told["versions"], told["dead"]) == ([1], None)
    shop.post("/lab/outage", json={"seconds": 0})
    wait_until(lambda: shop.get("/users/42").headers["X-Cache"] == "hit", "the breaker closes")


def test_rows_that_there_are_not_have_no_version(shop: FlaskClient) -> None:
    rows = [["user", 301], ["price", "SKU-99999"], ["product", 17], ["price", "SKU-00017"]]
    assert shop.post("/lab/versions", json={"rows": rows}).get_json()["versions"] == [None, None, 1, 1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rows": "user"},
        {"rows": [["user"]]},
        {"rows": [["user", "1"]]},
        {"rows": [["price", 1]]},
        {"rows": [["user", True]]},
        {"rows": [["secrets", 1]]},
        {"rows": [["user", -1]]},
        {"rows": [["user", 10**30]]},
        {"rows": [["price", "nul \0"]]},
        {"rows": [[["user"], 1]]},
        {"rows": [["user", 1]] * 1001},
        {"rows": [], "drain_seconds": -1},
        {"rows": [], "drain_seconds": "much"},
    ],
)
def test_what_is_no_question_is_refused(shop: FlaskClient, body: dict[str, Any]) -> None:
    answer = shop.post("/lab/versions", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8601", "127.0.0.1.evil.example", "10.0.0.1:8601", ""])
def test_under_another_name_than_this_machines_it_is_refused(shop: FlaskClient, host: str) -> None:
    answer = shop.get("/lab/knobs", headers={"Host": host})
    assert answer.status_code in (400, 403)
    assert shop.put("/lab/knobs", json={}, headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1:8601", "localhost", "localhost:8601", "[::1]:8601", "127.0.0.1"])
def test_under_a_loopback_name_it_answers(shop: FlaskClient, host: str) -> None:
    assert shop.get("/lab/knobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/lab/removal", "/lab/outage", "/lab/versions"])
def test_a_form_of_a_strangers_page_changes_nothing(shop: FlaskClient, path: str) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        assert shop.post(path, data=b"{}", content_type=kind).status_code == 415


def test_without_a_cache_it_tells_what_it_knows(open_shop: Callable[..., Flask]) -> None:
    shop = open_shop(f"redis://{HOST}:{free_port()}").test_client()
    shop.get("/users/42")
    found = shop.get("/lab/figures").get_json()
    assert (found["queue"], found["cache"], found["copies"]["listening"]) == (None, None, False)
    assert found["breaker"] == "open"
    assert found["counters"]["bypasses"] == 1


def test_it_says_how_its_cache_may_lose_the_queue(shop: FlaskClient, valkey: Server) -> None:
    def risk() -> str:
        return str(shop.get("/lab/figures").get_json()["cache"]["risk"])

    assert risk().startswith("appendonly is off")
    with valkey.client() as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert risk().startswith("maxmemory-policy is allkeys-lru")
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
