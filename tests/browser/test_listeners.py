"""Who listens, and notifications for a while, as an operator and an administrator see them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from dashboard.store import trials
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.cache.listening import limited, raw, swamped
from tests.servers import Server

SETTING = "notify-keyspace-events"
PATH = "/caches/fragile/notifications"


def flags(server: Server) -> set[str]:
    with server.client(decode_responses=True) as client:
        return set(client.config_get(SETTING)[SETTING])


@pytest.fixture
def fragile(site: Site) -> Iterator[Server]:
    """A server that tells of nothing, and has its own limits again when the test is over."""
    with site.fragile.client(decode_responses=True) as client:
        before = client.config_get("client-output-buffer-limit")["client-output-buffer-limit"]
        client.config_set(SETTING, "")
        yield site.fragile
        with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as store:
            for trial in trials.open_on(store, ["fragile"]):
                trials.go(store, trial, "kept", why="The test is over.")
        client.config_set(SETTING, "")
        limited(client, before)


def test_a_reader_that_is_too_slow_is_named_with_its_share_while_one_looks(
    fragile: Server, open_page: OpenPage
) -> None:
    with fragile.client() as client:
        limited(client, "pubsub 20mb 0 0")
    with raw(fragile, "<i>slow</i>", ("SUBSCRIBE", "feed")), raw(fragile, "app", ("SUBSCRIBE", "other")):
        page = open_page("/caches/fragile/listeners")
        rows = page.locator("#listener-rows tbody tr")
        expect(page.locator("#answer")).to_contain_text("2 clients listen to channels; none is near the limit")
        swamped(fragile, "feed", 17 * 1024**2)
        expect(page.locator("#answer")).to_contain_text("% of the limit at which the server drops it.")
        expect(rows.first).to_contain_text("<i>slow</i>")
        expect(rows.first).to_contain_text("in danger")
        expect(rows.first).to_contain_text("% of 20\u202fMB")
        page.get_by_role("button", name="Client", exact=True).click()
        expect(rows.last).to_contain_text("app")
        with raw(fragile, "zeta", ("SUBSCRIBE", "other")):
            expect(rows.last).to_contain_text("zeta")
        page.locator("#channel-rows").get_by_role("link", name="Listen").first.click()
        expect(page.locator("h1")).to_have_text("Events")
        assert "/events?channel=" in page.url


def test_notifications_are_ticked_switched_on_seen_everywhere_and_taken_back(
    fragile: Server, open_page: OpenPage
) -> None:
    page = open_page(f"{PATH}?flags=Ex", Role.ADMIN)
    expect(page.get_by_role("checkbox", name="x: Expired keys")).to_be_checked()
    page.get_by_role("checkbox", name="e: Evicted keys").check()
    expect(page.locator("#notify-total")).to_contain_text("At the rates of the last minutes")
    page.get_by_label("For", exact=True).fill("1h")
    page.get_by_label("Reason").fill("what goes?")
    page.get_by_role("button", name="Switch on at 1 primary").click()
    expect(page.locator("#open-notifications")).to_contain_text("what goes?")
    assert flags(fragile) == set("Exe")
    other = open_page("/caches/fragile/keys", Role.VIEWER)
    expect(other.locator(".banner-trial")).to_contain_text("Keyspace notifications are on")
    expect(other.locator(".banner-trial")).to_contain_text("It goes back by itself in 59:")
    page.get_by_role("button", name="Go back now").click()
    expect(page.get_by_text("Taken back by ada.")).to_be_visible()
    assert flags(fragile) == set()
    expect(other.locator(".banner-trial")).to_have_count(0)
    page.get_by_role("link", name="Notifications", exact=True).click()
    expect(page.get_by_role("heading", name="Switched on before")).to_be_visible()


def test_without_javascript_they_are_switched_on_and_taken_back(fragile: Server, open_page: OpenPage) -> None:
    page = open_page(f"{PATH}?flags=KA", Role.ADMIN, java_script_enabled=False)
    page.get_by_role("button", name="Switch on at 1 primary").click()
    expect(page.locator("#open-notifications")).to_be_visible()
    assert flags(fragile) == set("KA")
    page.get_by_role("button", name="Go back now").click()
    expect(page.get_by_text("Taken back by ada.")).to_be_visible()
    assert flags(fragile) == set()


def test_who_is_no_admin_sees_what_is_on_and_is_offered_nothing(fragile: Server, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.VIEWER)
    expect(page.locator("#answer")).to_have_text("The server tells of nothing: notify-keyspace-events is off.")
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("link", name="Listeners")).to_have_count(0)
