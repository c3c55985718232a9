"""From a selection to the undo, as an operator does it: by mouse, by keyboard, and without scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.watch import Watch

KEYS = 3000


@pytest.fixture
def wrong(site: Site) -> Iterator[str]:
    """The pattern of KEYS keys of production that a bad deploy has written."""
    yield from _written(site, "live", "wrong", KEYS)


@pytest.fixture
def few(site: Site) -> Iterator[str]:
    """The pattern of a hundred and fifty keys, which are more than one page of the list."""
    yield from _written(site, "main", "few", 150)


def _written(site: Site, cache: str, name: str, count: int) -> Iterator[str]:
    with site.client(cache) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(count):
            pipe.set(f"{name}:{number}", f"value {number}", ex=3000)
        pipe.execute()
        yield f"{name}:*"
        client.delete(*(f"{name}:{number}" for number in range(count)))


def _count(site: Site, cache: str, pattern: str) -> int:
    with site.client(cache) as client:
        return sum(1 for _ in client.scan_iter(pattern, count=1000))


def _plan(page: Page) -> None:
    page.get_by_role("button", name="Make a plan", exact=True).click()
    expect(page.locator("#how")).to_be_visible()


def test_from_the_selection_over_the_plan_to_the_undo(site: Site, wrong: str, open_page: OpenPage) -> None:
    page = open_page(f"/caches/live/keys?pattern={wrong}")
    page.get_by_role("link", name="Invalidate…").click()
    expect(page.get_by_label("Pattern")).to_have_value(wrong)
    _plan(page)
    expect(page.locator(".invalidation-said")).to_contain_text("3\u202f000 keys")
    expect(page.locator(".invalidation-said")).to_contain_text("exact, walked in")
    assert _count(site, "live", wrong) == KEYS

    page.get_by_role("radio", name="Gently").check()
    act = page.get_by_role("button", name="Expire 3\u202f000 keys")
    expect(act).to_be_disabled()
    page.get_by_role("textbox", name="Spread over").fill("10m")
    expect(page.locator("#effect-gently")).to_contain_text("5 keys/s expire, evenly over 10\u202fmin")
    page.get_by_role("textbox", name="Spread over").fill("soon")
    expect(page.locator("#effect-gently")).to_contain_text("Write a time such as")

    page.get_by_role("radio", name="Now").check()
    act = page.get_by_role("button", name="Remove 3\u202f000 keys")
    page.get_by_label("Reason").fill("bad deploy, ticket 4711")
    page.get_by_label("Type live to go on").fill("live")
    act.click()
    expect(page.get_by_text("3\u202f000 keys were removed")).to_be_visible()
    expect(page.get_by_text("Planned 3\u202f000, found 3\u202f000: exactly as many.")).to_be_visible()
    assert _count(site, "live", wrong) == 0

    with site.client("live") as client:
        client.set("wrong:7", "written since")
    page.get_by_label("Only keys of").fill("wrong:7*")
    page.get_by_label("Type live to go on").fill("live")
    page.get_by_role("button", name="Bring back up to").click()
    expect(page.get_by_text("1 was written since, left as it is")).to_be_visible()
    assert _count(site, "live", wrong) == 111
    page.get_by_label("Type live to go on").fill("live")
    page.get_by_role("button", name="Bring back up to").click()
    expect(page.locator("#invalidation").get_by_text("undone", exact=True)).to_be_visible()
    with site.client("live") as client:
        assert client.get("wrong:7") == b"written since"
        assert client.get("wrong:8") == b"value 8"
        assert 2000 < client.ttl("wrong:8") <= 3000
    assert _count(site, "live", wrong) == KEYS

    page.get_by_role("link", name="Audit", exact=True).click()
    entry = page.locator("tbody tr").filter(has_text="keys.invalidate").first
    expect(entry).to_contain_text("otto")
    expect(entry).to_contain_text("wrong:*")


def test_a_removal_is_paused_and_goes_on(site: Site, few: str, open_page: OpenPage) -> None:
    page = open_page(f"/caches/main/invalidations?pattern={few}")
    _plan(page)
    page.get_by_role("radio", name="Paced").check()
    page.get_by_role("textbox", name="At most so many keys a second").fill("20")
    page.get_by_role("button", name="Remove 150 keys").click()
    here = page.locator("#invalidation")
    expect(here.get_by_text("so far").first).to_be_visible()
    here.get_by_role("button", name="Pause").click()
    expect(here.get_by_text("paused", exact=True)).to_be_visible()
    stands = _count(site, "main", few)
    assert 0 < stands < 150
    removed = 150 - stands
    expect(here.locator(".invalidation-said")).to_contain_text(f"{removed} keys were removed")
    here.get_by_role("button", name="Resume").click()
    expect(here.get_by_text("150 keys were removed")).to_be_visible()
    assert _count(site, "main", few) == 0


def test_rows_are_ticked_by_keyboard_and_removed_with_the_undo_beside_it(
    site: Site, few: str, open_page: OpenPage
) -> None:
    page = open_page(f"/caches/main/keys?pattern={few}")
    acts = page.locator(".table-actions")
    expect(page.locator("#key-rows tr")).to_have_count(100)
    expect(acts).to_be_hidden()
    for key in "jxjjx":
        page.keyboard.press(key)
    expect(acts).to_contain_text("2 ticked")
    page.keyboard.press("x")
    expect(acts).to_contain_text("1 ticked")
    page.get_by_label("Tick all").check()
    expect(acts).to_contain_text("100 ticked")
    # Rows that come later are not ticked, and can be.
    page.get_by_role("button", name="Show 100 more").click()
    expect(page.locator("#key-rows tr")).to_have_count(150)
    assert page.get_by_label("Tick all").evaluate("(box) => box.indeterminate")
    page.get_by_label("Tick all").check()
    expect(acts).to_contain_text("150 ticked")
    acts.get_by_role("button", name="Remove…").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove 150 keys").click()
    expect(page.locator("#results")).to_contain_text("Removed 150 keys.")
    assert _count(site, "main", few) == 0
    page.locator("#results").get_by_role("button", name="Undo").click()
    expect(page.locator("#results")).to_contain_text("150 keys are back.")
    assert _count(site, "main", few) == 150
    assert page.url.endswith(f"/caches/main/keys?pattern={few}")


def test_enter_in_a_box_plans_and_in_the_dialog_removes(site: Site, few: str, open_page: OpenPage) -> None:
    page = open_page(f"/caches/main/keys?pattern={few}")
    page.locator("#key-rows input").first.check()
    page.locator("#key-rows input").first.press("Enter")
    expect(page.locator("h1")).to_contain_text("Invalidate: plan")
    assert _count(site, "main", few) == 150
    page.goto(f"/caches/main/keys?pattern={few}")
    page.locator("#key-rows input").first.check()
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("wrong")
    page.get_by_role("dialog").get_by_label("Reason").press("Enter")
    expect(page.locator("#results")).to_contain_text("Removed 1 key: few:")
    assert _count(site, "main", few) == 149


def test_ticked_rows_are_exported(few: str, open_page: OpenPage) -> None:
    page = open_page(f"/caches/main/keys?pattern={few}")
    for place in (0, 1, 2):
        page.locator("#key-rows input").nth(place).check()
    with page.expect_download() as waiting:
        page.locator(".table-actions").get_by_role("button", name="Export").click()
    lines = [json.loads(line) for line in waiting.value.path().read_text().splitlines()]
    assert {line["key"] for line in lines if "key" in line} == {
        box.get_attribute("value") for box in page.locator("#key-rows input:checked").all()
    }


def test_production_is_typed_before_ticked_rows_go(site: Site, wrong: str, open_page: OpenPage) -> None:
    page = open_page(f"/caches/live/keys?pattern={wrong}")
    page.locator("#key-rows input").first.check()
    page.get_by_role("button", name="Remove…").click()
    act = page.get_by_role("dialog").get_by_role("button", name="Remove 1 key")
    expect(act).to_be_disabled()
    page.get_by_label("Type live to go on").fill("live")
    act.click()
    expect(page.locator("#results")).to_contain_text("Removed 1 key: wrong:")
    page.locator("#results").get_by_role("link", name="Undo…").click()
    page.get_by_label("Type live to go on").fill("live")
    page.get_by_role("button", name="Bring back up to 1 key").click()
    expect(page.locator("#results")).to_contain_text("1 key is back.")
    assert _count(site, "live", wrong) == KEYS


def test_a_viewer_ticks_nothing(few: str, open_page: OpenPage) -> None:
    page = open_page(f"/caches/main/keys?pattern={few}", Role.VIEWER)
    expect(page.locator("#key-rows tr")).to_have_count(100)
    expect(page.locator("#keys input")).to_have_count(0)


def test_without_javascript_one_still_plans_removes_and_undoes(site: Site, few: str, open_page: OpenPage) -> None:
    page = open_page(f"/caches/main/keys?pattern={few}", java_script_enabled=False)
    page.locator("#key-rows input").nth(0).check()
    page.locator("#key-rows input").nth(1).check()
    page.get_by_role("button", name="Plan…").click()
    for _ in range(40):
        if page.get_by_role("button", name="Remove 2 keys").count():
            break
        page.wait_for_timeout(250)
        page.reload()
    page.get_by_role("button", name="Remove 2 keys").click()
    for _ in range(40):
        if page.get_by_role("button", name="Bring back up to 2 keys").count():
            break
        page.wait_for_timeout(250)
        page.reload()
    assert _count(site, "main", few) == 148
    page.get_by_role("button", name="Bring back up to 2 keys").click()
    expect(page.get_by_text("2 keys are back.").first).to_be_visible()
    assert _count(site, "main", few) == 150


def test_a_pasted_list_with_nothing_in_it_opens_its_form_again(open_page: OpenPage, watch: Watch) -> None:
    watch.expect_status(422)
    page = open_page("/caches/main/invalidations")
    page.get_by_text("Or a list of keys").click()
    page.get_by_label("Keys, one a line").fill("  \n")
    page.get_by_role("button", name="Make a plan of this list").click()
    expect(page.locator("#form-error")).to_contain_text("An empty list never means all keys.")
    expect(page.get_by_label("Keys, one a line")).to_be_visible()


def test_its_letter_leads_to_it(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page).to_have_url(re.compile(r"/caches/main/invalidations$"))
