"""The Lab in the browser: it moves by itself, what is turned shows at once, and a demo that leaves comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site, web
from tests.browser.test_overview import COLOURED, tile
from tests.browser.watch import Watch
from tests.lab.bench import NOW, Bench, serving
from tests.servers import HOST, free_port


@pytest.fixture
def bench(site: Site) -> Bench:
    """The one that the site's Lab shows, as it was at the beginning."""
    Bench.__init__(site.bench)
    return site.bench


def scenario(page: Page, title: str) -> Locator:
    return page.locator(".scenario").filter(has_text=title)


def knob(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=re.compile(f"^{name}"))


def stays(page: Page) -> None:
    """From now on it is known whether the page is loaded anew."""
    page.evaluate("window.notReloaded = true")


def stayed(page: Page) -> bool:
    return bool(page.evaluate("window.notReloaded"))


def test_figures_and_charts_change_without_a_reload(open_page: OpenPage, bench: Bench) -> None:
    page = open_page("/lab", Role.VIEWER)
    stays(page)
    expect(tile(page, "Hit ratio")).to_contain_text("93.1")
    expect(page.locator(".charts-note")).to_contain_text("Live")
    assert page.locator("figure[data-chart=latency] canvas").evaluate(COLOURED) > 50
    bench.now.update(hit_ratio=0.42, stale_reads=1.5, stale_total=9)
    expect(tile(page, "Hit ratio")).to_contain_text("42.0")
    expect(page.locator("#answer")).to_contain_text("Reads are stale: 1.5/s.")
    expect(page.locator(".tile-warn").filter(has_text="Stale reads")).to_contain_text("9 so far")
    assert stayed(page)


def test_what_one_turns_all_see(open_page: OpenPage, bench: Bench) -> None:
    mine, theirs = open_page("/lab"), open_page("/lab", Role.VIEWER)
    stays(mine)
    stays(theirs)
    knob(mine, "Write-behind").check()
    mine.get_by_role("checkbox", name=re.compile("^Jitter")).uncheck()
    mine.get_by_role("button", name="Apply").click()
    expect(mine.locator("#results")).to_contain_text("Turned: pattern Write-behind, Jitter off.")
    expect(mine.locator("#answer")).to_contain_text("Write-behind")
    assert bench.asked == [("PUT", "/bench/knobs", {"pattern": "write-behind", "jitter": False})]
    expect(knob(theirs, "Write-behind")).to_be_checked()
    expect(theirs.get_by_role("checkbox", name=re.compile("^Jitter"))).not_to_be_checked()
    assert stayed(mine)
    assert stayed(theirs)


def test_what_was_touched_here_follows_what_others_turn(open_page: OpenPage, bench: Bench) -> None:
    page = open_page("/lab")
    latency, copies = page.get_by_label("Extra query time"), page.get_by_role("checkbox", name=re.compile("^Copies"))
    knob(page, "Read-through").check()
    copies.uncheck()
    latency.fill("20")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#results")).to_contain_text("Turned: pattern Read-through, Copies in the process off")
    expect(page.get_by_role("button", name="Apply")).to_be_focused()
    bench.knobs.update(pattern="write-through", latency_ms=7.0, copies=True)
    expect(knob(page, "Write-through")).to_be_checked()
    expect(latency).to_have_value("7")
    expect(copies).to_be_checked()
    bench.knobs["pattern"] = "read-through"
    expect(knob(page, "Read-through")).to_be_checked()
    bench.asked.clear()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#results")).to_contain_text("Nothing was turned")
    assert bench.asked == []


def test_a_choice_that_is_not_sent_yet_is_not_lost_by_polling(open_page: OpenPage, bench: Bench) -> None:
    page = open_page("/lab")
    bench.knobs["latency_ms"] = 33.0
    expect(page.get_by_label("Extra query time")).to_have_value("33")  # drawn anew, once
    for ratio in (0.5, 0.6):
        knob(page, "XFetch").check()
        bench.now["hit_ratio"] = ratio
        expect(tile(page, "Hit ratio")).to_contain_text(f"{ratio * 100:.1f}")
        expect(knob(page, "XFetch")).to_be_checked()


def test_a_refusal_is_an_alert_and_the_page_stays(open_page: OpenPage, bench: Bench, watch: Watch) -> None:
    watch.expect_status(409)
    page = open_page("/lab")
    bench.refusal = 409, "a comparison is running"
    scenario(page, "Mass expiry").get_by_role("button").click()
    expect(page.locator("#alerts")).to_contain_text("The demo will not: a comparison is running.")
    expect(knob(page, "Cache-aside")).to_be_visible()


def test_a_scenario_counts_down_and_can_be_ended(open_page: OpenPage, bench: Bench) -> None:
    page = open_page("/lab")
    scenario(page, "Cache outage").get_by_role("button", name="Start").click()
    running = page.locator(".scenario.is-running")
    expect(running).to_contain_text("Cache outage")
    left = running.locator("[data-expires-at]")
    expect(left).to_have_text(re.compile(r"^0:\d\d$"))
    first = left.inner_text()
    expect(left).not_to_have_text(first)
    running.get_by_role("button", name="End").click()
    expect(page.locator(".scenario.is-running")).to_contain_text("Steady")
    assert [sent for _, _, sent in bench.asked] == [{"name": "outage"}, {"name": "steady"}]


def test_a_comparison_fills_its_table_while_it_runs(open_page: OpenPage, bench: Bench) -> None:
    page = open_page("/lab")
    stays(page)
    page.get_by_role("button", name="Compare 4 patterns").click()
    rows = page.locator(".lab-rows tbody tr")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(rows).to_have_count(2)
    expect(page.get_by_role("button", name="Apply")).to_have_count(0)
    bench.finish()
    expect(rows).to_have_count(4)
    expect(page.locator(".lab-figure")).to_have_count(6)
    expect(page.locator("#lab-comparison")).to_contain_text("All four ran to their end.")
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    assert stayed(page)


def test_one_goes_there_by_the_keyboard(open_page: OpenPage, bench: Bench) -> None:
    page = open_page("/audit")
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page.locator("h1")).to_have_text("Lab")


def test_without_javascript_knobs_are_turned_and_figures_read(open_page: OpenPage, bench: Bench) -> None:
    page = open_page("/lab", java_script_enabled=False)
    expect(tile(page, "Hit ratio")).to_contain_text("93.1")
    knob(page, "Mutex").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#results")).to_contain_text("Turned: prevention Mutex.")
    expect(knob(page, "Mutex")).to_be_checked()
    scenario(page, "Flash sale").get_by_role("button").click()
    expect(page.locator(".scenario.is-running")).to_contain_text("Flash sale")


@pytest.fixture
def elsewhere(site: Site) -> Iterator[tuple[str, int]]:
    """Another web process on the same data, and the port of its demo, where nobody listens yet."""
    port, demo = free_port(), free_port()
    more = {"CACHEDECK_PORT": str(port), "CACHEDECK_DEMO_URL": f"http://{HOST}:{demo}"}
    with web(site.settings | more):
        yield f"http://{HOST}:{port}", demo


def test_a_demo_that_leaves_and_comes_back(elsewhere: tuple[str, int], open_page: OpenPage, watch: Watch) -> None:
    url, port = elsewhere
    watch.origin = url
    own = Bench()
    page = open_page("/lab", base_url=url)
    expect(page.locator("#lab-live")).to_contain_text("The demo does not answer.")
    expect(page.locator(".scenario")).to_have_count(0)
    with serving(own, port):
        expect(page.locator(".scenario")).to_have_count(6)
        expect(tile(page, "Hit ratio")).to_contain_text("93.1")
        stays(page)
    expect(page.locator("#lab-live")).to_contain_text("The demo does not answer.")
    expect(page.locator(".charts-note")).to_contain_text("The demo does not answer.")
    expect(page.locator(".scenario")).to_have_count(6)
    own.now = NOW | {"hit_ratio": 0.77}
    with serving(own, port):
        expect(tile(page, "Hit ratio")).to_contain_text("77.0")
        expect(page.locator(".charts-note")).to_contain_text("Live")
        assert stayed(page)


def test_a_demo_whose_clock_is_wrong_is_live_all_the_same(open_page: OpenPage, bench: Bench) -> None:
    ahead = 3600.0
    told = bench.series()
    bench.over = {
        "at": time.time() + ahead,
        "series": told | {"at": [at + ahead for at in told["at"] if at is not None]},
        "scenario": {"name": "outage", "sentence": "", "since": 0, "ends": time.time() + ahead + 50},
    }
    page = open_page("/lab")
    expect(page.locator(".charts-note")).to_contain_text("Live")
    expect(page.locator(".scenario.is-running [data-expires-at]")).to_have_text(re.compile(r"^0:\d\d$"))
