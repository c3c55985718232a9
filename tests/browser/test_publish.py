"""Publish as an operator uses it: who could hear a message, who received it, who says so, and who is silent."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.application import application
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.watch import Watch
from tests.programs import wait_until

PATH = "/caches/main/messages/new"
HOSTILE = "<img/src=x/onerror=alert(1)>"


def fill(page: Page, channel: str, keys: str, wait: str) -> None:
    page.get_by_label("Channel").fill(channel)
    page.get_by_label("Keys, one a line").fill(keys)
    page.get_by_label("Wait for acknowledgements").select_option(wait)


def test_keys_are_composed_published_acknowledged_and_a_silent_one_is_named(open_page: OpenPage, site: Site) -> None:
    channel = "test:<b>publish</b>"
    with (
        application(site.server, "shop-1", channel) as app,
        application(site.server, HOSTILE, channel, answers=False),
    ):
        page = open_page(PATH)
        expect(page.locator("#audience")).to_contain_text("No client has subscribed to this channel")
        fill(page, channel, "api:user:1\n\\xff", "for 10 s")
        expect(page.locator("#audience")).to_contain_text("2 clients have subscribed to this channel")
        page.locator("#audience summary").click()
        expect(page.locator("#audience table")).to_contain_text(HOSTILE)
        page.get_by_role("button", name="Publish").click()
        told = json.loads(app.next())
        assert (told["type"], told["keys"]) == ("keys", ["api:user:1", {"base64": "/w=="}])
        expect(page.locator("h1")).to_have_text(f"Message to {channel}")
        expect(page.get_by_role("table", name="Acknowledgements")).to_contain_text("shop-1")
        silent = page.get_by_role("table", name="Subscribed clients of which no acknowledgement came")
        expect(silent).to_contain_text(HOSTILE)
        expect(silent).not_to_contain_text("shop-1")
        expect(page.locator("#answer, .answer").first).to_contain_text("2 receivers. 1 acknowledgement, the slowest")
        expect(page.locator("#message-poll")).to_have_count(0)
        expect(page.get_by_role("heading", name="Subscribed, and silent", exact=True)).to_be_visible()
    assert page.locator("b, img").count() == 0


def test_raw_text_with_escapes_and_what_was_published_before(open_page: OpenPage, site: Site) -> None:
    with application(site.server, "shop-1", "test:raw") as app:
        page = open_page(f"{PATH}?channel=test:raw&form=text")
        page.get_by_label("Message", exact=True).fill("one\ntwo \\xff")
        page.get_by_label("It has escapes").check()
        page.get_by_label("Wait for acknowledgements").select_option("not at all")
        page.get_by_role("button", name="Publish").click()
        assert app.next() == b"one\ntwo \xff"
        expect(page.get_by_text("1 receiver.").first).to_be_visible()
        page.get_by_role("link", name="Publish another").click()
        expect(page.get_by_label("Channel")).to_have_value("test:raw")
        expect(page.get_by_role("table", name="Messages")).to_contain_text("raw text to test:raw")


def test_it_works_without_javascript(open_page: OpenPage, site: Site) -> None:
    with application(site.server, "shop-1", "test:plain") as app:
        page = open_page(f"{PATH}?channel=test:plain", java_script_enabled=False)
        expect(page.locator("#audience")).to_contain_text("1 client has subscribed to this channel")
        page.get_by_role("radio", name="Tags").check()
        page.get_by_label("Tags, one a line").fill("red\nblue")
        page.get_by_role("button", name="Publish").click()
        assert json.loads(app.next())["tags"] == ["red", "blue"]
        expect(page.locator("h1")).to_have_text("Message to test:plain")  # the form's own navigation is over

        def listed() -> bool:
            page.reload()
            return "1 acknowledgement" in page.locator(".answer").inner_text()

        wait_until(listed, "the acknowledgement is listed")


def test_a_mistake_comes_back_with_what_was_typed(open_page: OpenPage, watch: Watch) -> None:
    page = open_page(PATH)
    page.get_by_role("radio", name="Pattern").check()
    watch.expect_status(422)
    page.get_by_label("Channel").fill("c")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#form-error")).to_contain_text("The pattern is empty")
    expect(page.get_by_label("Channel")).to_have_value("c")
    expect(page.get_by_role("radio", name="Pattern")).to_be_checked()
