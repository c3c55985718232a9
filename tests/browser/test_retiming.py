"""From keys that expire at one moment over a dry run to keys that do not, as an operator does it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.watch import Watch

KEYS = 4000


@pytest.fixture
def cliff(site: Site) -> Iterator[int]:
    """The second at which all of the keys flood:* of production expire."""
    at = int(time.time()) + 3000
    with site.client("live") as client:
        pipe = client.pipeline(transaction=False)
        for number in range(KEYS):
            pipe.set(f"flood:{number}", "v", exat=at)
        pipe.execute()
        yield at
        client.delete(*(f"flood:{number}" for number in range(KEYS)))


def _expiries(site: Site) -> list[int]:
    with site.client("live") as client:
        pipe = client.pipeline(transaction=False)
        for number in range(KEYS):
            pipe.expiretime(f"flood:{number}")
        return list(pipe.execute())


def _dry_run(page: Page) -> None:
    page.get_by_role("button", name="Make a dry run").click()
    expect(page.get_by_text("Exact: all")).to_be_visible()


def test_a_cliff_is_planned_seen_and_spread(site: Site, cliff: int, open_page: OpenPage) -> None:
    page = open_page(f"/caches/live/retimings/new?pattern=flood:*&ttl=@{cliff}-{cliff + 1}&jitter=300", Role.OPERATOR)
    _dry_run(page)
    expect(page.locator(".retiming-said")).to_contain_text("now at most 4\u202f000 keys in one second expire")
    assert set(_expiries(site)) == {cliff}
    page.get_by_role("button", name="Retime 4\u202f000 keys…").click()
    act = page.get_by_role("dialog").get_by_role("button", name="Retime 4\u202f000 keys")
    expect(act).to_be_disabled()
    page.get_by_label("Type live to go on").fill("live")
    act.click()
    expect(page.get_by_text("The dry run said 4\u202f000: exactly as many.")).to_be_visible()
    moved = _expiries(site)
    assert all(cliff - 301 <= at <= cliff + 301 for at in moved)
    assert max(moved.count(at) for at in set(moved)) < KEYS / 50
    page.goto(f"/caches/live/retimings/new?pattern=flood:*&ttl=@{cliff}-{cliff + 1}&jitter=300")
    _dry_run(page)
    expect(page.locator(".retiming-said")).not_to_contain_text("4\u202f000")


@pytest.mark.parametrize("width", [390, 600, 1280])
def test_no_tile_is_empty_and_what_the_scale_hides_is_said(
    width: int, site: Site, cliff: int, open_page: OpenPage
) -> None:
    path = f"/caches/live/retimings/new?pattern=flood:*&ttl=@{cliff}-{cliff + 1}&jitter=1800&direction=later"
    page = open_page(path, Role.OPERATOR)
    page.set_viewport_size({"width": width, "height": 900})
    _dry_run(page)
    expect(page.locator(".retiming-low")).to_have_count(1)
    expect(page.locator(".retiming-low")).to_contain_text("in one second: too low to be seen on this scale")
    whole = page.locator(".tiles-fill").bounding_box()
    tiles = [tile.bounding_box() for tile in page.locator(".tiles-fill .tile").all()]
    assert whole
    last = tiles[-1]
    assert last
    assert abs(last["x"] + last["width"] - whole["x"] - whole["width"]) < 3


def test_every_key_and_production_are_both_typed_before_the_button_wakes(open_page: OpenPage) -> None:
    page = open_page("/caches/live/retimings/new?jitter=10%25&direction=earlier", Role.OPERATOR)
    _dry_run(page)
    page.get_by_role("button", name="Retime").first.click()
    act = page.get_by_role("dialog").get_by_role("button", name="Retime")
    page.get_by_label("Type live to go on").fill("live")
    expect(act).to_be_disabled()
    page.get_by_label("Every key: type *").fill("*")
    expect(act).to_be_enabled()
    page.get_by_label("Type live to go on").fill("lif")
    expect(act).to_be_disabled()


def test_a_rule_is_added_and_a_mistake_opens_its_form_again(open_page: OpenPage, watch: Watch) -> None:
    watch.expect_status(422)
    page = open_page("/caches/empty/ttl-rules", Role.OPERATOR)
    page.get_by_role("button", name="Add rule").first.click()
    form = page.get_by_role("dialog")
    form.get_by_label("Pattern").fill("report:*")
    form.get_by_label("Lives at least").fill("2h")
    form.get_by_label("and at most").fill("1h")
    form.get_by_role("button", name="Add rule").click()
    expect(form.get_by_text("its lower end first")).to_be_visible()
    form.get_by_label("and at most").fill("3h")
    form.get_by_role("button", name="Add rule").click()
    expect(page.get_by_text("Added a rule for report:*.")).to_be_visible()
    expect(page.locator("tbody")).to_contain_text("report:*")
    page.get_by_role("button", name="Remove the rule for report:*").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove 1 rule").click()
    expect(page.get_by_text("Removed the rule for report:*.")).to_be_visible()
