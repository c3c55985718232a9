"""The driver against a shop that can be made to stall, to err and to forget."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dashboard.demo.visitors.line import address
from dashboard.demo.visitors.open_loop import Driver, wait_for_shop
from dashboard.demo.visitors.tally import Tally
from dashboard.demo.visitors.traffic import ShopSize, Traffic
from tests.demo.fake_shop import PRODUCTS, USERS, FakeShop, fake_shop
from tests.programs import wait_until

SIZE = ShopSize(USERS, PRODUCTS)


@pytest.fixture
def shop() -> Iterator[FakeShop]:
    with fake_shop() as shop:
        yield shop


@contextmanager
def driving(*shops: FakeShop, connections: int = 16, **traffic: float) -> Iterator[Driver]:
    stop = threading.Event()
    wanted = Traffic(USERS, PRODUCTS).turned({"rate": 200, **traffic}, SIZE)
    driver = Driver([shop.address for shop in shops], SIZE, wanted, stop, connections=connections)
    driver.start()
    try:
        yield driver
    finally:
        stop.set()
        for shop in shops:
            shop.stall.set()
        driver.end()


def _until(driver: Driver, enough: str, count: int) -> Tally:
    """All that was counted until there was so much of something."""
    seen = [driver.ledger.take()]

    def is_enough() -> bool:
        seen.append(driver.ledger.take())
        return getattr(Tally.together(seen), enough) >= count

    wait_until(is_enough, f"{count} {enough}")
    return Tally.together(seen)


def test_the_size_of_the_shop_is_what_its_window_says(shop: FakeShop) -> None:
    assert wait_for_shop(shop.address, threading.Event()) == SIZE


def test_requests_go_to_all_processes_of_the_shop(shop: FakeShop) -> None:
    with fake_shop() as other, driving(shop, other):
        wait_until(lambda: len(shop.asked) > 50 and len(other.asked) > 50, "both to be asked")


def test_a_shop_that_stalls_does_not_slow_the_arrivals_and_is_seen_to_stall(shop: FakeShop) -> None:
    with driving(shop) as driver:
        _until(driver, "requests", 20)
        shop.stall.clear()
        # More than there are connections are due, and those that waited too long are given up.
        seen = _until(driver, "dropped", 50)
        shop.stall.set()
        _until(driver, "requests", 50)
    assert seen.dropped >= 50


def test_a_right_shop_shows_no_stale_read_and_loses_nothing(shop: FakeShop) -> None:
    with driving(shop, write_share=0.5, users=5, products=5) as driver:
        seen = _until(driver, "judged", 200)
        driver.pause()
        assert driver.is_quiet(60)
        asked = driver.truth.unsettled(1000)
        assert asked
        assert driver.truth.settle(asked, {row: shop.stored[row] for row in asked}) == 0
    assert seen.stale == 0
    assert driver.truth.lost == 0


def test_reads_that_show_the_version_before_are_stale_where_the_row_was_changed(shop: FakeShop) -> None:
    shop.shows_old = True
    with driving(shop, write_share=0.0) as driver:
        assert _until(driver, "judged", 100).stale == 0
        driver.turn(driver.traffic.turned({"write_share": 0.5, "users": 5, "products": 5}, SIZE))
        assert _until(driver, "stale", 20).judged > 20


def test_what_the_database_never_got_is_lost(shop: FakeShop) -> None:
    shop.forgets = True
    with driving(shop, write_share=0.5, users=5, products=5) as driver:
        _until(driver, "requests", 200)
        driver.pause()
        assert driver.is_quiet(60)
        asked = driver.truth.unsettled(1000)
        acknowledged = sum(len(versions) for versions in asked.values())
        assert driver.truth.settle(asked, dict.fromkeys(asked, 1)) == acknowledged > 0


def test_errors_are_counted_and_nothing_else_is_made_of_them(shop: FakeShop) -> None:
    shop.unwell = True
    with driving(shop, write_share=0.0) as driver:
        seen = _until(driver, "errors", 50)
    assert seen.judged == 0


def test_while_paused_nothing_is_sent_and_the_same_seed_brings_the_same_requests(shop: FakeShop) -> None:
    series = []
    with driving(shop, connections=1) as driver:
        for _ in range(2):
            driver.pause()
            assert driver.is_quiet(60)
            shop.asked.clear()
            driver.restart(7, driver.traffic)
            wait_until(lambda: len(shop.asked) > 60, "requests")
            series.append(shop.asked[:60])
        driver.pause()
        assert driver.is_quiet(60)
        driver.ledger.take()
        shop.asked.clear()
        assert not threading.Event().wait(0.2)
        assert shop.asked == []
        driver.resume()
        wait_until(lambda: bool(shop.asked), "it to go on")
    assert series[0] == series[1]


def test_a_turned_rate_counts_at_once_though_the_next_request_was_due_much_later(shop: FakeShop) -> None:
    with driving(shop, rate=0.1) as driver:
        driver.turn(driver.traffic.turned({"rate": 500}, SIZE))
        _until(driver, "requests", 100)


@pytest.mark.parametrize("url", ["https://127.0.0.1", "redis://127.0.0.1", "127.0.0.1:80", ""])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be like http"):
        address(url)
