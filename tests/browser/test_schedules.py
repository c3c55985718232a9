"""From a plan to its schedule, to what the worker does when it is due, to the undo, as an operator does it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from dashboard.store import schedules
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site

KEYS = 40


@pytest.fixture
def prices(site: Site) -> Iterator[None]:
    with site.client("main") as client:
        client.mset({f"price:{number}": "9.99" for number in range(KEYS)})
        yield
        client.delete(*(f"price:{number}" for number in range(KEYS)))


@pytest.fixture(autouse=True)
def _no_schedules_afterwards(site: Site) -> Iterator[None]:
    with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as store:
        before = {one.id for one in schedules.of_cache(store, "main")}
        yield
        for one in schedules.of_cache(store, "main"):
            if one.id not in before:
                schedules.remove(store, one.id)


def _make_due(site: Site) -> None:
    """Let the newest schedule be due now: nobody waits for an hour here."""
    with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as store:
        newest = max(schedules.of_cache(store, "main"), key=lambda one: one.id)
        schedules.enable(store, newest.id, time.time())


def _left(site: Site) -> int:
    with site.client("main") as client:
        return sum(1 for _ in client.scan_iter("price:*", 1000))


def _until_done(page: Page) -> None:
    row = page.locator("tbody tr", has_text="Keys of price:*")
    for _ in range(60):
        if row.locator("td.wide .badge", has_text="done").count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError("the worker did not carry it out")


def test_a_schedule_is_made_carried_out_and_taken_back(site: Site, prices: None, open_page: OpenPage) -> None:
    page = open_page("/caches/main/schedules/new?pattern=price:*", Role.OPERATOR)
    expect(page.get_by_label("Pattern")).to_have_value("price:*")
    page.get_by_label("At, in UTC").fill(time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 7200)))
    expect(page.get_by_role("radio", name="Once")).to_be_checked()  # who fills in a time means that one
    page.get_by_role("button", name="Add schedule").click()
    expect(page.get_by_text("It is carried out next at")).to_be_visible()
    assert _left(site) == KEYS
    _make_due(site)
    _until_done(page)
    assert _left(site) == 0
    page.locator("tbody tr", has_text="Keys of price:*").get_by_role("link").last.click()
    expect(page.get_by_text("40 keys were removed")).to_be_visible()
    expect(page.get_by_text("on schedule")).to_be_visible()


def test_an_expression_is_said_in_words_while_one_types(site: Site, open_page: OpenPage) -> None:
    page = open_page("/caches/main/schedules/new", Role.OPERATOR)
    page.get_by_label("Cron expression, in UTC").fill("30 2 * * mon")
    expect(page.locator("#times")).to_contain_text("At 02:30 on Monday, UTC.")
    page.get_by_label("Cron expression, in UTC").fill("30 2 * *")
    expect(page.locator("#times")).to_contain_text("Write five fields")


def test_it_is_disabled_enabled_and_removed_from_the_list(site: Site, open_page: OpenPage) -> None:
    page = open_page("/caches/main/schedules/new?pattern=nightly:*", Role.OPERATOR)
    page.get_by_role("button", name="Add schedule").click()
    row = page.locator("tbody tr", has_text="Keys of nightly:*")
    row.get_by_role("button", name="Disable").click()
    expect(row.get_by_text("disabled", exact=True)).to_be_visible()
    row.get_by_role("button", name="Enable").click()
    expect(row.get_by_text("enabled", exact=True)).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove 1 schedule").click()
    expect(page.get_by_text("Removed 1 schedule.")).to_be_visible()
    expect(row).to_have_count(0)
