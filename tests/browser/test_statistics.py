"""Statistics in a browser: charts are drawn, the table of commands is sorted, the slow log comes by itself."""

from __future__ import annotations

from playwright.sync_api import expect

from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage

PATH = "/caches/main/statistics"


def test_charts_are_drawn_and_the_range_is_chosen(open_page: OpenPage) -> None:
    page = open_page(PATH)
    expect(page.locator('[data-chart="memory"] .u-wrap')).to_be_visible()
    expect(page.locator('[data-chart="latency"] h2')).to_have_text("Latency, p99")
    page.get_by_role("navigation", name="Range").get_by_role("link", name="7 d").click()
    expect(page.get_by_role("heading", name="Last 7 d")).to_be_visible()
    expect(page.locator('[data-chart="memory"] .u-wrap')).to_be_visible()


def test_commands_are_sorted_by_what_is_pressed(open_page: OpenPage) -> None:
    page = open_page(PATH)
    names = page.locator("#commands tbody td:first-child")
    expect(names.first).to_be_visible()
    head = page.locator("#commands th", has_text="Command")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names.all_inner_texts() == sorted(names.all_inner_texts())


def test_the_slow_log_comes_by_itself_and_not_to_viewers(open_page: OpenPage) -> None:
    expect(open_page(PATH).locator("#slow-log")).to_contain_text("slowlog-log-slower-than")
    expect(open_page(PATH, role=Role.VIEWER).locator("#slow-log")).to_have_count(0)
