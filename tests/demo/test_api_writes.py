"""Writes: the row changes, and the keys that showed it are forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.knobs import PATTERNS
from tests.servers import Server

SID = "00000000000000aa"
WRITES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("PUT", "/users/42", {"city": "Ghent", "bio": "Moved."}, ["/users/42"]),
    (
        "POST",
        "/users/42/posts",
        {"product": 17, "title": "A title", "body": "A body"},
        ["/users/42/posts", "/users/42"],
    ),
    ("PUT", "/prices/SKU-00017", {"cents": 1234}, ["/prices/SKU-00017"]),
    ("POST", "/orders", {"product": 17, "quantity": 2}, ["/products/17"]),
]


@pytest.fixture
def visitor(shop: FlaskClient) -> FlaskClient:
    shop.set_cookie("sid", SID)
    return shop


@pytest.fixture
def visitor_of(open_shop: Callable[..., Flask], valkey: Server) -> Callable[[str], FlaskClient]:
    """A visitor of a shop with a pattern. What the relay tells would remove entries a moment later."""

    def make(pattern: str) -> FlaskClient:
        client: FlaskClient = open_shop(valkey.url, pattern=pattern, events=False).test_client()
        client.set_cookie("sid", SID)
        return client

    return make


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("method", "path", "body", "shown_at"), WRITES)
def test_it_shows_the_change_at_once(
    visitor_of: Callable[[str], FlaskClient],
    method: str,
    path: str,
    body: dict[str, Any],
    shown_at: list[str],
    pattern: str,
) -> None:
    visitor = visitor_of(pattern)
    before = {address: visitor.get(address).get_json() for address in shown_at}
    assert all(visitor.get(address).headers["X-Cache"] == "hit" for address in shown_at)
    answered = visitor.open(path, method=method, json=body).get_json()
    is_put, queued = pattern.startswith("write") and method == "PUT", pattern == "write-behind" and method == "PUT"
    version = answered.pop("version")
    assert answered == {"changed": True, "invalidated": True, "queued": queued}
    for address in shown_at:
        answer = visitor.get(address)
        assert answer.headers["X-Cache"] == ("hit" if is_put else "miss")
        assert answer.get_json() != before[address]
    assert visitor.get(shown_at[0]).get_json()["version"] == version > before[shown_at[0]]["version"]


@pytest.mark.parametrize(("method", "path", "body", "shown_at"), WRITES)
def test_it_leaves_other_keys_alone(
    visitor: FlaskClient, method: str, path: str, body: dict[str, Any], shown_at: list[str]
) -> None:
    others = [address.replace("42", "43").replace("17", "18") for address in shown_at]
    for address in others:
        visitor.get(address)
    visitor.open(path, method=method, json=body)
    assert [visitor.get(address).headers["X-Cache"] for address in others] == ["hit"] * len(others)


def test_it_stores_what_it_was_given(visitor: FlaskClient) -> None:
    for method, path, body, _shown_at in WRITES:
        visitor.open(path, method=method, json=body)
    assert visitor.get("/users/42").get_json()["city"] == "Ghent"
    assert visitor.get("/users/42/posts").get_json()["posts"][0]["title"] == "A title"
    assert visitor.get("/prices/SKU-00017").get_json()["cents"] == 1234


def test_a_row_made_after_it_was_missed_is_seen_after_its_invalidation(visitor: FlaskClient, valkey: Server) -> None:
    with valkey.client() as client:
        client.hset("api:user:42", mapping={"document": b"null", "took": "1"})
    assert visitor.get("/users/42").status_code == 404
    visitor.put("/users/42", json={"city": "Ghent", "bio": "Here."})
    assert visitor.get("/users/42").status_code == 200


def test_a_user_keeps_only_the_newest_posts(visitor: FlaskClient) -> None:
    for number in range(25):
        visitor.post("/users/42/posts", json={"product": 1, "title": f"Number {number}", "body": "x"})
    assert visitor.get("/users/42").get_json()["posts"] == 20
    assert visitor.get("/users/42/posts").get_json()["posts"][0]["title"] == "Number 24"


def test_a_sold_out_product_is_filled_up(visitor: FlaskClient) -> None:
    for _ in range(30):
        visitor.post("/orders", json={"product": 17, "quantity": 100})
    assert 0 <= visitor.get("/products/17").get_json()["stock"] <= 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/users/301", {"city": "Ghent", "bio": "Nobody."}),
        ("POST", "/users/301/posts", {"product": 1, "title": "t", "body": "b"}),
        ("PUT", "/prices/SKU-99999", {"cents": 1}),
        ("POST", "/orders", {"product": 401, "quantity": 1}),
    ],
)
def test_it_refuses_what_does_not_exist(visitor: FlaskClient, method: str, path: str, body: dict[str, Any]) -> None:
    assert visitor.open(path, method=method, json=body).status_code == 404


@pytest.mark.parametrize("body", [{}, [], {"cents": 0}, {"cents": "12"}, {"cents": True}, {"cents": 1.5}])
def test_it_refuses_bad_fields(visitor: FlaskClient, body: object) -> None:
    before = visitor.get("/prices/SKU-00017").get_json()
    assert visitor.put("/prices/SKU-00017", json=body).status_code == 400
    assert visitor.get("/prices/SKU-00017").get_json() == before


def test_it_refuses_an_order_without_a_session(shop: FlaskClient) -> None:
    assert shop.post("/orders", json={"product": 1, "quantity": 1}).status_code == 400


def test_it_refuses_a_body_that_is_not_json(visitor: FlaskClient) -> None:
    answer = visitor.put("/prices/SKU-00017", data=b"{", content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["error"]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("bio", ["nul \0", "half \ud83d", "", "x" * 1001, None, 1])
def test_a_text_that_no_database_takes_is_refused_under_any_pattern(
    visitor_of: Callable[[str], FlaskClient], bio: object, pattern: str
) -> None:
    visitor = visitor_of(pattern)
    assert visitor.put("/users/42", json={"city": "Atlantis", "bio": bio}).status_code == 400
    assert visitor.get("/users/42").get_json()["city"] != "Atlantis"
