"""The Keys screen: the search and its steps, and the namespaces."""

from __future__ import annotations

import html
import json
import re
import time
from contextlib import closing
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard.cache.selecting.key_token import to_token
from tests.servers import Server
from tests.views.conftest import by_htmx, post

HOSTILE = (
    b"<img src=x onerror=alert(1)>",
    b"",
    b"a/b",
    b"\xff\xfe\x00",
    b"line\nbreak",
    b"x" * 10_000,
    b"%2F",
    "\u202eevil".encode(),
    b"..",
    b"~tilde",
    b"q=[a]",
    b"back\\slash",
    b"'\"><script>alert(1)</script>",
)


def write(server: Server, *keys: bytes, ttl: int | None = None) -> None:
    with closing(server.client()) as client:
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.set(key, b"value", ex=ttl)
        pipe.execute()


def links(page: str) -> list[str]:
    """The tokens of the keys that a page lists, in their order."""
    return re.findall(r'/caches/main/keys/([^"?]*)[^"]*" data-row-link', page)


def next_step(page: str) -> dict[str, Any] | None:
    """What the page would send for its next step, or None where it waits or is through."""
    found = re.search(r"hx-trigger=\"load delay:20ms\" hx-vals='([^']+)'", page)
    return json.loads(html.unescape(found.group(1))) if found else None


def more(page: str) -> dict[str, Any]:
    """What the button for more rows would send."""
    found = re.search(r"hx-vals='([^']+)'[^>]*>Show 100 more", page.replace("\n", " "))
    assert found, page
    values: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return values


def step(client: FlaskClient, values: dict[str, Any]) -> str:
    answer = post(client, "/caches/main/searches", values, headers=by_htmx(client))
    assert answer.status_code == 200, answer.text
    return answer.text


def test_it_lists_keys_with_type_ttl_and_memory(viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, b"api:user:1", ttl=100)
    page = viewer.get("/caches/main/keys").text
    assert links(page) == ["api:user:1"]
    assert "string" in page
    assert re.search(r'data-expires-at="\d+\.\d+">1:(39|40)<', page)
    assert "Complete: all 1 keys were examined, 1 found." in page


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: repr(key[:20]))
def test_a_hostile_name_is_listed_and_opened_and_removed(operator: FlaskClient, valkey: Server, key: bytes) -> None:
    write(valkey, key, b"neighbour")
    page = operator.get("/caches/main/keys").text
    assert sorted(links(page)) == sorted([to_token(key), "neighbour"])
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    opened = operator.get(f"/caches/main/keys/{to_token(key)}")
    assert opened.status_code == 200
    assert "<img src=x" not in opened.text
    assert "<script>alert" not in opened.text
    assert post(operator, f"/caches/main/keys/{to_token(key)}/removal").status_code == 303
    with closing(valkey.client()) as client:
        assert client.keys() == [b"neighbour"]


def test_a_pattern_without_wildcard_is_one_direct_look_up(viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, *(b"other:%d" % number for number in range(5_000)), b"wanted")
    with closing(valkey.client()) as client:
        client.config_resetstat()
        page = viewer.get("/caches/main/keys?pattern=wanted").text
        stats = client.info("commandstats")
    assert links(page) == ["wanted"]
    assert "cmdstat_scan" not in {name: stat for name, stat in stats.items() if stat["calls"] > 1}
    assert "Looked up directly" in page


def test_a_pattern_without_wildcard_that_nobody_has_is_said_with_certainty(viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, b"something")
    page = viewer.get("/caches/main/keys?pattern=nothing").text
    assert "No key has exactly this name" in page


def test_a_key_that_looks_like_a_pattern_is_found_by_its_name(viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, b"q=[a]*", b"q=a1", b"zzz")
    page = viewer.get("/caches/main/keys", query_string={"pattern": "q=[a]*"}).text
    assert sorted(links(page)) == sorted([to_token(b"q=[a]*"), "q=a1"])


def test_type_and_ttl_filters_apply(viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, b"with-ttl", ttl=50)
    write(valkey, b"without")
    with closing(valkey.client()) as client:
        client.hset("hash", "a", "1")
    assert links(viewer.get("/caches/main/keys?ttl=none&type=string").text) == ["without"]
    assert links(viewer.get("/caches/main/keys?ttl=<60").text) == ["with-ttl"]
    assert links(viewer.get("/caches/main/keys?ttl=<1m&size=<1kb").text) == ["with-ttl"]
    assert links(viewer.get("/caches/main/keys?type=hash").text) == ["hash"]


def test_pages_of_a_hundred_show_every_key_once(viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, *(b"k:%d" % number for number in range(450)))
    page = viewer.get("/caches/main/keys").text
    shown = links(page)
    assert len(shown) == 100
    while "Show 100 more" in page or next_step(page):
        page = step(viewer, next_step(page) or more(page))
        shown += links(page)
    assert len(shown) == 450
    assert len(set(shown)) == 450
    assert "Complete: all 450 keys were examined, 450 found." in page


def test_a_search_goes_on_by_itself_until_the_keyspace_is_through(
    app: Any, viewer: FlaskClient, valkey: Server
) -> None:
    write(valkey, *(b"hay:%d" % number for number in range(3_000)), b"needle:1")
    object.__setattr__(app.extensions["cachedeck"].settings, "search_seconds", 0.0)
    page = viewer.get("/caches/main/keys?pattern=needle:*").text
    steps, shown = 0, links(page)
    while values := next_step(page):
        page = step(viewer, values)
        shown += links(page)
        steps += 1
    assert steps > 1
    assert shown == ["needle:1"]
    assert "Complete: all 3" in page


def test_without_javascript_each_step_is_a_page_of_its_own(app: Any, viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, *(b"hay:%d" % number for number in range(3_000)), b"needle:1")
    object.__setattr__(app.extensions["cachedeck"].settings, "search_seconds", 0.0)
    page = viewer.get("/caches/main/keys?pattern=needle:*").text
    steps, shown = 0, links(page)
    while values := next_step(page):
        page = post(viewer, "/caches/main/searches", {name: values[name] for name in ("pattern", "state")}).text
        assert page.count("<html") == 1
        assert ("Search on" in page) == (next_step(page) is not None)
        shown += links(page)
        steps += 1
    assert steps > 1
    assert shown == ["needle:1"]
    assert "Complete: all 3" in page


def test_a_search_is_stopped_and_goes_on_where_it_stood(app: Any, viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, *(b"hay:%d" % number for number in range(3_000)))
    object.__setattr__(app.extensions["cachedeck"].settings, "search_seconds", 0.0)
    values = next_step(viewer.get("/caches/main/keys?pattern=needle:*").text)
    assert values
    stopped = step(viewer, {**values, "stop": "1"})
    assert "Stopped:" in stopped
    assert next_step(stopped) is None
    assert json.dumps(values["state"]) in html.unescape(stopped)


def test_a_damaged_state_is_refused_with_a_sentence(viewer: FlaskClient) -> None:
    answer = post(viewer, "/caches/main/searches", {"state": "AAAA"}, headers=by_htmx(viewer))
    assert answer.status_code == 400
    assert answer.headers["HX-Retarget"] == "#alerts"
    assert "its state is damaged" in answer.text


def test_an_empty_cache_and_no_match_read_differently(viewer: FlaskClient, valkey: Server) -> None:
    assert "This cache is empty" in viewer.get("/caches/main/keys").text
    write(valkey, b"a")
    assert "No key matches" in viewer.get("/caches/main/keys?pattern=b*").text


def test_a_wrong_filter_is_refused_with_a_sentence(viewer: FlaskClient) -> None:
    answer = viewer.get("/caches/main/keys?ttl=soon")
    assert answer.status_code == 400
    assert "A TTL filter is none" in answer.text


def test_an_unknown_cache_is_not_found(viewer: FlaskClient) -> None:
    assert viewer.get("/caches/nobody/keys").status_code == 404


def test_namespaces_are_counted_and_nested(viewer: FlaskClient, valkey: Server) -> None:
    write(valkey, *(b"api:user:%d" % number for number in range(30)), *(b"api:price:%d" % n for n in range(5)), b"solo")
    root = viewer.get("/caches/main/namespaces", headers=by_htmx(viewer)).text
    assert re.search(r">api</a>\s*<span class=\"num\" title=\"35 keys\">35<", root)
    assert "Exact: all 36 keys." in root
    below = viewer.get("/caches/main/namespaces?prefix=api:", headers=by_htmx(viewer)).text
    assert re.search(r">user</a>\s*<span class=\"num\" title=\"30 keys\">30<", below)
    assert "pattern=api:user:*" in html.unescape(below)


def test_a_cache_that_is_down_shows_a_sentence_and_the_page_tries_again(
    app: Any, viewer: FlaskClient, valkey: Server
) -> None:
    valkey.stop()
    try:
        answer = viewer.get("/caches/main/keys")
        assert answer.status_code == 503
        assert "main cannot be reached." in answer.text
        assert 'hx-trigger="every 5s"' in answer.text
        assert "Traceback" not in answer.text
    finally:
        valkey.restart()
    write(valkey, b"back")
    deadline = time.monotonic() + 120
    while not (found := links(viewer.get("/caches/main/keys").text)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == ["back"]
