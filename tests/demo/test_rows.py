"""Changes of rows, each under a version of its own; on both databases."""

from __future__ import annotations

import random
import threading
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from dashboard.demo.sql.database import Database
from dashboard.demo.sql.rows import JUMP, BadRow, Rows
from dashboard.demo.sql.schema import prices, products, users
from dashboard.demo.sql.shop import POSTS_KEPT, RESTOCKED, Shop

SKU = "SKU-00007"
MOVED = {"city": "Ghent", "bio": "Moved."}


@pytest.fixture
def rows(either_database: Database) -> Rows:
    return Rows(either_database, clock=lambda: 1_800_000_000.5)


@pytest.fixture
def shop(either_database: Database) -> Shop:
    return Shop(either_database, clock=lambda: 1_800_000_000.5)


def _told(shop: Shop, kind: str, row: Any) -> Any:
    document = {"user": shop.user, "posts": shop.posts, "product": shop.product, "price": shop.price}[kind](row)
    assert document is not None
    return document["version"]


@pytest.mark.parametrize(("kind", "row"), [("user", 3), ("posts", 3), ("product", 3), ("price", SKU)])
def test_a_document_carries_the_version_of_its_row(shop: Shop, rows: Rows, kind: str, row: Any) -> None:
    assert _told(shop, kind, row) == 1
    assert rows.versions([(kind, row)]) == {(kind, row): 1}


def test_what_is_of_many_rows_has_no_version(shop: Shop) -> None:
    assert "version" not in shop.catalogue()
    assert "version" not in shop.search(["books"], 1)


def test_a_profile_does_not_show_the_version_of_the_posts(shop: Shop) -> None:
    assert "posts_version" not in (shop.user(3) or {})


def test_a_change_sets_the_values_and_gives_the_next_version(rows: Rows, shop: Shop) -> None:
    assert rows.change("user", 3, MOVED) == 2
    assert rows.change("user", 3, {"bio": "Once more."}) == 3
    user = shop.user(3)
    assert user is not None
    assert (user["city"], user["bio"], user["version"]) == ("Ghent", "Once more.", 3)


def test_a_change_of_one_row_leaves_the_others_and_their_versions(rows: Rows, shop: Shop) -> None:
    before = shop.user(4), shop.posts(3), shop.product(3), shop.price(SKU)
    rows.change("user", 3, MOVED)
    assert (shop.user(4), shop.posts(3), shop.product(3), shop.price(SKU)) == before


def test_a_price_says_when_it_was_changed(rows: Rows, shop: Shop) -> None:
    assert rows.change("price", SKU, {"cents": 1234}) == 2
    price = shop.price(SKU)
    assert price is not None
    assert (price["cents"], price["changed"]) == (1234, 1_800_000_000)
    rows.change("price", SKU, {"cents": 1235, "changed": 7})
    assert (shop.price(SKU) or {})["changed"] == 7


@pytest.mark.parametrize(("kind", "row", "values"), [("user", 31, MOVED), ("price", "SKU-99999", {"cents": 1})])
def test_of_a_missing_row_nothing_is_changed(rows: Rows, kind: str, row: Any, values: dict[str, Any]) -> None:
    assert rows.change(kind, row, values) is None
    assert rows.jump(kind, row, values) is None
    assert rows.apply(kind, row, values, 5) == "missing"
    assert rows.versions([(kind, row)]) == {}


def test_a_version_is_applied_once_and_known_afterwards(rows: Rows, shop: Shop) -> None:
    assert rows.apply("price", SKU, {"cents": 200}, 5) == "applied"
    assert rows.apply("price", SKU, {"cents": 999}, 5) == "known"
    assert rows.apply("price", SKU, {"cents": 999}, 4) == "known"
    price = shop.price(SKU)
    assert price is not None
    assert (price["cents"], price["version"]) == (200, 5)


def test_in_whatever_order_and_however_often_changes_are_applied_the_newest_stays(rows: Rows, shop: Shop) -> None:
    changes = [(version, {"cents": 100 + version}) for version in range(2, 12)]
    shuffled = random.Random(1).choices(changes, k=30)
    for version, values in [*shuffled, *changes]:
        rows.apply("price", SKU, values, version)
    price = shop.price(SKU)
    assert price is not None
    assert (price["cents"], price["version"]) == (111, 11)


def test_after_a_jump_what_a_queue_still_holds_is_older(rows: Rows, shop: Shop) -> None:
    assert rows.jump("user", 3, MOVED) == 1 + JUMP
    assert rows.apply("user", 3, {"city": "Lisbon", "bio": "Queued."}, 40) == "known"
    assert (shop.user(3) or {})["city"] == "Ghent"


def test_a_version_may_be_larger_than_a_usual_integer(rows: Rows, shop: Shop) -> None:
    assert rows.apply("price", SKU, {"cents": 1}, 2**52) == "applied"
    assert rows.jump("price", SKU, {"cents": 2}) == 2**52 + JUMP
    assert (shop.price(SKU) or {})["version"] == 2**52 + JUMP


def test_no_change_is_lost_among_threads(rows: Rows) -> None:
    given: list[int | None] = []

    def change() -> None:
        given.extend(rows.change("price", SKU, {"cents": number}) for number in range(25))

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(filter(None, given)) == list(range(2, 102))
    assert rows.versions([("price", SKU)]) == {("price", SKU): 101}


def test_the_truth_of_many_rows_is_told_at_once(rows: Rows) -> None:
    rows.change("user", 3, MOVED)
    rows.change("price", SKU, {"cents": 1})
    names: list[tuple[str, int | str]] = [("user", number) for number in range(1, 1200)]
    found = rows.versions([("price", SKU), *names, ("product", 40), ("posts", 3)])
    assert len(found) == 30 + 3
    assert found["user", 3] == 2
    assert found["price", SKU] == 2
    assert found["posts", 3] == 1


@pytest.mark.parametrize(
    ("kind", "row", "values"),
    [
        ("users", 3, MOVED),
        ("posts", 3, {"title": "x"}),
        ("user", "3", MOVED),
        ("user", True, MOVED),
        ("user", 2**40, MOVED),
        ("user", 3, {}),
        ("user", 3, {"city": 7}),
        ("user", 3, {"city": "Gh\0ent"}),
        ("user", 3, {"city": "\ud800"}),
        ("user", 3, {"version": 9}),
        ("price", 7, {"cents": 1}),
        ("price", SKU, {"cents": "1"}),
        ("price", SKU, {"cents": 2**31}),
        ("price", SKU, {"cents": -1}),
        ("price", SKU, {"cents": None}),
        ("price", SKU, {"cents = 0; --": 1}),
    ],
)
def test_what_no_such_row_can_have_is_refused(rows: Rows, kind: str, row: Any, values: dict[str, Any]) -> None:
    for refused in (
        lambda: rows.change(kind, row, values),
        lambda: rows.jump(kind, row, values),
        lambda: rows.apply(kind, row, values, 2),
    ):
        with pytest.raises(BadRow):
            refused()


@pytest.mark.parametrize("version", [0, -1, 2**53 + 1])
def test_a_version_that_no_row_can_have_is_refused(rows: Rows, version: int) -> None:
    with pytest.raises(BadRow):
        rows.apply("price", SKU, {"cents": 1}, version)


@pytest.mark.parametrize("name", [("users", 3), ("user", "3"), ("price", 3)])
def test_nor_is_the_truth_asked_of_what_is_no_row(rows: Rows, name: tuple[str, int | str]) -> None:
    with pytest.raises(BadRow):
        rows.versions([name])


def test_a_post_grows_the_versions_of_the_posts_and_of_the_profile(rows: Rows, shop: Shop) -> None:
    before = shop.user(3)
    assert before is not None
    assert shop.add_post(3, 1, "A title", "A body") == 2
    posts, user = shop.posts(3), shop.user(3)
    assert posts is not None
    assert user is not None
    assert (posts["posts"][0]["title"], posts["version"]) == ("A title", 2)
    assert (user["latest"][0]["title"], user["posts"], user["version"]) == ("A title", before["posts"] + 1, 2)
    assert rows.versions([("posts", 3), ("posts", 4)]) == {("posts", 3): 2, ("posts", 4): 1}


def test_the_posts_that_make_room_count_as_changes_too(shop: Shop) -> None:
    versions = [shop.add_post(3, 1, f"Number {number}", "x") for number in range(POSTS_KEPT + 5)]
    posts = shop.posts(3)
    assert posts is not None
    assert len(posts["posts"]) == POSTS_KEPT
    assert posts["version"] == versions[-1]
    assert all(later > earlier for earlier, later in pairwise(version or 0 for version in versions))


def test_a_user_without_posts_has_an_empty_list_and_a_version(either_database: Database, shop: Shop) -> None:
    with either_database.begin() as connection:
        connection.execute(sa.text("DELETE FROM posts WHERE user_id = 3"))
    posts = shop.posts(3)
    assert posts is not None
    assert posts["posts"] == []
    assert posts["version"] >= 1
    assert shop.posts(31) is None
    assert shop.add_post(31, 1, "t", "b") is None


def test_an_order_grows_the_version_of_the_product(shop: Shop) -> None:
    before = shop.product(3)
    assert before is not None
    assert shop.sell(3, 1) == 2
    assert shop.sell(3, before["stock"]) == 3
    after = shop.product(3)
    assert after is not None
    assert (after["version"], after["stock"], after["sold"]) == (3, RESTOCKED, before["sold"] + before["stock"] + 1)
    assert shop.sell(41, 1) is None


@pytest.mark.parametrize(("table", "key"), [(users, 3), (products, 3), (prices, SKU)])
def test_a_change_that_forgets_the_version_grows_it_all_the_same(
    either_database: Database, table: sa.Table, key: Any
) -> None:
    (column,) = table.primary_key
    (named, version) = (column == key, sa.select(table.c.version).where(column == key))
    for values, expected in (({}, 2), ({"version": 1}, 3), ({"version": 9}, 9), ({"version": 9}, 10)):
        text = "name" if "name" in table.c else "currency"
        with either_database.begin() as connection:
            connection.execute(table.update().where(named).values({text: "another", **values}))
            assert connection.execute(version).scalar_one() == expected
