"""Changes in the database reach the shop's visitors, whoever makes them: over HTTP, with both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard.demo.app import close_demo_app, create_demo_app
from dashboard.demo.assembly import Plan
from dashboard.demo.knobs import PATTERNS, Knobs
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.schema import outbox
from tests.demo.conftest import parts_of
from tests.programs import wait_until
from tests.servers import Server

PRICE = "/prices/SKU-00007"
CHANGE = "UPDATE {}prices SET cents = 5 WHERE sku = 'SKU-00007'"


@pytest.fixture
def open_shops(either_database: Database, valkey: Server) -> Iterator[Callable[..., list[FlaskClient]]]:
    """Opens so many shops over one database and one cache, with knobs turned."""
    url = either_database.engine.url.render_as_string(hide_password=False)
    with ExitStack() as stack:

        def make(count: int = 1, **knobs: Any) -> list[FlaskClient]:
            shops = []
            for _ in range(count):
                app = create_demo_app(Plan(url, valkey.url, knobs=Knobs().turned(knobs)))
                stack.callback(close_demo_app, app)
                shops.append(app.test_client())
            return shops

        yield make


def _shows(shop: FlaskClient, cents: int, version: int) -> bool:
    found = shop.get(PRICE).get_json()
    return bool((found["cents"], found["version"]) == (cents, version))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_another_program_changes_is_shown(
    open_shops: Callable[..., list[FlaskClient]], other_program: Callable[[str], None], pattern: str
) -> None:
    (shop,) = open_shops(pattern=pattern)
    shop.get(PRICE)
    assert shop.get(PRICE).headers["X-Cache"] == "hit"
    other_program(CHANGE)
    wait_until(lambda: _shows(shop, 5, 2), "the new price")


def test_what_another_program_changes_leaves_the_copies_of_all_processes(
    open_shops: Callable[..., list[FlaskClient]], other_program: Callable[[str], None]
) -> None:
    shops = open_shops(3, copies=True)
    for shop in shops:
        wait_until(lambda shop=shop: shop.get(PRICE).headers["X-Cache"] == "copy", "a copy is kept")  # type: ignore[misc]
    other_program(CHANGE)
    for shop in shops:
        wait_until(lambda shop=shop: _shows(shop, 5, 2), "the new price")  # type: ignore[misc]
    counters = [parts_of(shop.application).counters for shop in shops]
    wait_until(lambda: sorted(one.to_plain()["relayed"] for one in counters) == [0, 0, 1], "one of them has relayed it")


def test_a_row_that_was_not_there_is_shown_when_another_program_makes_it(
    open_shops: Callable[..., list[FlaskClient]], other_program: Callable[[str], None]
) -> None:
    (shop,) = open_shops()
    assert shop.get("/prices/SKU-00500").status_code == 404
    other_program("INSERT INTO {}prices (sku, cents, currency, changed) VALUES ('SKU-00500', 5, 'EUR', 0)")
    wait_until(lambda: shop.get("/prices/SKU-00500").status_code == 200, "the new price")
    other_program("DELETE FROM {}prices WHERE sku = 'SKU-00500'")
    wait_until(lambda: shop.get("/prices/SKU-00500").status_code == 404, "it is gone")


def test_with_events_off_it_stays_until_its_time_is_over(
    open_shops: Callable[..., list[FlaskClient]], other_program: Callable[[str], None], either_database: Database
) -> None:
    def left() -> int:
        with either_database.apart.connect() as connection:
            return len(connection.execute(outbox.select()).all())

    (shop,) = open_shops(events=False)
    before = shop.get(PRICE).get_json()["cents"]
    other_program(CHANGE)
    wait_until(lambda: left() == 0, "the note is gone")
    assert _shows(shop, before, 1)
