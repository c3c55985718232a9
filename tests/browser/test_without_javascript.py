"""Without JavaScript: one can still sign in, find keys and read one."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, sign_in
from tests.browser.keyspace import SHOWN


def test_one_signs_in_lists_keys_and_reads_one(open_page: OpenPage) -> None:
    page = open_page("/login", None, java_script_enabled=False)
    sign_in(page, "otto")
    expect(page.locator("h1")).to_have_text("Overview")
    expect(page.get_by_role("list", name="Findings")).to_be_visible()
    page.get_by_role("link", name="Keys", exact=True).click()
    page.get_by_label("Pattern").fill("sess:*")
    page.get_by_role("button", name="Search").click()
    rows, further = page.locator("#key-rows tr"), page.get_by_role("button", name="Search on")
    expect(rows.or_(further).first).to_be_visible()
    while not rows.count():  # a busy machine may not get far within the time of a page
        further.click()
        expect(rows.or_(further).first).to_be_visible()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name=SHOWN["hash"].decode()).click()
    expect(page.locator("#value")).to_contain_text("b1946ac9")
    page.get_by_role("link", name="Hex").click()
    expect(page.locator("#value")).to_contain_text("62 31 39 34")
    page.get_by_role("link", name="Back to the list").click()
    expect(page.get_by_label("Pattern")).to_have_value("sess:*")
    page.get_by_role("link", name="Audit").click()
    expect(page.locator("h1")).to_have_text("Audit")
