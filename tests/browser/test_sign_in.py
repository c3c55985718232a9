"""Signing in and out, as a person does it."""

from __future__ import annotations

import contextlib
import re

from playwright.sync_api import expect

from dashboard.store import operators
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage, sign_in
from tests.browser.site import PASSWORD, Site
from tests.browser.watch import Watch

NOBODY = None


def test_a_wrong_password_is_refused_without_saying_what_was_wrong(open_page: OpenPage, watch: Watch) -> None:
    watch.expect_status(401, 422)
    page = open_page("/login", NOBODY)
    said = []
    for name in ("otto", "nobody-of-that-name"):
        with page.expect_navigation():
            sign_in(page, name, "not the password")
        said.append(page.get_by_role("alert").inner_text())
        expect(page.get_by_label("Name")).to_have_value(name)
    assert said[0] == said[1]
    assert "otto" not in said[0]


def test_the_right_password_leads_to_the_overview(open_page: OpenPage) -> None:
    page = open_page("/login", NOBODY)
    sign_in(page, "otto")
    expect(page.locator("h1")).to_have_text("Overview")
    expect(page.locator(".who-name")).to_have_text("otto")


def test_signing_in_leads_on_to_the_page_that_was_asked_for(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys?pattern=api:user:1*", NOBODY)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "otto")
    expect(page).to_have_url(re.compile(r"/caches/main/keys\?pattern=api(:|%3A)user(:|%3A)1"))


def test_signing_in_never_leads_to_another_site(open_page: OpenPage, watch: Watch) -> None:
    for target in ("https://example.org/", "/\\example.org"):
        page = open_page(f"/login?next={target}", NOBODY)
        sign_in(page, "otto")
        expect(page.locator("h1")).to_have_text("Overview")
        assert page.url.startswith(watch.origin), target


def test_after_logging_out_the_pages_are_closed(open_page: OpenPage, site: Site) -> None:
    # An operator of this test alone: signing out ends all their sessions.
    with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as store:
        operators.add(store, "lara", PASSWORD, Role.VIEWER)
    page = open_page("/login", NOBODY)
    sign_in(page, "lara")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/audit")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
