"""The console in a browser: what happens is seen as it happens, and nothing is believed that is not known."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from dashboard.store import operators
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.browser import site as sites
from tests.browser.conftest import OpenPage, sign_in
from tests.browser.site import NAMES, PASSWORD, Site, refill
from tests.browser.watch import Watch
from tests.programs import wait_until
from tests.servers import HOST, free_port

PATH = "/caches/main/events"
HOSTILE = "<img src=x onerror=window.__pwned=1>"


@pytest.fixture
def arranging(site: Site) -> Iterator[redis.Redis]:
    with site.client("main") as client:
        yield client


def live(page: Page) -> Page:
    expect(page.locator("[data-event-state]")).to_have_text("live")
    expect(page.locator("#event-meter")).to_contain_text("heard from")
    return page


def events(page: Page) -> list[str]:
    return page.locator("#event-rows .event-payload").all_inner_texts()


def test_what_is_published_appears_the_newest_first(open_page: OpenPage, arranging: redis.Redis) -> None:
    page = live(open_page(f"{PATH}?channel=first&pattern=news:*", Role.VIEWER))
    arranging.publish("first", json.dumps({"type": "keys", "keys": ["api:user:42"]}))
    arranging.publish("news:sport", b"\xff\x00\x01")
    arranging.publish("first", HOSTILE)
    rows = page.locator("#event-rows > li")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text(HOSTILE)
    expect(rows.nth(1)).to_contain_text("news:sport")
    expect(rows.nth(2)).to_contain_text('"api:user:42"')
    expect(page.locator("#event-counts")).to_contain_text("3 shown")
    again = open_page(f"{PATH}?channel=first&pattern=news:*", Role.VIEWER)
    expect(again.locator("#event-rows > li")).to_have_count(3)


def test_the_form_leads_to_a_console_with_a_filter(open_page: OpenPage, arranging: redis.Redis) -> None:
    page = open_page(PATH, Role.VIEWER)
    page.get_by_label("Patterns of channels").fill("*")
    page.get_by_label("Only with this text").fill("needle")
    page.get_by_role("button", name="Listen").click()
    live(page)
    for number in range(20):
        arranging.publish("hay", number)
    arranging.publish(f"hay{HOSTILE}", "one Needle")
    rows = page.locator("#event-rows > li")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(HOSTILE)


def test_paused_it_stands_still_and_then_goes_on_with_what_came(open_page: OpenPage, arranging: redis.Redis) -> None:
    page = live(open_page(f"{PATH}?channel=pausing", Role.VIEWER))
    arranging.publish("pausing", "before")
    expect(page.locator("#event-rows > li")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    for number in range(30):
        arranging.publish("pausing", f"while {number}")
    expect(page.locator("[data-event-state]")).to_have_text("paused, 30 new")
    assert events(page) == ["before"]
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#event-rows > li")).to_have_count(31)
    assert events(page) == [*(f"while {number}" for number in reversed(range(30))), "before"]
    live(page)


def test_key_events_and_client_side_caching_lead_to_the_key(open_page: OpenPage, arranging: redis.Redis) -> None:
    arranging.config_set("notify-keyspace-events", "KEA")
    try:
        page = live(open_page(f"{PATH}?event=set&tracking=watched:*", Role.VIEWER))
        arranging.set("watched:1", "v", ex=600)
        rows = page.locator("#event-rows > li")
        expect(rows.filter(has_text="client cache")).to_contain_text("watched:1")
        rows.filter(has_text="key event").get_by_role("link").first.click()
        expect(page.locator("h1")).to_contain_text("watched:1")
    finally:
        arranging.config_set("notify-keyspace-events", "")
        arranging.delete("watched:1")


def test_a_large_payload_is_shortened_and_opened(open_page: OpenPage, arranging: redis.Redis) -> None:
    page = live(open_page(f"{PATH}?channel=large", Role.VIEWER))
    arranging.publish("large", "x" * 10_000_000)
    arranging.publish("large", json.dumps({"keys": [f"api:user:{number}" for number in range(40)]}))
    rows = page.locator("#event-rows > li")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("9.5 MB")
    assert len(rows.nth(1).inner_text()) < 5000
    rows.nth(0).locator("summary").click()
    expect(rows.nth(0).locator("pre")).to_contain_text("api:user:39")


def test_a_flood_is_counted_and_the_page_stays(open_page: OpenPage, arranging: redis.Redis) -> None:
    page = live(open_page(f"{PATH}?channel=flood", Role.VIEWER))
    for _ in range(5):
        arranging.eval("for n = 1, 10000 do redis.call('PUBLISH', 'flood', n) end", 0)
    expect(page.locator("#event-meter")).to_contain_text("50\u202f000 events")
    expect(page.locator("#event-counts")).to_contain_text("more than can be shown")
    assert page.locator("#event-rows > li").count() <= 500
    # Nor are the blanks left that stood between rows which have gone: they made the tab slower with every second.
    assert page.locator("#event-rows").evaluate("list => list.childNodes.length") <= 1010
    arranging.publish("flood", "the end")
    expect(page.locator("#event-rows > li").first).to_contain_text("the end")


def test_a_server_that_restarts_is_a_gap(open_page: OpenPage, watch: Watch, site: Site) -> None:
    watch.expect_status(503)
    page = live(open_page("/caches/fragile/events?channel=inv", Role.VIEWER))
    try:
        site.fragile.stop()
        expect(page.locator("#event-meter .alert")).to_contain_text("cannot be reached")
        site.fragile.restart()
        expect(page.locator("#event-rows .event-gap").first).to_contain_text("was not heard from")
        with site.fragile.client() as client:
            wait_until(lambda: client.publish("inv", "again") == 1, "it is listened to again")
        expect(page.locator("#event-rows > li").first).to_contain_text("again")
        expect(page.locator("#event-meter .alert")).to_have_count(0)
    finally:
        if site.fragile.process.poll() is not None:
            site.fragile.restart()
        refill(site.fragile)


def test_the_web_process_restarts_and_the_page_goes_on(
    open_page: OpenPage, watch: Watch, site: Site, arranging: redis.Redis
) -> None:
    watch.expect("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
    watch.expect("ERR_EMPTY_RESPONSE", "htmx:sse:error", "Failed to fetch", "network error")
    port = free_port()
    settings = {**site.settings, "CACHEDECK_PORT": str(port)}
    origin = watch.origin = f"http://{HOST}:{port}"
    with sites.web(settings):
        page = open_page("/login", None, base_url=origin)
        sign_in(page, NAMES[Role.VIEWER])
        expect(page.locator("h1")).to_have_text("Overview")
        page.goto(f"{PATH}?channel=restarts")
        live(page)
        arranging.publish("restarts", "before")
        expect(page.locator("#event-rows > li")).to_have_count(1)
    expect(page.locator("[data-event-state]")).to_have_text("connecting again")
    with sites.web(settings):
        live(page)
        expect(page.locator("#event-rows .event-gap")).to_contain_text("did not listen from")
        wait_until(lambda: arranging.publish("restarts", "after") == 1, "it is listened to again")
        expect(page.locator("#event-rows > li").first).to_contain_text("after")
        page.goto("about:blank")


def test_a_long_channel_among_the_busiest_does_not_widen_a_narrow_page(
    open_page: OpenPage, arranging: redis.Redis
) -> None:
    page = live(open_page(f"{PATH}?pattern=long:*", Role.VIEWER))
    page.set_viewport_size({"width": 390, "height": 800})
    for name in ("long:" + 300 * "x", "long:b"):
        arranging.publish(name, "told")
    expect(page.locator(".event-busiest")).to_contain_text("long:b")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_while_no_node_is_heard_the_page_does_not_say_that_it_is_live(open_page: OpenPage, site: Site) -> None:
    page = live(open_page("/caches/fragile/events?channel=gone", Role.VIEWER))
    try:
        site.fragile.stop()
        expect(page.locator("[data-event-state]")).to_have_text("nothing heard")
        expect(page.locator("#event-meter .alert")).to_contain_text("fragile cannot be reached")
    finally:
        site.fragile.restart()
        refill(site.fragile)
    live(page)


def test_who_signs_out_elsewhere_sees_nothing_more(open_page: OpenPage, watch: Watch, site: Site) -> None:
    watch.expect_status(401)
    # Signing out ends all sessions of an operator, and the others' are still needed.
    with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as store:
        operators.add(store, "eve", PASSWORD, Role.VIEWER)
    page = open_page("/login", None)
    sign_in(page, "eve")
    expect(page.locator("h1")).to_have_text("Overview")
    page.goto(f"{PATH}?channel=inv")
    live(page)
    other = page.context.new_page()
    other.goto("/account")
    other.get_by_role("button", name="Log out").click()
    expect(page.locator("input[type=password]")).to_be_visible()


def test_it_closes_with_the_page(open_page: OpenPage, arranging: redis.Redis) -> None:
    first = live(open_page(f"{PATH}?channel=closing", Role.VIEWER))
    second = live(open_page(f"{PATH}?channel=closing", Role.VIEWER))
    expect(first.locator("#event-meter")).to_contain_text("2 pages look on")
    second.close()
    expect(first.locator("#event-meter")).to_contain_text("1 page looks on")
    assert arranging.pubsub_numsub("closing")[0][1] == 1
