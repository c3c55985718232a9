"""The overview moves by itself, and says so when it does not."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site

CHARTS = ("ops", "hit_ratio", "memory", "evictions", "clients")
COLOURED = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const inks = [data[at], data[at + 1], data[at + 2]];
    if (data[at + 3] && Math.max(...inks) - Math.min(...inks) > 40) found += 1;
  }
  return found;
}"""


@pytest.fixture
def traffic(site: Site) -> Iterator[None]:
    """Reads that hit and miss, and writes, until the test is over."""
    over = threading.Event()

    def drive() -> None:
        with site.client("main") as client:
            number = 0
            while not over.wait(0.002):
                number += 1
                client.get(f"api:user:{number % 900}")
                client.set("own:traffic", number, ex=60)

    thread = threading.Thread(target=drive)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def silent_worker(site: Site) -> Iterator[int]:
    """The worker's process, which goes on at the end of the test whatever has happened."""
    yield site.worker.pid
    os.kill(site.worker.pid, signal.SIGCONT)


def tile(page: Page, label: str) -> Locator:
    return page.locator(".tile").filter(has_text=label).locator(".tile-value")


def test_it_opens_with_findings_in_words_and_figures(open_page: OpenPage) -> None:
    page = open_page("/caches/fragile/")
    findings = page.get_by_role("list", name="Findings")
    expect(findings).to_contain_text("maxmemory")
    expect(tile(page, "Keys")).to_have_text(re.compile(r"1\sk"))
    expect(page.locator("#answer")).not_to_be_empty()


def test_figures_and_charts_change_without_a_reload(open_page: OpenPage, traffic: None) -> None:
    page = open_page("/caches/main/")
    page.evaluate("window.notReloaded = true")
    operations, sampled = tile(page, "Operations"), page.locator("#live time")
    first, first_time = operations.inner_text(), sampled.inner_text()
    expect(sampled).not_to_have_text(first_time)
    expect(operations).not_to_have_text(first)
    for chart in CHARTS:
        figure = page.locator(f"figure[data-chart={chart}]")
        expect(figure.locator("canvas")).to_be_visible()
        expect(figure.locator(".chart-now")).not_to_be_empty()
    expect(page.locator(".charts-note")).to_contain_text("Live")
    assert page.locator("figure[data-chart=ops] canvas").evaluate(COLOURED) > 50
    assert page.locator("figure[data-chart=memory] canvas").evaluate(COLOURED) > 50
    assert page.evaluate("window.notReloaded")


def test_a_chart_can_be_read_as_a_table(open_page: OpenPage, traffic: None) -> None:
    page = open_page("/caches/main/")
    figure = page.locator("figure[data-chart=ops]")
    figure.get_by_text("As a table").click()
    expect(figure.locator("tbody tr").first).to_contain_text("ops/s")


def test_it_says_stale_when_the_worker_is_silent_and_recovers(open_page: OpenPage, silent_worker: int) -> None:
    page = open_page("/caches/main/")
    expect(page.locator(".charts-note")).to_contain_text("Live")
    os.kill(silent_worker, signal.SIGSTOP)
    expect(page.locator("#live [data-stale-note]")).to_contain_text("Stale")
    expect(page.locator("#live").get_by_text("worker")).to_be_visible()
    expect(page.locator(".charts-note")).to_contain_text("Stale")
    os.kill(silent_worker, signal.SIGCONT)
    expect(page.locator("#live [data-stale-note]")).to_contain_text("Sampled")
    expect(page.locator(".charts-note")).to_contain_text("Live")


def test_a_cluster_has_a_row_for_each_primary_and_the_total(open_page: OpenPage) -> None:
    page = open_page("/caches/shards/")
    nodes = page.get_by_role("table", name="Primaries")
    expect(nodes.locator("tbody tr")).to_have_count(3)
    expect(nodes.locator("tfoot")).to_contain_text("Total of 3")
    expect(nodes.locator("tfoot")).to_contain_text("600")
    nodes.locator("tbody tr").first.get_by_role("link").click()
    expect(page.get_by_role("link", name="All primaries")).to_be_visible()


def test_the_range_of_the_charts_stands_in_the_address(open_page: OpenPage) -> None:
    page = open_page("/caches/main/")
    page.get_by_role("navigation", name="Range of the charts").get_by_role("link").nth(1).click()
    expect(page).to_have_url(re.compile("minutes="))
    page.reload()
    expect(page.get_by_role("navigation", name="Range of the charts").get_by_role("link").nth(1)).to_have_attribute(
        "aria-current", "page"
    )


def test_a_finding_leads_to_the_keys_it_speaks_of(open_page: OpenPage, site: Site) -> None:
    page = open_page("/caches/shards/")
    link = page.get_by_role("link", name="Keys without TTL")
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_label("TTL")).to_have_value("none")
