"""What holds on every screen: it can be used by everybody, at any width, in light and in dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.screens import SCREENS, furnish, show
from tests.browser.site import Site
from tests.browser.watch import Watch

OVERFLOWING = """() => {
  const wide = document.scrollingElement.scrollWidth - innerWidth;
  if (wide <= 0) return [];
  const all = [...document.querySelectorAll("body *")];
  const guilty = all.filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
  return [`${wide} px too wide`, ...guilty.slice(0, 5).map((one) => one.outerHTML.slice(0, 120))];
}"""


@pytest.fixture(scope="module")
def furnished(site: Site) -> None:
    furnish(site)


def opened(name: str, open_page: OpenPage, watch: Watch, **options: object) -> Page:
    screen = SCREENS[name]
    if screen.status != 200:
        watch.expect_status(screen.status, 422)
    page = open_page(screen.path, screen.role, **options)
    show(page, screen)
    return page


def usable(name: str, open_page: OpenPage, watch: Watch, axe: str) -> None:
    """One page is opened and looked at in every way: opening it is what takes most of the time."""
    page = opened(name, open_page, watch, color_scheme="light", reduced_motion="reduce")
    assert violations(page, axe) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, axe, only_colour=True) == []
    for width in (900, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(OVERFLOWING) == []


# Two classes, as the tests of a class share a worker: so two of them share the work.
@pytest.mark.parametrize("name", list(SCREENS)[::2])
class TestOneHalf:
    def test_axe_finds_nothing_serious_and_no_width_makes_it_scroll_sideways(
        self, name: str, open_page: OpenPage, watch: Watch, axe: str, furnished: None
    ) -> None:
        usable(name, open_page, watch, axe)


@pytest.mark.parametrize("name", list(SCREENS)[1::2])
class TestTheOtherHalf:
    def test_axe_finds_nothing_serious_and_no_width_makes_it_scroll_sideways(
        self, name: str, open_page: OpenPage, watch: Watch, axe: str, furnished: None
    ) -> None:
        usable(name, open_page, watch, axe)


@pytest.mark.parametrize("width", [390, 860])
def test_on_a_narrow_screen_the_rail_is_a_drawer(open_page: OpenPage, width: int) -> None:
    page = open_page("/caches/main/keys", viewport={"width": width, "height": 800})
    audit = page.get_by_role("link", name="Audit")
    expect(audit).not_to_be_in_viewport()
    page.get_by_role("button", name="Menu").click()
    expect(audit).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(audit).not_to_be_in_viewport()
    page.get_by_role("button", name="Menu").click()
    audit.click()
    expect(page.locator("h1")).to_have_text("Audit")
