"""A real Chromium in front of a real Cachedeck: one of each per test session and process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard.store.operators import Role
from tests.browser import site as sites
from tests.browser.axe import AXE
from tests.browser.site import NAMES, PASSWORD, Site
from tests.browser.watch import Watch

PATIENCE_MS = 120_000  # the machine that runs this may be busy; nothing waits longer than it must
SHOTS = Path(__file__).with_name("shots")
ARGUMENTS = """--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update
--disable-sync --hide-scrollbars""".split()

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: Any = yield
    if report.when == "call" and report.failed:
        item.stash[_FAILED] = True
    return report


_FAILED = pytest.StashKey[bool]()


def find_chromium() -> str:
    """The path of a Chromium on this machine, or ''."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def _lacking(what: str, how: str) -> None:
    if os.environ.get("CACHEDECK_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what}, and CACHEDECK_REQUIRE_BROWSER=1 asks for it. {how}")
    pytest.skip(f"{what}. {how}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if not executable:
        _lacking("No Chromium on this machine", "To run the browser tests: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    expect.set_options(timeout=PATIENCE_MS)
    with sites.site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def axe(browser: Browser) -> str:
    """The source of axe-core."""
    if not AXE.is_file():
        _lacking("axe-core is not installed", "To check for accessibility: make test, or npm ci --include=dev")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def _signed_in(browser: Browser, site: Site) -> Callable[[Role], Any]:
    """The cookies of an operator, from one sign-in by the form for each role."""
    known: dict[Role, Any] = {}

    def cookies(role: Role) -> Any:
        if role not in known:
            context = browser.new_context(base_url=site.url)
            page = context.new_page()
            sign_in(page, NAMES[role])
            expect(page.locator("h1")).to_have_text("Overview")
            known[role] = context.storage_state()
            context.close()
        return known[role]

    return cookies


@pytest.fixture
def watch(site: Site) -> Watch:
    return Watch(site.url)


@pytest.fixture
def open_page(
    request: pytest.FixtureRequest, browser: Browser, site: Site, watch: Watch, _signed_in: Callable[[Role], Any]
) -> Iterator[OpenPage]:
    """`open_page("/path", role)` is a page in a browser of its own; role None is nobody. More is for the context."""
    contexts = []

    def make(path: str, role: Role | None = Role.OPERATOR, **options: Any) -> Page:
        options.setdefault("base_url", site.url)
        options.setdefault("viewport", {"width": 1280, "height": 800})
        if role is not None:
            options["storage_state"] = _signed_in(role)
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        watch.over(context, scripts=options.get("java_script_enabled", True))
        page = context.new_page()
        page.goto(path)
        return page

    yield make
    if request.node.stash.get(_FAILED, False):
        SHOTS.mkdir(exist_ok=True)
        for number, page in enumerate(watch.pages):
            if not page.is_closed():
                page.screenshot(path=SHOTS / f"{request.node.name.replace('/', '_')}-{number}.png")
    try:
        watch.verify()
    finally:
        for context in contexts:
            context.close()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in and send the form, from whatever page leads to it."""
    if "/login" not in page.url:
        page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
