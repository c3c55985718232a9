"""A job as its operator sees it: at the foot of whatever page they are on, in the list, and ended by a click."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from dashboard.cache.selecting.selection import Selection
from dashboard.jobs.analysis_job import arguments
from dashboard.jobs.start import start
from dashboard.store import jobs
from dashboard.store.engine import Store, open_store
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.programs import wait_until

PLACES = "() => [...document.querySelectorAll('.strip-job .job-figure')].map((one) => one.getBoundingClientRect().x)"


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as opened:
        yield opened


@pytest.fixture
def long_one(store: Store) -> Iterator[Job]:
    """An analysis so gentle that it outlasts its test."""
    job = start(store, "haystack", "analysis", arguments(Selection(), 0.05), "otto", "local")
    yield job
    for one in jobs.running(store, "haystack"):
        jobs.request_cancel(store, one.id)
    wait_until(lambda: not jobs.running(store, "haystack"), "the jobs of this test end")


def strip(page: Page) -> Locator:
    return page.get_by_role("region", name="Running jobs")


def test_the_strip_moves_on_whatever_page_one_is_and_nothing_else_does(open_page: OpenPage, long_one: Job) -> None:
    page = open_page("/caches/haystack/keys?pattern=needle:*")
    expect(strip(page)).to_contain_text("Analysis of all keys")
    expect(strip(page)).to_contain_text(re.compile(r"of 600\s+k keys.* keys/s.* left", re.DOTALL))
    first = strip(page).locator(".job-done").inner_text()
    places = page.evaluate(PLACES)
    expect(strip(page).locator(".job-done")).not_to_have_text(first)
    assert page.evaluate(PLACES) == places
    expect(page.get_by_role("link", name="Jobs")).to_contain_text("1")
    page.get_by_role("link", name="Overview").click()
    expect(strip(page)).to_contain_text("Analysis of all keys")


def test_it_is_cancelled_from_the_strip_and_started_again_from_the_list(
    open_page: OpenPage, long_one: Job, store: Store
) -> None:
    page = open_page("/caches/haystack/keys?pattern=needle:*")
    expect(strip(page).locator(".job-done")).to_be_visible()
    strip(page).get_by_role("button", name="Cancel").click()
    expect(strip(page)).to_contain_text("cancelled")
    assert page.url.endswith("/caches/haystack/keys?pattern=needle:*")
    page.get_by_role("link", name="Jobs").click()
    row = page.locator(f"#job-{long_one.id}")
    expect(row).to_contain_text(re.compile(r"cancelled.* of 600\s+k keys in", re.DOTALL))
    row.get_by_role("button", name="Start again").click()
    expect(page.get_by_text("Started again as job")).to_be_visible()
    newest = jobs.newest(store, "haystack")[0]
    assert newest.id != long_one.id
    expect(page.locator(f"#job-{newest.id}")).to_contain_text("running")


def test_the_list_shows_the_end_by_itself_and_keeps_the_focus(open_page: OpenPage, store: Store) -> None:
    job = start(store, "haystack", "analysis", arguments(Selection(b"needle:*"), 1.0), "otto", "local")
    page = open_page("/caches/haystack/jobs")
    row = page.locator(f"#job-{job.id}")
    row.get_by_role("link", name="Analysis").focus()
    expect(row).to_contain_text("finished")
    expect(row).to_contain_text("3 keys counted in")
    expect(row.get_by_role("link", name="Analysis")).to_be_focused()


def test_a_viewer_sees_it_and_cannot_end_it(open_page: OpenPage, long_one: Job) -> None:
    page = open_page("/caches/haystack/keys?pattern=needle:*", Role.VIEWER)
    expect(strip(page).locator(".job-done")).to_be_visible()
    expect(strip(page).get_by_role("button")).to_have_count(0)


def test_without_javascript_one_still_cancels(open_page: OpenPage, long_one: Job) -> None:
    page = open_page("/caches/haystack/jobs", java_script_enabled=False)
    page.locator(f"#job-{long_one.id}").get_by_role("button", name="Cancel").click()
    # It has ended, or is about to.
    expect(page.get_by_text(re.compile(f"Job {long_one.id} is|Asked job {long_one.id} to stop"))).to_be_visible()
