"""Memory in the browser: to the keys behind an area, what has changed since, and what hashes would save."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site

STATUS = "#analysis-status"
NAMES = 4_000


@pytest.fixture
def shelf(site: Site) -> Iterator[None]:
    """Many small strings, fewer large ones, some hashes, and one value that is very large."""
    with closing(site.client("herd")) as client:
        client.flushdb()
        pipe = client.pipeline(transaction=False)
        for number in range(NAMES):
            pipe.set(f"api:name:{number}", f"User {number}", ex=7200)
        for number in range(600):
            pipe.set(f"api:search:q={number}", "x" * 2_000, ex=3600)
            pipe.hset(f"sess:{number}", mapping={"user": str(number), "csrf": "b1946ac9"})
        pipe.set("api:report:7", "x" * 1_500_000)
        pipe.execute()
    yield
    with closing(site.client("herd")) as client:
        client.flushdb()


def analyse(page: Page) -> None:
    """Start an analysis and watch it until all keys were examined."""
    page.locator(STATUS).get_by_role("button", name=re.compile("Analyse|Start again")).click()
    expect(page.locator(STATUS)).to_contain_text("Exact,")


def test_from_an_analysis_to_the_keys_behind_an_area(open_page: OpenPage, shelf: None) -> None:
    page = open_page("/caches/herd/memory")
    analyse(page)
    expect(page.locator("#answer")).to_have_text(re.compile(r"\d+.% of .*MB is api:report:\*; \d+.% never expires\."))
    area = page.get_by_role("link", name=re.compile(r"api:search:\*: [\d.]+.MB, \d+.% of the memory"))
    expect(area).to_have_count(1)  # the other treemap is for narrow screens
    area.click()
    expect(page.get_by_label("Pattern")).to_have_value("api:search:*")
    expect(page.locator("#key-rows tr")).not_to_have_count(0)


def test_a_very_large_value_is_found_and_shown(open_page: OpenPage, shelf: None) -> None:
    page = open_page("/caches/herd/memory")
    analyse(page)
    finding = page.locator("#design .finding", has_text="larger than 1")
    expect(finding).to_contain_text("1 key is larger than 1 MB")
    finding.get_by_role("link", name="Show keys").click()
    expect(page.locator("#key-rows tr")).to_have_count(1)
    expect(page.locator("#key-rows")).to_contain_text("api:report:7")


def test_the_table_is_sorted_by_its_heads_and_the_biggest_key_leads_to_its_page(
    open_page: OpenPage, shelf: None
) -> None:
    page = open_page("/caches/herd/memory")
    analyse(page)
    table = page.get_by_role("table", name="Memory and keys by namespace")
    table.get_by_role("button", name="Keys", exact=True).click()
    expect(table.locator("tbody tr").first).to_contain_text("api:name:*")
    page.get_by_role("table", name="The biggest keys").get_by_role("link", name="api:report:7").click()
    expect(page.locator("h1")).to_contain_text("api:report:7")


def test_what_has_changed_since_the_analysis_before(open_page: OpenPage, site: Site, shelf: None) -> None:
    page = open_page("/caches/herd/memory?type=hash")
    analyse(page)
    with closing(site.client("herd")) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(3_000):
            pipe.hset(f"cart:{number}", mapping={"sku": "TEA-1", "n": "2"})
        pipe.execute()
    analyse(page)
    changed = page.locator("#changed")
    expect(changed).to_contain_text(re.compile(r"cart:\* \+.[\d.]+.kB"))
    changed.get_by_role("link", name="Compare").click()
    row = page.get_by_role("table", name=re.compile("By namespace")).locator("tbody tr", has_text="cart:*")
    expect(row).to_contain_text("new")
    expect(row).to_contain_text(re.compile(r"\+.3.000"))
    expect(page.locator("#namespaces")).to_contain_text("1 namespace has not changed at all.")


def test_from_small_strings_to_what_hashes_would_save(open_page: OpenPage, shelf: None) -> None:
    page = open_page("/caches/herd/memory")
    analyse(page)
    page.get_by_role("button", name="In hashes? Measure api:name:*").click()
    expect(page.locator("#answer")).to_have_text(
        re.compile(r"Hashes would save \d\d[\d.]*.%, .*of the whole namespace: .*measured with 4.000 keys\.")
    )
    table = page.get_by_role("table", name="Bytes for each key, held in different ways")
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(table).to_contain_text("40 hashes, compact")
    page.get_by_role("link", name="Memory", exact=True).last.click()
    expect(page.locator("h1")).to_have_text("Memory")


def test_a_viewer_sees_the_figures_and_may_start_nothing(open_page: OpenPage, shelf: None) -> None:
    analyse(open_page("/caches/herd/memory"))
    page = open_page("/caches/herd/memory", Role.VIEWER)
    expect(page.locator("#namespaces")).to_contain_text("api:name:*")
    expect(page.get_by_role("button", name=re.compile("Analyse|In hashes"))).to_have_count(0)


def test_no_label_of_an_area_leaves_it_at_any_width(open_page: OpenPage, shelf: None) -> None:
    page = open_page("/caches/herd/memory")
    analyse(page)
    for width in (1440, 900, 390):
        page.set_viewport_size({"width": width, "height": 900})
        outside = page.evaluate(
            """() => [...document.querySelectorAll(".treemap-cell")].filter((cell) => {
              const frame = cell.querySelector("rect").getBoundingClientRect();
              return [...cell.querySelectorAll("span")].some((label) => {
                const box = label.getBoundingClientRect();
                return box.width && (box.right > frame.right + 1 || box.bottom > frame.bottom + 1);
              });
            }).length"""
        )
        assert outside == 0, width


def test_memory_works_without_javascript(open_page: OpenPage, site: Site, shelf: None) -> None:
    analyse(open_page("/caches/herd/memory"))
    page = open_page("/caches/herd/memory", java_script_enabled=False)
    expect(page.locator("#answer")).to_contain_text("never expires")
    page.get_by_role("link", name="Only these: api:name:*").click()
    expect(page.get_by_label("Pattern")).to_have_value("api:name:*")
    expect(page.locator(STATUS)).to_contain_text("Not analysed yet.")
