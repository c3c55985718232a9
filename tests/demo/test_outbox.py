"""Every change of a row is noted in the outbox, whoever makes it; on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from dashboard.demo.keyspace import Keyspace
from dashboard.demo.sql import outbox
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.outbox import Note
from dashboard.demo.sql.rows import Rows
from dashboard.demo.sql.shop import Shop

USER = "'A name', 'a@example.org', 'Ghent', 'A bio', 0"
PRODUCT = "'SKU-00500', 'A name', 'toys', 'A description', 7, 0"

CHANGES = [
    ("UPDATE {}users SET city = 'Ghent' WHERE id = 3", [("user", "3", 2)]),
    ("UPDATE {}users SET city = 'Ghent' WHERE id IN (3, 4)", [("user", "3", 2), ("user", "4", 2)]),
    ("UPDATE {}prices SET cents = 5 WHERE sku = 'SKU-00003'", [("price", "SKU-00003", 2)]),
    ("UPDATE {}prices SET cents = 5, version = 7 WHERE sku = 'SKU-00003'", [("price", "SKU-00003", 7)]),
    ("UPDATE {}prices SET version = -4 WHERE sku = 'SKU-00003'", [("price", "SKU-00003", 2)]),
    ("UPDATE {}products SET stock = 5 WHERE id = 3", [("product", "3", 2)]),
    ("UPDATE {}products SET stock = 5 WHERE id = 300", []),
    ("DELETE FROM {}prices WHERE sku = 'SKU-00003'", [("price", "SKU-00003", None)]),
    ("DELETE FROM {}users WHERE id = 3", [("posts", "3", None), ("user", "3", None)]),
    ("INSERT INTO {}prices VALUES ('SKU-00500', 5, 'EUR', 0)", [("price", "SKU-00500", None)]),
    (
        f"INSERT INTO {{}}users (id, name, email, city, bio, joined) VALUES (500, {USER})",
        [("posts", "500", None), ("user", "500", None)],
    ),
    (
        f"INSERT INTO {{}}products (id, sku, name, category, description, stock, sold) VALUES (500, {PRODUCT})",
        [("product", "500", None)],
    ),
    (
        "UPDATE {}prices SET sku = 'SKU-00501' WHERE sku = 'SKU-00003'",
        [("price", "SKU-00003", None), ("price", "SKU-00501", None)],
    ),
    ("INSERT INTO {}posts VALUES (5000, 3, 1, 'A title', 'A body', 0)", [("posts", "3", 2), ("user", "3", 2)]),
]


def noted(database: Database) -> list[tuple[str, str, int | None]]:
    """What is in the outbox: the newest version of each row, None where it was made or removed."""
    newest: dict[tuple[str, str], int | None] = {}
    with database.apart.connect() as connection:
        for note in outbox.oldest(connection, 1000):
            name = (note.kind, note.row_id)
            newest[name] = note.version if newest.get(name, 0) is not None else None
    return sorted((*name, version) for name, version in newest.items())


@pytest.mark.parametrize(("statement", "expected"), CHANGES)
def test_what_another_program_changes_is_noted(
    either_database: Database,
    other_program: Callable[[str], None],
    statement: str,
    expected: list[tuple[str, str, int | None]],
) -> None:
    other_program(statement.replace("prices VALUES", "prices (sku, cents, currency, changed) VALUES"))
    assert noted(either_database) == expected


def test_what_the_shop_is_filled_with_is_no_news(either_database: Database) -> None:
    assert noted(either_database) == []


def test_a_post_that_moves_is_noted_for_both_users(
    either_database: Database, other_program: Callable[[str], None]
) -> None:
    other_program("INSERT INTO {}posts VALUES (5000, 3, 1, 'A title', 'A body', 0)")
    other_program("UPDATE {}posts SET user_id = 4 WHERE id = 5000")
    other_program("DELETE FROM {}posts WHERE id = 5000")
    assert noted(either_database) == [("posts", "3", 3), ("posts", "4", 3), ("user", "3", 3), ("user", "4", 3)]


def test_the_shops_own_changes_are_noted_with_the_version_that_they_give(either_database: Database) -> None:
    rows, shop = Rows(either_database), Shop(either_database)
    user = rows.change("user", 3, {"city": "Ghent"})
    posts = shop.add_post(4, 1, "A title", "A body")
    product = shop.sell(5, 1)
    rows.apply("price", "SKU-00006", {"cents": 5}, 40)
    assert {("user", "3", user), ("posts", "4", posts), ("product", "5", product), ("price", "SKU-00006", 40)} < set(
        noted(either_database)
    )


def test_a_change_that_is_known_is_not_noted_again(either_database: Database) -> None:
    rows = Rows(either_database)
    for version in (40, 40, 39):
        rows.apply("price", "SKU-00006", {"cents": 5}, version)
    with either_database.apart.connect() as connection:
        assert len(outbox.oldest(connection, 1000)) == 1


def test_a_change_that_is_taken_back_leaves_no_note(either_database: Database) -> None:
    def fail() -> None:
        with either_database.begin() as connection:
            connection.execute(sa.text("UPDATE users SET city = 'Ghent' WHERE id = 3"))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert noted(either_database) == []


def test_only_those_notes_are_removed_that_were_read(either_database: Database) -> None:
    rows = Rows(either_database)
    for user in (3, 4):
        rows.change("user", user, {"city": "Ghent"})
    with either_database.begin() as connection:
        first = outbox.oldest(connection, 1)
    rows.change("user", 5, {"city": "Ghent"})
    with either_database.begin() as connection:
        outbox.remove(connection, first)
    assert noted(either_database) == [("user", "4", 2), ("user", "5", 2)]


def test_of_many_changes_of_a_row_the_newest_is_told() -> None:
    notes = [
        Note(1, "user", "3", 2),
        Note(2, "price", "SKU-00003", 9),
        Note(3, "user", "3", 4),
        Note(4, "user", "3", 3),
    ]
    assert outbox.changes(notes, Keyspace("p:")) == [("p:api:user:3", 4), ("p:api:price:SKU-00003", 9)]


def test_a_row_that_was_made_or_removed_meanwhile_is_out_of_date_whatever_its_version() -> None:
    notes = [Note(1, "user", "3", 8), Note(2, "user", "3", None), Note(3, "user", "3", 2)]
    assert outbox.changes(notes, Keyspace()) == [("api:user:3", None)]


def test_each_kind_has_its_key_and_what_is_none_of_the_shops_has_none() -> None:
    kinds = ["user", "posts", "product", "price", "planet"]
    notes = [Note(number, kind, "7", 2) for number, kind in enumerate(kinds)]
    notes += [Note(9, kind, "seven", 2) for kind in ("user", "posts", "product")]
    assert [key for key, _ in outbox.changes(notes, Keyspace())] == [
        "api:user:7",
        "api:user:7:posts",
        "api:product:7",
        "api:price:7",
    ]
