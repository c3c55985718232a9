"""Stampedes as an administrator sees them: while they happen, on the page that is open."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import expect

from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import DATABASES, Site
from tests.programs import wait_until
from tests.stampeding import stampede

PATH = "/caches/herd/stampedes"
SETTING = "notify-keyspace-events"


def _flags(site: Site) -> str:
    with contextlib.closing(site.server.client(decode_responses=True)) as client:
        return str(client.config_get(SETTING)[SETTING])


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_stampede_appears_on_the_open_page_and_leads_to_its_key(
    open_page: OpenPage, site: Site, scripts: bool
) -> None:
    key = f"api:product:{17 if scripts else 18}"
    before = _flags(site)
    page = open_page(PATH, Role.ADMIN, java_script_enabled=scripts)
    page.get_by_label("Reason").fill("the database was busy at noon")
    page.get_by_role("button", name="Start watching").click()
    expect(page).to_have_url(re.compile(rf"{PATH}/\d+$"))
    wait_until(lambda: {"E", "m"} <= set(_flags(site)), "notifications are on")
    begun = page.get_by_text("No stampede so far")
    if not scripts:
        wait_until(lambda: page.reload() is not None and begun.count() > 0, "it watches")
    expect(begun).to_be_visible()
    with site.client("herd") as client:
        client.set(key, "old", px=1)
        wait_until(lambda: not client.exists(key), "it expired")
    stampede(lambda: site.server.client(db=DATABASES["herd"][0]), key, 40, lock=False)
    if not scripts:
        wait_until(lambda: page.reload() is not None and page.locator(".stampede").count() == 1, "it is told")
    alert = page.locator(".stampede")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text(re.compile(r"\d+ misses in .* after expiry; one refill would have done\."))
    expect(alert).to_contain_text("Let one reader refill it")
    expect(page.locator("#answer")).to_contain_text(f"1 key had a stampede, the worst {key}")
    page.get_by_role("button", name="Cancel").first.click()
    wait_until(lambda: _flags(site) == before, "notifications are as they were")
    page.goto(PATH)
    page.locator("tbody a").first.click()
    page.locator(".stampede").get_by_role("link", name=key).click()
    expect(page.locator("#value")).to_contain_text("made anew")
    with site.client("herd") as client:
        client.delete(key)
