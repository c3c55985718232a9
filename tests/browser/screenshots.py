"""The pictures of the README: `python -m tests.browser.screenshots`, into docs/images.

Starts `cachedeck up`, lets its traffic run until the charts are filled (`--minutes`), makes a few changes
as an operator would, and takes the pictures. With `--url` and `--password` it takes them of one that runs.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard.views.jobs.job_words import AFTERGLOW_SECONDS
from tests.browser.conftest import ARGUMENTS, find_chromium, sign_in
from tests.programs import CACHEDECK, ROOT, environment, running
from tests.servers import HOST, free_port

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
LARGEST = 250_000  # bytes of a picture
CACHE = "/caches/demo"


@dataclass(frozen=True)
class Running:
    """A `cachedeck up` and its first operator's password."""

    url: str
    password: str


@contextlib.contextmanager
def up(minutes: float) -> Iterator[Running]:
    """One of our own, whose traffic has run for so long."""
    with tempfile.TemporaryDirectory(prefix="cachedeck-pictures-") as data:
        port = str(free_port())
        with running([*CACHEDECK, "up"], environment(Path(data), CACHEDECK_PORT=port)) as process:
            said = process.has_said("with the password", 120)
            password = re.search(r"with the password\s+(\S+)", said)
            assert password
            time.sleep(minutes * 60)
            yield Running(f"http://{HOST}:{port}", password.group(1))


def take(browser: Browser, at: Running, only: str = "") -> None:
    """All pictures, in light or dark as their names say; or those of one screen that needs nothing of the others.

    The overview comes first: what is done for the other pictures can be seen in its charts.
    """
    context = browser.new_context(base_url=at.url, viewport=SIZE, color_scheme="light")
    light = context.new_page()
    sign_in(light, "admin", at.password)
    expect(light.locator("h1")).to_have_text("Overview")
    dark = browser.new_context(
        base_url=at.url, viewport=SIZE, color_scheme="dark", storage_state=context.storage_state()
    ).new_page()
    if only:
        ALONE[only](dark)
        return
    overview(light, "light")
    overview(dark, "dark")
    change_something(light)
    keys(light)
    audit(light)
    key(dark)
    analyse(light)
    expiry(light)
    memory(dark)
    invalidation(light)
    eviction(light)
    events(dark)
    lab(dark)


def change_something(page: Page) -> None:
    """Entries for the audit trail: a TTL, jitter, a removal."""
    open_key(page, "api:search:*")
    page.get_by_role("button", name="Set TTL…").click()
    page.get_by_label("Expires in").fill("15m")
    page.get_by_label("Reason").first.fill("search is slow today")
    page.get_by_role("button", name="Set the TTL of 1 key").click()
    expect(page.locator("#results")).to_contain_text("Expires in")
    open_key(page, "api:product:*")
    page.get_by_role("button", name="Add jitter…").click()
    page.get_by_role("button", name="Add jitter to 1 key").click()
    expect(page.locator("#results")).to_contain_text("Expires in")
    open_key(page, "api:user:*:posts")
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("wrong posts, ticket 4711")
    page.get_by_role("button", name="Remove 1 key").click()
    expect(page.locator("#results")).to_contain_text("Removed 1 key")


def open_key(page: Page, pattern: str) -> None:
    page.goto(f"{CACHE}/keys?pattern={pattern}")
    page.locator("#key-rows [data-row-link]").first.click()
    expect(page.locator("#value")).to_be_visible()


def overview(page: Page, scheme: str) -> None:
    page.goto(f"{CACHE}/")
    expect(page.locator(".charts-note")).to_contain_text("Live")
    shoot(page, f"overview-{scheme}")


def keys(page: Page) -> None:
    page.goto(f"{CACHE}/keys?pattern=api:*")
    tree = page.get_by_role("navigation", name="Namespaces")
    api = tree.locator("li").filter(has=page.get_by_role("link", name="api", exact=True)).first
    api.locator("summary").first.click()
    expect(api.get_by_role("link", name="user", exact=True)).to_be_visible()
    shoot(page, "keys-light")


def key(page: Page) -> None:
    open_key(page, "api:user:*:posts")
    shoot(page, "key-dark")


def analyse(page: Page) -> None:
    """One analysis of all keys, to its end: Expiry and Memory draw the same one."""
    page.goto(f"{CACHE}/expiry")
    page.get_by_role("button", name=re.compile("^Analyse ")).click()
    expect(page.locator("#analysis-status")).to_contain_text("Exact", timeout=60_000)


def expiry(page: Page) -> None:
    page.goto(f"{CACHE}/expiry")
    expect(page.locator("#analysis-status")).to_contain_text("Exact")
    shoot(page, "expiry-light")


def memory(page: Page) -> None:
    page.goto(f"{CACHE}/memory")
    expect(page.locator("#analysis-status")).to_contain_text("Exact")
    shoot(page, "memory-dark")


def invalidation(page: Page) -> None:
    """A plan, with the way chosen and nothing carried out."""
    page.goto(f"{CACHE}/invalidations?pattern=api:search:*")
    page.get_by_role("button", name="Make a plan", exact=True).click()
    expect(page.locator(".invalidation-said")).to_contain_text("exact", timeout=60_000)
    page.get_by_role("radio", name="Gently").check()
    page.get_by_label("Reason").fill("prices were wrong, ticket 4711")
    page.wait_for_timeout(AFTERGLOW_SECONDS * 1000 + 3000)  # the strip tells of the jobs before, and takes its place
    page.get_by_role("heading", level=1).scroll_into_view_if_needed()
    shoot(page, "invalidation-light")


def eviction(page: Page) -> None:
    page.goto(f"{CACHE}/eviction")
    expect(page.locator("main")).to_contain_text("Keys drawn")
    shoot(page, "eviction-light")


def events(page: Page) -> None:
    """Invalidations as the shop tells them, and keys that expire, are evicted and tracked."""
    page.goto(f"{CACHE}/events?channel=invalidate&tracking=api:*")
    rows = page.locator("#event-rows > li")
    expect(page.locator("[data-event-state]")).to_have_text("live", timeout=60_000)
    expect(rows.filter(has_text="keys").first).to_be_visible(timeout=120_000)
    page.wait_for_timeout(60_000)  # the line of the last minute fills
    shoot(page, "events-dark")


def lab(page: Page) -> None:
    """A mass expiry without jitter, on a database that takes its time: what it is that jitter prevents."""
    page.goto("/lab")
    page.get_by_label("Extra query time").fill("5")
    page.get_by_role("checkbox", name=re.compile("^Jitter")).uncheck()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#results")).to_contain_text("Jitter off")
    page.wait_for_timeout(30_000)
    page.locator(".scenario").filter(has_text="Mass expiry").get_by_role("button").click()
    expect(page.locator(".scenario.is-running")).to_contain_text("ends in", timeout=60_000)
    page.wait_for_timeout(70_000)
    page.locator("#results").get_by_role("button", name="Dismiss").click()
    page.get_by_role("heading", level=1).scroll_into_view_if_needed()
    shoot(page, "lab-dark")


def audit(page: Page) -> None:
    page.goto("/audit")
    page.locator("tbody tr").filter(has_text="key.ttl").first.locator("summary").click()
    shoot(page, "audit-light")


ALONE = {"events": events, "lab": lab}


def shoot(page: Page, name: str) -> None:
    """Take one picture when everything on the page has come."""
    if page.locator("#health").count():
        expect(page.locator("#health .badge")).to_have_count(1)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    assert size < LARGEST, f"{path} has {size} bytes"
    print(f"{path.relative_to(ROOT)}  {size // 1000} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="how long the traffic runs before")
    parser.add_argument("--url", help="of a `cachedeck up` that runs already")
    parser.add_argument("--password", default="", help="of its operator admin")
    parser.add_argument("--only", choices=sorted(ALONE), default="", help="the picture of this screen alone")
    chosen = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    known = contextlib.nullcontext(Running(chosen.url, chosen.password)) if chosen.url else up(chosen.minutes)
    with sync_playwright() as playwright, known as at:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        take(browser, at, chosen.only)
        browser.close()


if __name__ == "__main__":
    main()
