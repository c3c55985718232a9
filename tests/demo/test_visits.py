"""What lives in the cache alone: of every type, and bounded."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from dashboard.demo import visits
from dashboard.demo.caching.remote import Remote
from dashboard.demo.caching.ttl import TTL_SECONDS, Lifetimes
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.visits import Visits
from tests.servers import Server

SID = "00000000000000aa"


@pytest.fixture
def visitor(shop: FlaskClient) -> FlaskClient:
    shop.set_cookie("sid", SID)
    return shop


def test_a_visit_leaves_keys_of_every_type(visitor: FlaskClient, valkey: Server) -> None:
    visitor.get("/search?q=python")
    visitor.post("/orders", json={"product": 17, "quantity": 2})
    visitor.post("/carts", json={"product": 18, "quantity": 2})
    with valkey.client(decode_responses=True) as client:
        types = {key.split(":")[0] + ":" + client.type(key): key for key in client.keys("*")}
        assert set(types) == {
            "api:hash",
            "sess:hash",
            "cart:hash",
            "rate:string",
            "online:set",
            "shop:list",
            "shop:zset",
            "shop:stream",
        }
        assert client.hget(f"sess:{SID}", "pages") == "3"
        assert client.hgetall(f"cart:{SID}") == {"18": "2"}
        assert client.zrange("shop:bestsellers", 0, -1, withscores=True) == [("17", 2.0)]


def test_what_belongs_to_a_visitor_expires(visitor: FlaskClient, valkey: Server) -> None:
    visitor.post("/carts", json={"product": 18, "quantity": 2})
    with valkey.client(decode_responses=True) as client:
        for name, ttl_class in (("sess", "session"), ("cart", "cart"), ("rate", "rate"), ("online", "online")):
            (key,) = client.keys(f"{name}:*")
            assert 0 < client.pttl(key) <= TTL_SECONDS[ttl_class] * 1000


def test_an_order_empties_the_cart(visitor: FlaskClient, valkey: Server) -> None:
    visitor.post("/carts", json={"product": 18, "quantity": 2})
    visitor.post("/orders", json={"product": 18, "quantity": 2})
    with valkey.client() as client:
        assert not client.exists(f"cart:{SID}")


@pytest.mark.parametrize("sid", ["", "short", "x" * 16, "0" * 17, "*", "00000000000000a\n"])
def test_a_foreign_cookie_makes_no_session(shop: FlaskClient, valkey: Server, sid: str) -> None:
    shop.set_cookie("sid", sid)
    assert shop.get("/users/42").status_code == 200
    with valkey.client() as client:
        assert client.keys("*") == [b"api:user:42"]


def test_too_many_requests_of_one_session_are_refused_until_the_next_minute(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "REQUESTS_A_MINUTE", 3)
    now = [600.0]
    remote = Remote(valkey.url)
    seen = Visits(remote, Keyspace(), Lifetimes(), clock=lambda: now[0])
    assert [seen.arrive(SID, "/") for _ in range(4)] == [True, True, True, False]
    assert seen.arrive("00000000000000bb", "/") is True
    now[0] += 60
    assert seen.arrive(SID, "/") is True
    remote.close()


def test_the_api_refuses_too_many_with_429(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "REQUESTS_A_MINUTE", 0)
    answer = visitor.get("/users/42")
    assert (answer.status_code, answer.get_json()["error"]) == (429, "too many requests in this minute")


def test_lists_that_never_expire_are_trimmed(
    visitor: FlaskClient, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "SEARCHES_KEPT", 5)
    monkeypatch.setattr(visits, "BESTSELLERS_KEPT", 5)
    monkeypatch.setattr(visits, "ORDERS_KEPT", 5)
    for product in range(1, 9):
        visitor.get(f"/search?q=word{product}")
        visitor.post("/orders", json={"product": product, "quantity": product})
    with valkey.client() as client:
        assert client.llen("shop:searches") == 5
        assert client.zrange("shop:bestsellers", 0, -1) == [b"4", b"5", b"6", b"7", b"8"]
        assert client.xlen("shop:orders") <= 108  # `~` trims whole blocks of the stream, of 100 entries each
