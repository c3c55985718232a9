"""The Lab in front of the real demo: shop, visitors and bench as `cachedeck demo` starts them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site, web
from tests.browser.test_overview import tile
from tests.browser.watch import Watch
from tests.programs import CACHEDECK, running, status, wait_until
from tests.servers import HOST, free_port
from tests.servers import running as serving

FIGURE = re.compile(r"\d")


@pytest.fixture
def lab(site: Site) -> Iterator[str]:
    """A web process beside the site's, whose Lab shows a shop on a cache of its own."""
    shop, bench, port = (str(free_port()) for _ in range(3))
    with serving() as cache:
        own = {"CACHEDECK_PORT": port, "CACHEDECK_DEMO_URL": f"http://{HOST}:{bench}"}
        settings = site.settings | own | {"CACHEDECK_CACHES": f"lab={cache.url}"}
        serve = ["demo", "serve", "--port", shop, "--users", "300", "--products", "200"]
        drive = ["demo", "drive", "--url", f"http://{HOST}:{shop}", "--rate", "60", "--bench-port", bench]
        with running([*CACHEDECK, *serve], settings), running([*CACHEDECK, *drive], settings), web(settings):
            wait_until(lambda: status(f"http://{HOST}:{bench}/bench") == 200, "the bench")
            yield f"http://{HOST}:{port}"


def start(page: Page, title: str) -> None:
    page.locator(".scenario").filter(has_text=title).get_by_role("button", name="Start").click()


def test_the_real_demo_is_turned_and_compared(lab: str, open_page: OpenPage, watch: Watch) -> None:
    watch.origin = lab
    page = open_page("/lab", base_url=lab)
    for label in ("Requests", "Hit ratio", "p99", "Queries"):
        expect(tile(page, label)).to_have_text(FIGURE)
    expect(page.locator("figure[data-chart=queries] canvas")).to_be_visible()
    page.get_by_role("radio", name=re.compile("^Write-behind")).check()
    page.get_by_role("radio", name=re.compile("^Mutex")).check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#results")).to_contain_text("Turned: pattern Write-behind, prevention Mutex.")
    expect(page.locator("#answer")).to_contain_text("Write-behind with Mutex")
    start(page, "Deploy flushes the cache")
    expect(page.locator(".scenario.is-running")).to_contain_text("Deploy flushes the cache")
    page.locator(".scenario.is-running").get_by_role("button", name="End").click()
    expect(page.locator(".scenario.is-running")).to_contain_text("Steady")
    page.get_by_label("For", exact=True).select_option("10")
    page.get_by_role("button", name="Compare 4 patterns").click()
    expect(page.locator(".lab-rows tbody tr")).to_have_count(1)
    expect(page.locator(".lab-rows tbody tr").first).to_contain_text("Cache-aside")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#lab-comparison .badge")).to_have_text("cancelled")
    expect(page.get_by_role("radio", name=re.compile("^Write-behind"))).to_be_checked()
    expect(page.locator("#lab-comparison")).to_contain_text("prevention Mutex")
