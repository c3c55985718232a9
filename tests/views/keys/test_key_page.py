"""One key: what the page shows, and what is done to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.selecting.key_token import to_token
from dashboard.settings import Settings
from dashboard.store import audit
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from tests.servers import Server
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client

HERE = "/caches/main/keys/api:user:42"


@pytest.fixture
def server(valkey: Server) -> Iterator[redis.Redis]:
    with closing(valkey.client()) as client:
        client.set("api:user:42", b'{"name": "Ada"}', ex=600)
        yield client


def entries(store: Store, action: str) -> list[audit.Entry]:
    return audit.search(store, audit.Filters(action=action))


def test_it_shows_what_the_key_is(viewer: FlaskClient, server: redis.Redis) -> None:
    page = viewer.get(HERE).text
    assert re.search(r"A string that expires in (10|9)\smin", page)
    assert "&#34;name&#34;: &#34;Ada&#34;" in page


def test_a_missing_key_is_404_and_says_so(viewer: FlaskClient, server: redis.Redis) -> None:
    answer = viewer.get("/caches/main/keys/nobody")
    assert answer.status_code == 404
    assert "This key does not exist (any more)." in answer.text


def test_an_address_that_names_no_key_is_404(viewer: FlaskClient) -> None:
    assert viewer.get("/caches/main/keys/~!!").status_code == 404


@pytest.mark.parametrize(
    ("typed", "seconds"), [("90", 90), ("10 000", 10_000), ("15m", 900), ("2 h", 7200), ("1d 12h", 129_600)]
)
def test_it_sets_a_ttl(operator: FlaskClient, server: redis.Redis, typed: str, seconds: int) -> None:
    answer = post(operator, f"{HERE}/ttl", {"seconds": typed, "jitter": "0"})
    assert answer.status_code == 303
    assert seconds - 10 < server.ttl("api:user:42") <= seconds
    assert "Expires in" in operator.get(HERE).text


def test_a_ttl_with_jitter_lies_within_it(operator: FlaskClient, server: redis.Redis) -> None:
    found = set()
    for _ in range(8):
        post(operator, f"{HERE}/ttl", {"seconds": "1000", "jitter": "20"})
        found.add(server.pttl("api:user:42"))
    assert all(790_000 < left <= 1_200_000 for left in found)
    assert len(found) > 1


@pytest.mark.parametrize("typed", ["", "soon", "-5", "0", "0.5", "1h30", "1e99", "99999999999999", "5 parsecs"])
def test_a_ttl_that_is_none_is_refused_and_nothing_changes(
    operator: FlaskClient, server: redis.Redis, store: Store, typed: str
) -> None:
    answer = post(operator, f"{HERE}/ttl", {"seconds": typed})
    assert answer.status_code == 400
    assert 590 < server.ttl("api:user:42") <= 600
    assert entries(store, "key.ttl") == []


@pytest.mark.parametrize("jitter", ["-1", "91", "x", "nan"])
def test_a_jitter_that_is_none_is_refused(operator: FlaskClient, server: redis.Redis, jitter: str) -> None:
    assert post(operator, f"{HERE}/ttl", {"seconds": "60", "jitter": jitter}).status_code == 400


def test_it_adds_jitter_to_the_time_that_is_left(operator: FlaskClient, server: redis.Redis) -> None:
    post(operator, f"{HERE}/jitter", {"jitter": "50"})
    assert 290_000 < server.pttl("api:user:42") <= 900_000


def test_jitter_on_a_key_without_ttl_is_refused(operator: FlaskClient, server: redis.Redis) -> None:
    server.persist("api:user:42")
    assert post(operator, f"{HERE}/jitter", {"jitter": "50"}).status_code == 409
    assert server.ttl("api:user:42") == -1


def test_it_persists(operator: FlaskClient, server: redis.Redis) -> None:
    assert post(operator, f"{HERE}/persistence").status_code == 303
    assert server.ttl("api:user:42") == -1


def test_it_removes_with_unlink(operator: FlaskClient, server: redis.Redis) -> None:
    server.config_resetstat()
    answer = post(operator, f"{HERE}/removal")
    assert answer.status_code == 303
    assert not server.exists("api:user:42")
    assert server.info("commandstats")["cmdstat_unlink"]["calls"] >= 1
    assert "Removed 1 key" in operator.get(answer.location).text


def test_removal_leads_back_to_the_list_that_one_came_from(operator: FlaskClient, server: redis.Redis) -> None:
    answer = post(operator, f"{HERE}/removal?pattern=api:*&type=string")
    assert answer.location.endswith("/caches/main/keys?pattern=api:*&type=string")


def test_every_change_is_audited_with_before_and_after(
    operator: FlaskClient, server: redis.Redis, store: Store
) -> None:
    post(operator, f"{HERE}/ttl", {"seconds": "60", "reason": "ticket 4711"})
    post(operator, f"{HERE}/removal", {"reason": "bad deploy"})
    ttl, removal = entries(store, "key.ttl")[0], entries(store, "key.remove")[0]
    assert (ttl.actor, ttl.cache, ttl.subject, ttl.status, ttl.reason) == (
        "otto",
        "main",
        "api:user:42",
        "done",
        "ticket 4711",
    )
    assert isinstance(ttl.before, dict)
    assert isinstance(ttl.after, dict)
    assert 590_000 < ttl.before["ttl_ms"] <= 600_000
    assert ttl.after["ttl_ms"] == 60_000
    assert isinstance(removal.after, dict)
    assert (removal.after["removed"], removal.after["state"]) == (1, "finished")
    assert entries(store, "keys.invalidate")[0].status == "done"


def test_a_failure_of_the_server_is_audited_as_failed(operator: FlaskClient, server: redis.Redis, store: Store) -> None:
    server.execute_command("ACL", "SETUSER", "default", "-persist")
    try:
        answer = post(operator, f"{HERE}/persistence")
    finally:
        server.execute_command("ACL", "SETUSER", "default", "+@all")
    assert answer.status_code == 409
    assert "may not run PERSIST" in answer.text
    entry = entries(store, "key.persist")[0]
    assert entry.status == "failed"
    assert "PERSIST" in (entry.error or "")


@pytest.mark.parametrize("act", ["ttl", "jitter", "persistence", "removal"])
def test_it_refuses_viewer(viewer: FlaskClient, server: redis.Redis, act: str) -> None:
    assert post(viewer, f"{HERE}/{act}", {"seconds": "5"}).status_code == 403
    assert 590 < server.ttl("api:user:42") <= 600


@pytest.mark.parametrize("act", ["ttl", "jitter", "persistence", "removal"])
def test_it_rejects_get(operator: FlaskClient, server: redis.Redis, act: str) -> None:
    assert operator.get(f"{HERE}/{act}").status_code == 405


@pytest.mark.parametrize("act", ["ttl", "jitter", "persistence", "removal"])
def test_it_refuses_a_key_that_has_gone(operator: FlaskClient, server: redis.Redis, act: str) -> None:
    server.delete("api:user:42")
    assert post(operator, f"{HERE}/{act}", {"seconds": "5"}).status_code == 404


@pytest.mark.parametrize("act", ["ttl", "jitter", "persistence", "removal"])
def test_a_read_only_cache_refuses_even_an_admin(
    settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server, server: redis.Redis, act: str
) -> None:
    app = make_app(_with(settings, f"main={valkey.url}?read_only=yes"))
    admin = signed_in_client(app, Role.ADMIN)
    assert "Remove…" not in admin.get(HERE).text
    answer = post(admin, f"{HERE}/{act}", {"seconds": "5"})
    assert answer.status_code == 409
    assert "declared read-only" in answer.text
    assert 590 < server.ttl("api:user:42") <= 600


@pytest.mark.parametrize("act", ["ttl", "jitter", "persistence"])
def test_production_wants_the_name_typed_for_every_act(
    settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server, server: redis.Redis, act: str
) -> None:
    app = make_app(_with(settings, f"main={valkey.url}?environment=production"))
    operator = signed_in_client(app, Role.OPERATOR)
    assert post(operator, f"{HERE}/{act}", {"seconds": "5"}).status_code == 400
    assert 590 < server.ttl("api:user:42") <= 600
    assert post(operator, f"{HERE}/{act}", {"seconds": "5", "typed": "main"}).status_code == 303


def test_production_wants_the_name_typed_before_removal(
    settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server, server: redis.Redis
) -> None:
    app = make_app(_with(settings, f"main={valkey.url}?environment=production"))
    operator = signed_in_client(app, Role.OPERATOR)
    assert post(operator, f"{HERE}/removal", {"typed": "yes"}).status_code == 400
    assert server.exists("api:user:42")
    assert entries(deck_of(app).store, "key.remove") == []
    assert post(operator, f"{HERE}/removal", {"typed": "main"}).status_code == 303
    assert not server.exists("api:user:42")


def test_a_change_goes_to_the_cache_in_the_url(
    settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server, server: redis.Redis
) -> None:
    app = make_app(_with(settings, f"main={valkey.url} other={valkey.url}/1"))
    operator = signed_in_client(app, Role.OPERATOR)
    with closing(valkey.client(db=1)) as other:
        other.set("api:user:42", "there")
        operator.get("/caches/main/keys")
        post(operator, "/caches/other/keys/api:user:42/removal")
        assert not other.exists("api:user:42")
    assert server.exists("api:user:42")


def _with(settings: Settings, caches: str) -> Settings:
    return Settings(caches=caches, data=settings.data, secret_key="k" * 40)  # type: ignore[arg-type]


VALUES: dict[str, Callable[[redis.Redis], Any]] = {
    "a-hash": lambda client: client.hset("a-hash", mapping={"field-1": "held", "n": "7"}),
    "a-list": lambda client: client.rpush("a-list", *[f"element-{number}" for number in range(250)]),
    "a-set": lambda client: client.sadd("a-set", "member-1"),
    "a-zset": lambda client: client.zadd("a-zset", {"member-1": 1.5}),
    "a-stream": lambda client: client.xadd("a-stream", {"field-1": "held"}),
}
SHOWN = {"a-hash": "held", "a-list": "element-99", "a-set": "member-1", "a-zset": "1.5", "a-stream": "held"}


@pytest.mark.parametrize("key", VALUES)
def test_a_collection_is_shown(viewer: FlaskClient, server: redis.Redis, key: str) -> None:
    VALUES[key](server)
    for view in ("decoded", "raw", "hex"):
        answer = viewer.get(f"/caches/main/keys/{key}?view={view}")
        assert answer.status_code == 200
    assert SHOWN[key] in viewer.get(f"/caches/main/keys/{key}").text


def test_a_long_list_is_shown_a_page_at_a_time(viewer: FlaskClient, server: redis.Redis) -> None:
    VALUES["a-list"](server)
    page = viewer.get("/caches/main/keys/a-list").text
    assert "element-100" not in page
    assert "Next page" in page
    part = viewer.get("/caches/main/keys/a-list/value?cursor=100", headers=by_htmx(viewer)).text
    assert "element-100" in part
    assert "<html" not in part


def test_members_are_found_by_pattern(viewer: FlaskClient, server: redis.Redis) -> None:
    server.sadd("a-set", *[f"m:{number}" for number in range(50)], "needle")
    page = viewer.get("/caches/main/keys/a-set?match=need*").text
    assert "needle" in page
    assert "m:1" not in page


def test_the_hex_and_raw_views_show_bytes(viewer: FlaskClient, server: redis.Redis) -> None:
    server.set("bin", b"\x00\x01AB\xff")
    assert "00 01 41 42 ff" in viewer.get("/caches/main/keys/bin?view=hex").text
    assert "\\x00\\x01AB\\xff" in viewer.get("/caches/main/keys/bin?view=raw").text


@pytest.mark.parametrize("query", ["view=pdf", "cursor=-1", "cursor=x"])
def test_a_wrong_query_is_refused(viewer: FlaskClient, server: redis.Redis, query: str) -> None:
    assert viewer.get(f"{HERE}?{query}").status_code == 400


def test_a_hostile_value_is_shown_as_text(viewer: FlaskClient, server: redis.Redis) -> None:
    server.set("evil", "</pre><script>alert(1)</script>")
    server.hset("evil-hash", "<b>f</b>", "<script>alert(2)</script>")
    for key in ("evil", "evil-hash"):
        page = viewer.get(f"/caches/main/keys/{key}").text
        assert "<script>alert" not in page
        assert "<b>f</b>" not in page


@pytest.mark.parametrize("view", ["raw", "hex"])
def test_an_element_that_is_cut_says_so(viewer: FlaskClient, server: redis.Redis, view: str) -> None:
    server.rpush("big", b"x" * 20_000)
    assert "its first" in viewer.get(f"/caches/main/keys/big?view={view}").text


def test_long_names_are_told_apart_in_the_trail(operator: FlaskClient, server: redis.Redis, store: Store) -> None:
    for last in (b"a", b"b"):
        server.set(b"k" * 3000 + last, "v")
        post(operator, f"/caches/main/keys/{to_token(b'k' * 3000 + last)}/removal")
    assert len({entry.subject for entry in entries(store, "key.remove")}) == 2


def test_a_ttl_that_is_not_told_is_not_called_none(viewer: FlaskClient, server: redis.Redis) -> None:
    server.execute_command("ACL", "SETUSER", "default", "-pttl")
    try:
        page = viewer.get("/caches/main/keys").text
        assert "no TTL" not in page.split("<tbody")[1]
        assert "PTTL: not allowed for this user, so TTLs are not shown." in page
        assert "whose TTL is not told" in viewer.get(HERE).text
    finally:
        server.execute_command("ACL", "SETUSER", "default", "+@all")
