"""Finding keys: the search bar, the list that grows, its order, the tree beside it, the address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import HAYSTACK
from tests.programs import wait_until

THIN = "\u202f"


def names(page: Page) -> list[str]:
    return page.locator("#key-rows td.key-cell").evaluate_all("cells => cells.map(cell => cell.dataset.value)")


def rows(page: Page) -> Locator:
    return page.locator("#key-rows tr")


def search(page: Page, pattern: str, kind: str = "", ttl: str = "") -> None:
    page.get_by_label("Pattern").fill(pattern)
    page.get_by_label("Type").select_option(kind)
    page.get_by_label("TTL").select_option(ttl)
    page.get_by_role("button", name="Search").click()


def test_it_finds_keys_by_pattern(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    search(page, "api:user:1?")
    expect(page.locator("#search-status")).to_contain_text("Complete")
    assert sorted(names(page)) == [f"api:user:{number}" for number in range(10, 20)]
    expect(page.locator("#answer")).to_contain_text("10 keys found")


def test_it_finds_keys_by_type_and_ttl(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    search(page, "*", kind="hash")
    expect(page).to_have_url(re.compile("type=hash"))
    expect(page.locator("#search-status")).to_contain_text("Complete")
    assert names(page) == ["sess:9f3a"]
    search(page, "*", kind="zset", ttl="none")
    expect(page).to_have_url(re.compile("type=zset"))
    expect(page.locator("#search-status")).to_contain_text("Complete")
    assert names(page) == ["leaderboard:week"]


def test_a_pattern_without_wildcard_is_looked_up_directly(open_page: OpenPage) -> None:
    page = open_page("/caches/haystack/keys")
    search(page, "needle:1")
    expect(page.locator("#search-status")).to_contain_text("Looked up directly")
    assert names(page) == ["needle:1"]


def test_a_direct_look_up_that_finds_nothing_says_that_it_is_certain(open_page: OpenPage) -> None:
    page = open_page("/caches/haystack/keys")
    search(page, "needle:99")
    expect(page.get_by_text("No key has exactly this name")).to_be_visible()
    page.get_by_role("link", name="Search for names that begin with it").click()
    expect(page.get_by_label("Pattern")).to_have_value("needle:99*")


def test_an_empty_cache_and_a_search_without_result_are_told_apart(open_page: OpenPage) -> None:
    page = open_page("/caches/empty/keys")
    expect(page.get_by_text("This cache is empty")).to_be_visible()
    page.goto("/caches/main/keys?pattern=nothing:*")
    expect(page.get_by_text("No key matches")).to_be_visible()


def test_a_sparse_search_goes_on_by_itself_to_the_end(open_page: OpenPage) -> None:
    page = open_page("/caches/haystack/keys")
    steps = []
    page.on("request", lambda request: steps.append(request) if request.url.endswith("/searches") else None)
    search(page, "needle:*")
    total = f"{HAYSTACK + 3:,}".replace(",", THIN)
    expect(page.locator("#search-status")).to_contain_text(f"Complete: all {total} keys were examined, 3 found")
    assert sorted(names(page)) == ["needle:0", "needle:1", "needle:2"]
    assert steps


def test_a_search_shows_its_progress_and_can_be_stopped_and_continued(open_page: OpenPage) -> None:
    page = open_page("/caches/haystack/keys")
    held: list[Route] = []

    def hold_steps(route: Route) -> None:
        # Only the steps which the page asks for by itself: Stop and Go on must pass.
        if held or "stop=" in (route.request.post_data or ""):
            route.continue_()
        else:
            held.append(route)

    page.route("**/searches", hold_steps)
    search(page, "nowhere:*")
    status = page.locator("#search-status")
    expect(status.get_by_role("progressbar")).to_be_visible()
    expect(status).to_contain_text(re.compile(r"of 600\sk keys examined, 0 found"))
    wait_until(
        lambda: page.wait_for_timeout(20) or held, "the page asks for the next step"
    )  # else it is Go on that is held
    status.get_by_role("button", name="Stop").click()
    expect(status).to_contain_text("Stopped:")
    expect(status.get_by_role("progressbar")).to_have_count(0)
    status.get_by_role("button", name="Go on").click()
    expect(status).to_contain_text("Complete")
    # What the page says as a whole goes along with its search.
    expect(page.locator("#answer")).to_contain_text("0 keys found in all")
    expect(page.get_by_text("No key matches")).to_be_visible()


def test_show_100_more_appends_100_rows_and_no_row_twice(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    expect(rows(page)).to_have_count(100)
    first = names(page)
    for count in (200, 300):
        page.get_by_role("button", name="Show 100 more").click()
        expect(rows(page)).to_have_count(count)
    every = names(page)
    assert every[:100] == first
    assert len(set(every)) == 300


def test_every_key_of_a_cluster_is_found_once(open_page: OpenPage) -> None:
    page = open_page("/caches/shards/keys?pattern=shard:3:*")
    expect(page.locator("#search-status")).to_contain_text("Complete")
    assert sorted(names(page)) == sorted(f"shard:3:{number}" for number in range(600) if number % 7 == 3)


@pytest.mark.parametrize(("head", "column"), [("Key", 1), ("Type", 2), ("TTL", 3), ("Memory", 4), ("Idle", 5)], ids=str)
def test_what_is_loaded_can_be_sorted_by_each_column(open_page: OpenPage, head: str, column: int) -> None:
    page = open_page("/caches/main/keys?pattern=[egjlqst]*")
    expect(page.locator("#search-status")).to_contain_text("Complete")
    button = page.locator("table.data thead").get_by_role("button", name=head)
    cells = page.locator(f"#key-rows td:nth-child({column + 1})")
    read = "cells => cells.map(cell => cell.dataset.value ?? cell.textContent.trim())"
    for _ in range(2):
        button.click()
        order = page.locator("thead th[aria-sort]").get_attribute("aria-sort")
        values = cells.evaluate_all(read)
        ordered = sorted(values, key=float if column > 2 else str, reverse=order == "descending")
        assert values == ordered, order
        assert len(values) > 5


def test_rows_that_come_later_are_sorted_in(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys?pattern=api:user:*")
    page.locator("table.data thead").get_by_role("button", name="TTL").click()
    page.get_by_role("button", name="Show 100 more").click()
    expect(rows(page)).to_have_count(200)
    expect(page.locator("thead th[aria-sort]")).to_have_text("TTL")
    page.wait_for_function(
        """() => {
          const cells = [...document.querySelectorAll("#key-rows td:nth-child(4)")];
          const left = cells.map((cell) => Number.parseFloat(cell.dataset.value.replace("inf", "Infinity")));
          return left.every((value, index) => !index || value <= left[index - 1]);
        }"""
    )


def test_the_tree_of_namespaces_opens_and_narrows_the_list(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    tree = page.get_by_role("navigation", name="Namespaces")
    api = tree.locator("li").filter(has=page.get_by_role("link", name="api", exact=True)).first
    api.locator("summary").first.click()
    api.get_by_role("link", name="user", exact=True).click()
    expect(page.get_by_label("Pattern")).to_have_value("api:user:*")
    expect(rows(page)).to_have_count(100)
    assert all(name.startswith("api:user:") for name in names(page))


def test_back_forward_and_reload_keep_the_state(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    search(page, "[jqt]*", kind="string")
    expect(page.locator("#search-status")).to_contain_text("Complete")
    page.locator("#key-rows").get_by_role("link", name="job:result:7").click()
    expect(page.locator("h1")).to_contain_text("job:result:7")
    page.go_back()

    def as_it_was() -> None:
        expect(page.get_by_label("Pattern")).to_have_value("[jqt]*")
        expect(page.get_by_label("Type")).to_have_value("string")
        expect(page.locator("#search-status")).to_contain_text("Complete")
        assert names(page) == ["job:result:7"]

    as_it_was()
    page.reload()
    as_it_was()
    page.go_forward()
    expect(page.locator("h1")).to_contain_text("job:result:7")
    page.get_by_role("link", name="Back to the list").click()
    as_it_was()
    page.go_back()
    page.go_back()
    page.go_back()
    expect(page.get_by_label("Pattern")).to_have_value("*")
