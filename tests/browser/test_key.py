"""One key: its value, its TTL, its removal, and what of that the audit trail tells."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from dashboard.cache.selecting.key_token import to_token
from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.keyspace import SHOWN
from tests.browser.site import Site
from tests.browser.watch import Watch

ACTS = ("Set TTL…", "Add jitter…", "Persist…", "Remove…")

# What a value is recognised as, and something of it that can only be there when it was read and decoded.
VALUES = {
    "json": "User 42",
    "gzip": "Post 39",
    "msgpack": "python",
    "pickle": "done",
    "hash": "b1946ac9",
    "list": "user0@example.org",
    "set": "organic",
    "zset": "player:29",
    "stream": "TEA-0",
    "text": "Good morning",
}


@pytest.fixture
def own_key(site: Site, request: pytest.FixtureRequest) -> Iterator[str]:
    """A key of this test alone, which expires in an hour; the name."""
    name = f"own:{request.node.name}"
    with site.client("main") as client:
        client.set(name, "mine", ex=3600)
        yield name
        client.delete(name)


def address(name: str | bytes, cache: str = "main") -> str:
    return f"/caches/{cache}/keys/{to_token(name.encode() if isinstance(name, str) else name)}"


def open_dialog(page: Page, act: str) -> None:
    page.get_by_role("button", name=act).click()
    expect(page.get_by_role("dialog")).to_be_visible()


@pytest.mark.parametrize("kind", VALUES)
def test_the_value_is_shown_decoded(open_page: OpenPage, kind: str) -> None:
    page = open_page(address(SHOWN[kind]))
    expect(page.locator("#value")).to_contain_text(VALUES[kind])


def test_the_value_can_be_seen_in_hexadecimal_and_raw(open_page: OpenPage) -> None:
    page = open_page(address(SHOWN["text"]))
    page.get_by_role("link", name="Hex").click()
    expect(page.locator("#value pre")).to_contain_text("47 6f 6f 64 20 6d 6f 72 6e 69 6e 67")
    page.get_by_role("link", name="Raw").click()
    expect(page.locator("#value pre")).to_have_text("Good morning")


def test_fields_of_a_hash_are_found_by_pattern(open_page: OpenPage) -> None:
    page = open_page(address(SHOWN["hash"]))
    page.get_by_label("Fields").fill("c*")
    page.get_by_role("button", name="Find").click()
    value = page.locator("#value")
    expect(value).not_to_contain_text("user")
    expect(value).to_contain_text("csrf")


def test_the_ttl_counts_down(open_page: OpenPage) -> None:
    page = open_page(address(SHOWN["json"]))
    left = page.locator(".facts [data-expires-at]").first
    before = left.inner_text()
    expect(left).not_to_have_text(before)

    def seconds(text: str) -> int:
        minutes, rest = text.split(":")
        return int(minutes) * 60 + int(rest)

    assert seconds(before) - 20 <= seconds(left.inner_text()) < seconds(before)


def test_the_ttl_is_set_spread_and_taken_away(open_page: OpenPage, site: Site, own_key: str) -> None:
    page = open_page(address(own_key))
    results = page.locator("#results")
    open_dialog(page, "Set TTL…")
    page.get_by_label("Expires in").fill("15m")
    page.get_by_role("button", name="Set the TTL of 1 key").click()
    expect(results).to_contain_text(re.compile(r"Expires in 1[45]\smin.*it was: (1\sh|59\smin)"))
    with site.client("main") as client:
        assert 880 < client.ttl(own_key) <= 900
        open_dialog(page, "Add jitter…")
        page.get_by_role("dialog").get_by_label("Jitter in per cent").fill("50")
        page.get_by_role("button", name="Add jitter to 1 key").click()
        expect(results).to_contain_text(re.compile(r"it was: 1[45]\smin"))
        assert 400 < client.ttl(own_key) <= 1350
        open_dialog(page, "Persist…")
        page.get_by_role("button", name="Persist 1 key").click()
        expect(results).to_contain_text("Never expires now")
        assert client.ttl(own_key) == -1
    expect(page.get_by_role("button", name="Persist…")).to_have_count(0)


def test_a_duration_that_is_none_changes_nothing_and_says_so(
    open_page: OpenPage, site: Site, own_key: str, watch: Watch
) -> None:
    watch.expect_status(400, 422)
    page = open_page(address(own_key))
    open_dialog(page, "Set TTL…")
    page.get_by_label("Expires in").fill("soon")
    page.get_by_role("button", name="Set the TTL of 1 key").click()
    expect(
        page.get_by_role("alert").filter(has_text="soon").or_(page.get_by_text("Nothing was changed")).first
    ).to_be_visible()
    with site.client("main") as client:
        assert client.ttl(own_key) > 3000


def test_a_removal_is_found_in_the_audit_trail(open_page: OpenPage, site: Site, own_key: str) -> None:
    page = open_page(address(own_key))
    open_dialog(page, "Remove…")
    page.get_by_role("dialog").get_by_label("Reason").fill("ticket 4711")
    page.get_by_role("button", name="Remove 1 key").click()
    expect(page.locator("#results")).to_contain_text(f"Removed 1 key: {own_key}")
    with site.client("main") as client:
        assert not client.exists(own_key)
    page.get_by_role("link", name="Audit", exact=True).click()
    entry = page.locator("tbody tr").filter(has_text="key.remove").filter(has_text=own_key).first
    for text in ("otto", "main", "key.remove", "done"):
        expect(entry).to_contain_text(text)
    entry.locator("summary").click()
    details = entry.locator("details")
    for text in ("ticket 4711", "127.0.0.1", "string", "removed", "ttl"):
        expect(details).to_contain_text(text)


def test_a_change_of_ttl_is_found_in_the_audit_trail_with_before_and_after(open_page: OpenPage, own_key: str) -> None:
    page = open_page(address(own_key))
    open_dialog(page, "Set TTL…")
    page.get_by_label("Expires in").fill("90")
    page.get_by_role("button", name="Set the TTL of 1 key").click()
    expect(page.locator("#results")).to_contain_text("Expires in 1 min 30 s")
    page.goto(f"/audit?action=key.ttl&subject={own_key}")
    entry = page.locator("tbody tr")
    expect(entry).to_have_count(1)
    entry.locator("summary").click()
    expect(entry.locator("details .before").first).to_contain_text(re.compile("3.?6|3.?59|1 h|59 min"))
    expect(entry.locator("details .after").first).to_contain_text(re.compile("90|89|1 min"))


def test_a_viewer_sees_no_button_that_changes_something(open_page: OpenPage) -> None:
    page = open_page(address(SHOWN["json"]), Role.VIEWER)
    expect(page.locator("#value")).to_contain_text("User 42")
    for act in ACTS:
        expect(page.get_by_role("button", name=act)).to_have_count(0)


def test_a_read_only_cache_offers_no_change_even_to_an_admin(open_page: OpenPage) -> None:
    page = open_page(address(SHOWN["json"], "frozen"), Role.ADMIN)
    expect(page.get_by_text("Cachedeck holds frozen read-only")).to_be_visible()
    for act in ACTS:
        expect(page.get_by_role("button", name=act)).to_have_count(0)


def test_on_production_the_name_of_the_cache_must_be_typed(open_page: OpenPage, site: Site) -> None:
    with site.client("live") as client:
        client.set("own:production", "mine")
        page = open_page(address("own:production", "live"))
        expect(page.get_by_text("PRODUCTION", exact=True)).to_be_visible()
        open_dialog(page, "Remove…")
        act = page.get_by_role("button", name="Remove 1 key")
        expect(act).to_be_disabled()
        page.get_by_role("dialog").get_by_label("Type live to go on").fill("main")
        expect(act).to_be_disabled()
        page.get_by_role("dialog").get_by_label("Type live to go on").fill("live")
        act.click()
        expect(page.locator("#results")).to_contain_text("Removed 1 key")
        assert not client.exists("own:production")


def test_a_key_that_is_gone_is_said_to_be_gone(open_page: OpenPage, watch: Watch) -> None:
    watch.expect_status(404)
    page = open_page(address("never:was"))
    expect(page.locator("#answer")).to_contain_text("does not exist")
