"""Expiry in the browser: an analysis that is watched, and the way from a cliff to its smoothed state."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site

STATUS = "#analysis-status"
AHEAD = 20 * 60
HERD = 3_000


@pytest.fixture
def herd(site: Site) -> Iterator[float]:
    """3,000 keys of one namespace that expire at one instant amid 9,000 jittered ones; gives that instant."""
    dice, now = random.Random(7), time.time()
    at = float(round(now) + AHEAD)
    with closing(site.client("herd")) as client:
        client.flushdb()
        pipe = client.pipeline(transaction=False)
        for number in range(HERD):
            pipe.set(f"api:feed:{number}", "x" * 80, pxat=round((at + 0.5) * 1000))
            pipe.set(f"api:feed:{number + HERD}", "x" * 80, px=round(dice.uniform(60, 2 * AHEAD) * 1000))
            pipe.set(f"api:user:{number}", "y" * 40, px=round(dice.uniform(60, 3 * AHEAD) * 1000))
            pipe.set(f"sess:{number}", "z" * 20, px=round(dice.uniform(60, 3 * AHEAD) * 1000))
        pipe.execute()
    yield at
    with closing(site.client("herd")) as client:
        client.flushdb()


def analyse(page: Page) -> None:
    """Start an analysis and watch it until all keys were examined."""
    page.locator(STATUS).get_by_role("button", name=re.compile("Analyse|Start again")).click()
    expect(page.locator(STATUS)).to_contain_text("Exact,")


def test_from_a_planted_cliff_to_its_smoothed_state(open_page: OpenPage, site: Site, herd: float) -> None:
    zone = "Asia/Tokyo"
    page = open_page("/caches/herd/expiry", timezone_id=zone)
    analyse(page)
    cliff = page.locator("#cliffs .finding-warning")
    expect(cliff).to_have_count(1)
    expect(cliff).to_contain_text(re.compile(r"3.00\d keys of api:feed:\* expire within \d.s at"))
    told = [f"{datetime.fromtimestamp(herd + late, ZoneInfo(zone)):%H:%M:%S}" for late in (-1, 0, 1)]
    assert cliff.locator("time").inner_text() in told
    expect(page.locator("#answer")).to_contain_text("keys of api:feed:* expire within")

    cliff.get_by_role("link", name="Spread these").click()
    page.get_by_role("button", name=re.compile("[Dd]ry run")).click()
    expect(page.locator(".retiming-said")).to_contain_text(re.compile(r"3.00\d keys of 3.00\d selected would be"))
    page.get_by_role("button", name=re.compile(r"Retime 3.00\d keys")).click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile(r"Retime 3.00\d keys")).click()
    expect(page.locator(".retiming-said")).to_contain_text(re.compile(r"3.00\d keys were"))
    expect(page.get_by_role("link", name="Back to Expiry")).to_be_visible()
    with closing(site.client("herd")) as client:
        left = [client.pexpiretime(f"api:feed:{number}") / 1000 - herd for number in range(HERD)]
    assert min(left) >= -302
    assert max(left) <= 302
    assert max(left) - min(left) > 500

    page.get_by_role("link", name="Back to Expiry").click()
    expect(page.locator("#cliffs .finding")).to_contain_text("by otto: analyse again")  # it is of the analysis before
    expect(page.locator("#cliffs")).not_to_contain_text("Spread")
    analyse(page)
    expect(page.locator("#cliffs .finding-ok")).to_contain_text("No cliff")
    expect(page.locator("#cliffs .finding-warning")).to_have_count(0)


def test_figures_narrow_while_one_watches_and_what_one_opened_stays_open(open_page: OpenPage) -> None:
    page = open_page("/caches/haystack/expiry")
    page.locator(STATUS).get_by_role("button", name="Analyse").click()
    status = page.locator(STATUS)
    expect(status).to_contain_text("keys examined")
    height = status.bounding_box()
    page.get_by_text("What this counts").click()
    expect(page.locator("#distribution")).to_contain_text("600")
    expect(status).to_contain_text("Exact, 600", timeout=120_000)
    expect(page.locator(".analysis-more[open]")).to_contain_text("All keys were examined")
    expect(page.locator("#analysis-poll")).to_have_count(0)
    expect(page.locator("#distribution tbody tr").last).to_contain_text("exact")
    page.get_by_text("What this counts").click()
    after = status.bounding_box()
    assert height
    assert after
    assert after["height"] == height["height"]


def test_cancelled_it_keeps_what_it_had_found(open_page: OpenPage) -> None:
    page = open_page("/caches/haystack/expiry?pattern=hay:*")
    page.locator("select[name=share]").select_option("0.25")
    page.locator(STATUS).get_by_role("button", name="Analyse these keys").click()
    expect(page.locator("#forecast")).to_be_visible()
    page.locator(STATUS).get_by_role("button", name="Cancel").click()
    expect(page.locator(STATUS)).to_contain_text("cancelled")
    expect(page.locator(STATUS)).to_contain_text("Estimated from")
    expect(page.locator(STATUS).get_by_role("button", name="Start again")).to_be_visible()
    expect(page.locator("#distribution")).to_be_visible()


def test_without_javascript_it_is_started_and_seen_by_loading_again(open_page: OpenPage, herd: float) -> None:
    page = open_page("/caches/herd/expiry?pattern=sess:*", java_script_enabled=False)
    page.locator(STATUS).get_by_role("button", name="Analyse these keys").click()
    expect(page.locator("h1")).to_have_text("Expiry")
    deadline = time.monotonic() + 120
    while "Exact," not in page.locator(STATUS).inner_text() and time.monotonic() < deadline:
        page.reload()
    expect(page.locator(STATUS)).to_contain_text(re.compile(r"Exact, 3.000 keys of 12.000 examined"))


def test_two_letters_lead_to_it_with_the_keys_of_a_bucket_one_click_away(open_page: OpenPage, herd: float) -> None:
    page = open_page("/caches/herd/", Role.OPERATOR)
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page.locator("h1")).to_have_text("Expiry")
    if page.locator(".empty").count():
        analyse(page)
    page.locator("#distribution").get_by_role("link", name="15 min to 1 h").click()
    expect(page.locator("h1")).to_have_text("Keys")
    expect(page.get_by_label("TTL")).to_have_value("900-3600")
    expect(page.locator("#key-rows [data-row-link]").first).to_be_visible()
