"""What the shop answers, and what it leaves in the cache."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.demo.caching.ttl import ABSENT_SECONDS, TTL_SECONDS
from dashboard.demo.encoding import ZSTD_MAGIC, decode
from dashboard.demo.knobs import PATTERNS
from tests.demo.conftest import SMALL, parts_of
from tests.programs import wait_until
from tests.servers import Server

SID = "00000000000000aa"

READS = [
    ("/users/42", "api:user:42", "profile"),
    ("/users/42/posts", "api:user:42:posts", "posts"),
    ("/products/17", "api:product:17", "product"),
    ("/search?q=python&page=1", "api:search:q=python&page=1", "search"),
    ("/prices/SKU-00017", "api:price:SKU-00017", "price"),
    ("/catalogue", "api:catalogue", "catalogue"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("path", "key", "ttl_class"), READS)
def test_it_reads_the_database_once_and_the_cache_then(
    open_shop: Callable[..., Flask], valkey: Server, path: str, key: str, ttl_class: str, pattern: str
) -> None:
    shop = open_shop(valkey.url, pattern=pattern).test_client()
    first, second = shop.get(path), shop.get(path)
    assert (first.status_code, first.headers["X-Cache"]) == (200, "miss")
    assert (second.status_code, second.headers["X-Cache"]) == (200, "hit")
    assert first.get_json() == second.get_json()
    with valkey.client() as client:
        assert decode(client.hget(key, "document")) == first.get_json()  # type: ignore[arg-type]
        left = client.pttl(key) / 1000  # type: ignore[operator]
    assert TTL_SECONDS[ttl_class] - 60 < left <= TTL_SECONDS[ttl_class]


def test_it_answers_from_the_cache_without_asking_the_database(shop: FlaskClient, valkey: Server) -> None:
    with valkey.client() as client:
        client.hset("api:user:42", mapping={"document": b'{"name":"only in the cache"}', "took": "1"})
    assert shop.get("/users/42").get_json() == {"name": "only in the cache"}


def test_it_says_what_it_should_of_each(shop: FlaskClient) -> None:
    user = shop.get("/users/42").get_json()
    posts = shop.get("/users/42/posts").get_json()["posts"]
    product = shop.get("/products/17").get_json()
    assert user["id"] == 42
    assert "@" in user["email"]
    assert user["posts"] == len(posts)
    assert product["sku"] == "SKU-00017"
    assert {"name", "category", "description", "stock", "related"} <= set(product)
    assert shop.get("/prices/SKU-00017").get_json()["cents"] > 0


def test_it_searches_products_that_carry_every_word(shop: FlaskClient) -> None:
    name = shop.get("/products/17").get_json()["name"]
    found = shop.get("/search", query_string={"q": name}).get_json()
    assert 17 in [result["id"] for result in found["results"]]
    for result in found["results"]:
        assert set(name.split()) <= {*result["name"].split(), result["category"]}


def test_it_pages_through_a_search(shop: FlaskClient) -> None:
    pages = [shop.get(f"/search?q=books&page={page}").get_json() for page in (1, 2, 3, 4, 5)]
    ids = [result["id"] for page in pages for result in page["results"]]
    assert len(pages[0]["results"]) == 20
    assert len(ids) == len(set(ids)) == min(pages[0]["total"], 100)


@pytest.mark.parametrize("spelling", ["Python", "  python ", "python!"])
def test_spellings_of_a_search_share_one_key(shop: FlaskClient, spelling: str) -> None:
    shop.get("/search?q=python&page=1")
    assert shop.get("/search", query_string={"q": spelling}).headers["X-Cache"] == "hit"


def test_it_compresses_large_values_only(shop: FlaskClient, valkey: Server) -> None:
    shop.get("/search?q=books&page=1")
    shop.get("/users/42")
    with valkey.client() as client:
        assert client.hget("api:search:q=books&page=1", "document").startswith(ZSTD_MAGIC)  # type: ignore[union-attr]
        assert client.hget("api:user:42", "document").startswith(b"{")  # type: ignore[union-attr]


def test_all_its_keys_stand_behind_its_prefix(open_shop: Callable[..., Flask], valkey: Server) -> None:
    shop = open_shop(valkey.url, prefix="lab:1:", pattern="write-behind").test_client()
    shop.set_cookie("sid", SID)
    for path, _key, _ttl_class in READS:
        shop.get(path)
    assert shop.put("/users/42", json={"city": "Ghent", "bio": "Moved."}).get_json()["queued"] is True
    shop.post("/orders", json={"product": 17, "quantity": 1})
    with valkey.client() as client:
        keys = client.keys("*")
    assert b"lab:1:api:user:42" in keys  # type: ignore[operator]
    assert [key for key in keys if not key.startswith(b"lab:1:")] == []  # type: ignore[union-attr]


def test_copies_answer_without_the_cache_until_the_row_changes(open_shop: Callable[..., Flask], valkey: Server) -> None:
    app = open_shop(valkey.url, copies=True)
    copies, shop = parts_of(app).copies, app.test_client()
    wait_until(lambda: copies.is_open, "it listens for what is out of date")
    assert [shop.get("/users/42").headers["X-Cache"] for _ in range(3)] == ["miss", "copy", "copy"]
    shop.put("/users/42", json={"city": "Ghent", "bio": "Moved."})
    assert shop.get("/users/42").get_json()["city"] == "Ghent"


@pytest.mark.parametrize("path", ["/users/301", "/users/301/posts", "/products/401", "/prices/SKU-99999"])
def test_it_remembers_briefly_that_a_row_does_not_exist(shop: FlaskClient, valkey: Server, path: str) -> None:
    first, second = shop.get(path), shop.get(path)
    assert (first.status_code, first.headers["X-Cache"]) == (404, "miss")
    assert (second.status_code, second.headers["X-Cache"]) == (404, "hit")
    with valkey.client() as client:
        (key,) = client.keys("api:*")  # type: ignore[misc]
        assert 0 < client.pttl(key) <= ABSENT_SECONDS * 1000


def test_a_user_without_posts_has_an_empty_list(shop: FlaskClient) -> None:
    counts = {user: len(shop.get(f"/users/{user}/posts").get_json()["posts"]) for user in range(1, 60)}
    assert 0 in counts.values()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/search", 400),
        ("/search?q=", 400),
        ("/search?q=!!", 400),
        ("/search?q=" + "a" * 81, 400),
        ("/search?q=python&page=0", 400),
        ("/search?q=python&page=51", 400),
        ("/users/99999999999999999999", 404),
        ("/users/x", 404),
        ("/prices/" + "x" * 200, 404),
        ("/nothing", 404),
    ],
)
def test_it_refuses_in_a_sentence_and_keeps_nothing(shop: FlaskClient, valkey: Server, path: str, status: int) -> None:
    answer = shop.get(path)
    assert answer.status_code == status
    assert answer.get_json()["error"]
    with valkey.client() as client:
        assert client.keys("api:*") == []


def test_the_window_shows_who_is_here_what_sells_and_what_is_searched(shop: FlaskClient) -> None:
    shop.set_cookie("sid", SID)
    shop.get("/search?q=python")
    shop.post("/orders", json={"product": 17, "quantity": 3})
    window = shop.get("/").get_json()
    assert (window["users"], window["products"]) == (SMALL.users, SMALL.products)
    assert (window["online"], window["bestsellers"], window["searches"]) == (1, [17], ["python"])


def test_the_window_falls_back_to_the_database_for_bestsellers(shop: FlaskClient) -> None:
    assert len(shop.get("/").get_json()["bestsellers"]) == 10


def test_an_unforeseen_error_shows_no_stack_trace(
    shop: FlaskClient, monkeypatch: pytest.MonkeyPatch, open_shop: Callable[..., Flask]
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("dashboard.demo.sql.shop.Shop.user", broken)
    answer = shop.get("/users/42")
    assert answer.status_code == 500
    assert "error" in answer.get_json()
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
