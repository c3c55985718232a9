"""Writes: the row changes, and the keys that showed it are forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

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


@pytest.mark.parametrize(("method", "path", "body", "shown_at"), WRITES)
def test_it_shows_the_change_at_once(
    visitor: FlaskClient, method: str, path: str, body: dict[str, Any], shown_at: list[str]
) -> None:
    before = {address: visitor.get(address).get_json() for address in shown_at}
    assert all(visitor.get(address).headers["X-Cache"] == "hit" for address in shown_at)
    assert visitor.open(path, method=method, json=body).get_json().items() >= {"changed": True, "invalidated": True}.items()
    for address in shown_at:
        answer = visitor.get(address)
        assert answer.headers["X-Cache"] == "miss"
        assert answer.get_json() != before[address]


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
        client.set("api:user:42", b"null")
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
