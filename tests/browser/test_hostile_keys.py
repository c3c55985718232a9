"""Keys whose names have broken some dashboard: opened by a click on their row, and removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from dashboard.cache.selecting.key_token import printable
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.cache.hostile_keys import HOSTILE

NAMES = HOSTILE | {"script": b"<img src=x onerror=window.__pwned=1>", "10,000 x": b"x" * 10_000}
# Each goes through links, forms and redirects of its own; the others through the list and its addresses.
REMOVED = (
    "script",
    "empty",
    "slash",
    "not UTF-8",
    "newline",
    "10,000 x",
    "percent",
    "right to left",
    "dots",
    "tilde",
    "glob",
)


@pytest.fixture
def hostile(site: Site) -> Iterator[None]:
    with site.client("hostile") as client:
        client.flushdb()
        for name in NAMES.values():
            client.set(name, b"value of " + name[:100], ex=3600)
        yield
        client.flushdb()


def test_the_list_shows_every_one_and_each_address_opens_its_key(hostile: None, open_page: OpenPage) -> None:
    page = open_page("/caches/hostile/keys")
    expect(page.locator("#key-rows tr")).to_have_count(len(NAMES))
    links = page.locator("#key-rows a[data-row-link]").evaluate_all("all => all.map((one) => one.href)")
    statuses = page.evaluate(
        "links => Promise.all(links.map((one) => fetch(one).then((answer) => answer.status)))", links
    )
    assert statuses == [200] * len(NAMES)
    page.get_by_role("navigation", name="Namespaces").get_by_text("Exact").wait_for()


@pytest.mark.parametrize("which", REMOVED)
def test_it_is_opened_from_its_row_and_removed(hostile: None, open_page: OpenPage, site: Site, which: str) -> None:
    name = NAMES[which]
    page = open_page("/caches/hostile/keys")
    page.locator("#key-rows a[data-row-link]").nth(0).wait_for()
    place = page.locator("#key-rows td.key-cell").evaluate_all(
        "(cells, text) => cells.findIndex((cell) => cell.dataset.value === text)", printable(name)[:200]
    )
    page.locator("#key-rows a[data-row-link]").nth(place).click()
    expect(page.locator("#value")).to_be_visible()
    expect(page.locator("dl.facts")).to_contain_text(f"{len(name):,}".replace(",", "\u202f"))
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Remove 1 key").click()
    expect(page.locator("#results")).to_contain_text("Removed 1 key")
    expect(page.locator("#key-rows tr")).to_have_count(len(NAMES) - 1)
    with site.client("hostile") as client:
        assert not client.exists(name)
        assert client.dbsize() == len(NAMES) - 1
