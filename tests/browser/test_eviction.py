"""Eviction as an administrator uses it: a policy seen beforehand, tried with a net, taken back, kept in a history."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from playwright.sync_api import Page, expect

from dashboard.store import trials
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site, refill
from tests.browser.watch import Watch
from tests.programs import wait_until
from tests.servers import Server

PATH = "/caches/fragile/eviction"
LIMIT = "64mb"


@dataclass
class Limited:
    """A server with a limit and allkeys-lru. Its settings are as before when the test is over."""

    server: Server

    def value(self, name: str = "maxmemory-policy") -> str:
        with self.server.client(decode_responses=True) as client:
            return str(client.config_get(name)[name])


@contextlib.contextmanager
def limited(site: Site, server: Server, caches: tuple[str, ...]) -> Iterator[Limited]:
    with server.client(decode_responses=True) as client:
        before = {name: client.config_get(name)[name] for name in ("maxmemory", "maxmemory-policy")}
        client.config_set("maxmemory", LIMIT)
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            yield Limited(server)
        finally:
            with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as store:
                for trial in trials.open_on(store, caches):
                    trials.go(store, trial, "kept", why="The test is over.")
            for name, value in before.items():
                client.config_set(name, value)


@pytest.fixture
def fragile(site: Site) -> Iterator[Limited]:
    with limited(site, site.fragile, ("fragile",)) as found:
        yield found
    refill(site.fragile)


@pytest.fixture
def live(site: Site) -> Iterator[Limited]:
    with limited(site, site.server, ("live",)) as found:
        yield found


def _previewed(page: Page, policy: str = "allkeys-lfu", button: str = "Preview change") -> None:
    page.get_by_role("radio", name=policy, exact=True).check()
    page.get_by_role("button", name=button).click()
    expect(page.locator("h1")).to_have_text("Preview of a change")


def _started(page: Page, **limits: str) -> None:
    """A trial of allkeys-lfu, from the screen on."""
    page.goto(PATH)
    _previewed(page, button="Try for a while…")
    form = page.locator("form", has=page.get_by_role("button", name="Start the trial"))
    for label, value in limits.items():
        form.get_by_label(label).fill(value)
    form.get_by_role("button", name="Start the trial").click()
    expect(page.locator("h1")).to_contain_text("Trial")


def test_a_policy_is_chosen_seen_beforehand_applied_and_rolled_back(fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.ADMIN)
    expect(page.get_by_role("radio", name="allkeys-lru", exact=True)).to_be_checked()
    _previewed(page)
    expect(page.locator("table.steps")).to_contain_text("allkeys-lru")
    expect(page.locator("table.steps")).to_contain_text("allkeys-lfu")
    assert fragile.value() == "allkeys-lru", "nothing is changed by looking"
    page.locator("#apply-reason").fill("scans evict what is hot")
    page.get_by_role("button", name="Apply on").click()
    expect(page.get_by_text("It was set, and was read back.")).to_be_visible()
    assert fragile.value() == "allkeys-lfu"
    page.get_by_role("button", name="Roll back…").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("#answer")).to_contain_text("Rollback")
    assert fragile.value() == "allkeys-lru"
    page.get_by_role("link", name="History").first.click()
    expect(page.locator("table.history")).to_contain_text("scans evict what is hot")


def test_the_form_sends_only_what_was_touched(fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.ADMIN)
    page.get_by_label("Memory limit").fill("80mb")
    page.get_by_role("button", name="Preview change").click()
    expect(page.locator("table.steps tbody tr")).to_have_count(1)
    expect(page.locator("table.steps")).to_contain_text("80\u202fMB")
    assert page.url.endswith("/setting-previews?maxmemory=80mb")


def test_what_is_typed_wrongly_stays_in_the_form_with_its_sentence(
    fragile: Limited, open_page: OpenPage, watch: Watch
) -> None:
    watch.expect_status(422)
    page = open_page(PATH, Role.ADMIN)
    page.get_by_label("Memory limit").fill("10eb")
    page.get_by_role("button", name="Preview change").click()
    expect(page.locator("#form-error")).to_contain_text("maxmemory is bytes such as 2gb")
    expect(page.get_by_label("Memory limit")).to_have_value("10eb")
    assert fragile.value("maxmemory") == str(64 * 1024**2)


def test_what_would_evict_wants_a_tick(site: Site, fragile: Limited, open_page: OpenPage) -> None:
    with site.fragile.client() as client:
        client.execute_command("DEBUG", "POPULATE", 20_000, "glass", 500)
    page = open_page(PATH, Role.ADMIN)
    page.get_by_label("Memory limit").fill("4mb")
    page.get_by_role("button", name="Preview change").click()
    apply = page.locator("form", has=page.get_by_role("button", name="Apply on"))
    apply.get_by_role("button", name="Apply on").click()
    assert apply.get_by_role("checkbox").evaluate("box => box.validity.valueMissing"), "the browser asks for it first"
    apply.get_by_role("checkbox").check()
    apply.get_by_role("button", name="Apply on").click()
    expect(page.get_by_text("It was set, and was read back.")).to_be_visible()
    assert fragile.value("maxmemory") == str(4 * 1024**2)


def test_production_is_changed_when_its_name_is_typed(live: Limited, open_page: OpenPage) -> None:
    page = open_page("/caches/live/eviction", Role.ADMIN)
    _previewed(page)
    act = page.get_by_role("button", name="Apply on")
    expect(act).to_be_disabled()
    page.get_by_label("Type live to go on").first.fill("live")
    act.click()
    expect(page.get_by_text("It was set, and was read back.")).to_be_visible()
    assert live.value() == "allkeys-lfu"


def test_a_trial_stands_on_every_screen_and_leaves_when_it_is_ended(fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.ADMIN)
    other = open_page("/caches/fragile/keys", Role.VIEWER)
    expect(other.locator(".banner-trial")).to_have_count(0)
    _started(page)
    assert fragile.value() == "allkeys-lfu"
    banner = other.locator(".banner-trial")
    expect(banner).to_contain_text("Trial of policy allkeys-lfu. It goes back by itself in 29:")
    for screen in ("", "expiry", "memory", "jobs"):
        other.goto(f"/caches/fragile/{screen}")
        expect(banner).to_contain_text("Trial of policy allkeys-lfu")
    before = banner.locator("[data-expires-at]").inner_text()
    expect(banner.locator("[data-expires-at]")).not_to_have_text(before)
    page.get_by_role("button", name="Go back now").click()
    expect(page.get_by_text("Taken back by ada.")).to_be_visible()
    assert fragile.value() == "allkeys-lru"
    expect(banner).to_have_count(0)


def test_a_trial_that_hurts_goes_back_by_itself_and_the_open_page_says_why(
    site: Site, fragile: Limited, open_page: OpenPage
) -> None:
    with site.fragile.client() as client:
        client.config_set("maxmemory", "8mb")
    page = open_page(PATH, Role.ADMIN)
    _started(page, **{"evictions exceed": "1"})
    with site.fragile.client() as client:

        def pressed() -> bool:
            pipe = client.pipeline(transaction=False)
            for number in range(400):
                pipe.set(f"press:{client.incr('press')}:{number}", "v" * 400)
            pipe.execute()
            return fragile.value() == "allkeys-lru"

        wait_until(pressed, "the worker takes it back")
    standing = page.get_by_role("region", name="How it stands")
    expect(standing.get_by_text(re.compile(r"evictions/s.*: more than 1/s\."))).to_be_visible()
    expect(page.get_by_text("taken back", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Go back now")).to_have_count(0)


def test_a_trial_can_be_kept(fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.ADMIN)
    _started(page)
    page.get_by_role("button", name="Keep…").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep them").click()
    expect(page.get_by_text("Kept by ada.")).to_be_visible()
    assert fragile.value() == "allkeys-lfu"


def test_one_click_leads_to_the_preview_of_any_earlier_state(fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.ADMIN)
    for policy in ("allkeys-lfu", "allkeys-random"):
        page.goto(PATH)
        _previewed(page, policy)
        page.get_by_role("button", name="Apply on").click()
        expect(page.get_by_text("It was set, and was read back.")).to_be_visible()
    page.get_by_role("link", name="History").first.click()
    page.get_by_role("link", name="Return to before").nth(1).click()
    expect(page.locator("h1")).to_have_text("Preview of a return")
    page.get_by_role("button", name="Return on").click()
    expect(page.get_by_text("It was set, and was read back.")).to_be_visible()
    assert fragile.value() == "allkeys-lru"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_is_no_admin_sees_all_and_is_offered_nothing(role: Role, fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, role)
    expect(page.get_by_text("allkeys-lru").first).to_be_visible()
    expect(page.get_by_text("Only an administrator changes settings.")).to_be_visible()
    expect(page.get_by_role("button", name="Preview change")).to_have_count(0)
    expect(page.locator("input[name=maxmemory]")).to_have_count(0)


def test_a_read_only_cache_says_why_nothing_can_be_changed(open_page: OpenPage) -> None:
    page = open_page("/caches/frozen/eviction", Role.ADMIN)
    expect(page.get_by_text("frozen is declared read-only here.")).to_be_visible()
    expect(page.get_by_role("button", name="Preview change")).to_have_count(0)


def test_a_server_that_is_down_leaves_the_screen_standing(open_page: OpenPage) -> None:
    page = open_page("/caches/down/eviction", Role.ADMIN)
    expect(page.locator("h1")).to_have_text("Eviction")
    expect(page.get_by_role("link", name="History")).to_be_visible()
    expect(page.locator("main")).to_contain_text("cannot be reached")


def test_the_keyboard_goes_there(open_page: OpenPage) -> None:
    page = open_page("/caches/fragile/keys")
    page.keyboard.press("g")
    page.keyboard.press("v")
    expect(page.locator("h1")).to_have_text("Eviction")


def test_what_somebody_gives_as_a_reason_is_text(fragile: Limited, open_page: OpenPage) -> None:
    hostile = "<img src=x onerror=window.__pwned=1>"
    page = open_page(PATH, Role.ADMIN)
    _previewed(page)
    page.locator("#apply-reason").fill(hostile)
    page.get_by_role("button", name="Apply on").click()
    expect(page.get_by_text(f"Reason: {hostile}")).to_be_visible()
    page.get_by_role("link", name="History").first.click()
    expect(page.locator("table.history")).to_contain_text(hostile)


def test_without_javascript_it_is_changed_tried_and_taken_back(fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.ADMIN, java_script_enabled=False)
    _previewed(page)
    page.get_by_role("button", name="Apply on").click()
    expect(page.get_by_text("It was set, and was read back.")).to_be_visible()
    assert fragile.value() == "allkeys-lfu"
    page.goto(PATH)
    _previewed(page, "allkeys-random", "Try for a while…")
    page.get_by_role("button", name="Start the trial").click()
    expect(page.locator("h1")).to_contain_text("Trial")
    assert fragile.value() == "allkeys-random"
    page.get_by_role("button", name="Go back now").click()
    expect(page.get_by_text("Taken back by ada.")).to_be_visible()
    assert fragile.value() == "allkeys-lfu"


def test_figures_follow_while_one_looks(site: Site, fragile: Limited, open_page: OpenPage) -> None:
    page = open_page(PATH, Role.VIEWER)
    expect(page.locator("#pressure")).to_contain_text("of 64\u202fMB")
    with site.fragile.client() as client, contextlib.suppress(redis.RedisError):
        client.config_set("maxmemory", "32mb")
    expect(page.locator("#pressure")).to_contain_text("of 32\u202fMB")
    expect(page.locator("#answer")).to_contain_text("of 32\u202fMB")
