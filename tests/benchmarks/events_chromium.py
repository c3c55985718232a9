"""A console in Chromium: how many frames a second its tab draws while messages come."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, find_chromium, sign_in

SECONDS = 10
_FRAMES = """(seconds) => new Promise((resolve) => {
  let frames = 0;
  const begun = performance.now();
  const next = (now) => {
    if (now - begun >= seconds * 1000) resolve(frames * 1000 / (now - begun));
    else { frames += 1; requestAnimationFrame(next); }
  };
  requestAnimationFrame(next);
})"""


def frames(base: str, password: str, path: str, begin: Callable[[], subprocess.Popen[str]]) -> tuple[float, float, str]:
    """(frames a second while nothing comes, while what `begin` starts goes on, what the page says it has shown)."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = browser.new_context(base_url=base, viewport={"width": 1280, "height": 800}).new_page()
        sign_in(page, "bench", password)
        expect(page.locator("h1")).to_have_text("Overview", timeout=60_000)
        page.goto(path)
        expect(page.locator("[data-event-state]")).to_have_text("live", timeout=60_000)
        still = page.evaluate(_FRAMES, 3)
        publishing = begin()
        expect(page.locator("#event-rows > li").first).to_be_visible(timeout=60_000)
        page.wait_for_timeout(2000)
        busy = page.evaluate(_FRAMES, SECONDS)
        counts = page.locator("#event-counts").inner_text()
        publishing.communicate(timeout=600)
        browser.close()
        return still, busy, " ".join(counts.split())
