"""What fails is said in a sentence where one looks, and the page comes back by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser import site as sites
from tests.browser.conftest import OpenPage
from tests.browser.site import Site, refill
from tests.browser.watch import Watch
from tests.servers import HOST, free_port


@pytest.fixture
def fragile(site: Site) -> Iterator[None]:
    """Afterwards the fragile server runs and holds its keys again, whatever has happened."""
    yield
    if site.fragile.process.poll() is not None:
        site.fragile.restart()
    refill(site.fragile)


def test_a_server_that_is_down_is_named_on_every_screen_of_its_cache(open_page: OpenPage, watch: Watch) -> None:
    watch.expect_status(503)
    page = open_page("/caches/down/keys")
    expect(page.get_by_text("cannot be reached").first).to_be_visible()
    expect(page.get_by_label("Pattern")).to_be_visible()
    page.goto("/caches/down/keys/some:key")
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    page.goto("/caches/down/")
    expect(page.locator("#live").get_by_text("cannot be reached").first).to_be_visible()


def test_the_keys_say_that_the_server_went_down_and_recover_by_themselves(
    fragile: None, open_page: OpenPage, watch: Watch, site: Site
) -> None:
    watch.expect_status(503)
    searching, listing, key = (open_page("/caches/fragile/keys") for _ in range(3))
    rows = "#key-rows tr"
    for page in (searching, listing, key):
        expect(page.locator(rows)).to_have_count(100)
    site.fragile.stop()
    # A piece of the page: the rows that are there stay, and it is said why there are no more.
    searching.get_by_role("button", name="Show 100 more").click()
    expect(searching.locator("#search-status .alert")).to_contain_text("cannot be reached")
    expect(searching.locator(rows)).to_have_count(100)
    # The whole page: it is said in place of what cannot be shown.
    listing.get_by_role("button", name="Search", exact=True).click()
    expect(listing.locator("#content")).to_contain_text("cannot be reached")
    key.locator(rows).get_by_role("link").first.click()
    expect(key.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    site.fragile.restart()
    refill(site.fragile)
    expect(searching.locator(rows)).to_have_count(200)
    expect(searching.locator("#search-status .alert")).to_have_count(0)
    expect(listing.locator(rows)).to_have_count(100)
    expect(listing.locator("#answer")).to_contain_text("keys in this cache")
    expect(key.locator("#value")).to_be_visible()


def test_the_overview_says_that_the_server_went_down_and_recovers_by_itself(
    fragile: None, open_page: OpenPage, watch: Watch, site: Site
) -> None:
    watch.expect_status(503)
    page = open_page("/caches/fragile/")
    expect(page.locator("#live").get_by_text("Sampled")).to_be_visible()
    site.fragile.stop()
    expect(page.locator("#live").get_by_text("cannot be reached").first).to_be_visible()
    site.fragile.restart()
    expect(page.locator("#live").get_by_text("Sampled")).to_be_visible()
    expect(page.locator("#live").get_by_text("cannot be reached")).to_have_count(0)


def test_a_web_process_that_is_gone_is_an_alert_and_not_silence(open_page: OpenPage, watch: Watch, site: Site) -> None:
    watch.expect(
        "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "Failed to fetch", "to elsewhere"
    )
    port = str(free_port())
    settings = site.settings | {"CACHEDECK_PORT": port}
    alert = "#alerts .alert"
    with contextlib.ExitStack() as gone:
        with sites.web(settings):
            keys = open_page("/caches/main/keys", base_url=f"http://{HOST}:{port}")
            overview = open_page("/caches/main/", base_url=f"http://{HOST}:{port}")
            expect(keys.locator("#namespaces")).to_contain_text("api")
            expect(overview.locator(".charts-note")).to_contain_text("Live")
        keys.get_by_role("button", name="Show 100 more").click()
        expect(keys.locator(alert).filter(has_text="Cachedeck cannot be reached").first).to_be_visible()
        expect(keys.locator("#key-rows tr")).to_have_count(100)
        expect(overview.locator(alert).filter(has_text="It is tried again by itself").first).to_be_visible()
        expect(overview.locator(".charts-note")).to_contain_text("Cachedeck does not answer")
        gone.enter_context(sites.web(settings))
        expect(overview.locator(alert)).to_have_count(0)
        expect(overview.locator(".charts-note")).to_contain_text("Live")
        keys.get_by_role("button", name="Show 100 more").click()
        expect(keys.locator("#key-rows tr")).to_have_count(200)
        for page in (keys, overview):
            page.goto("about:blank")


def test_an_address_that_does_not_exist_is_answered_in_the_shell(open_page: OpenPage, watch: Watch) -> None:
    watch.expect_status(404)
    page = open_page("/caches/nothing-of-that-name/")
    expect(page.locator("h1")).to_have_text("Not found")
    page.get_by_role("link", name="To the first screen").click()
    expect(page.locator("h1")).to_have_text("Overview")
