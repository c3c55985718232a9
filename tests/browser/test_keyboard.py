"""The keyboard first, and the theme that one has chosen."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage


def test_slash_searches_and_escape_leaves(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    page.keyboard.press("/")
    pattern = page.get_by_label("Pattern")
    expect(pattern).to_be_focused()
    page.keyboard.type("greeting")
    page.keyboard.press("Escape")
    expect(pattern).not_to_be_focused()
    page.keyboard.press("/")
    page.keyboard.press("Enter")
    expect(page.locator("#key-rows tr")).to_have_count(1 if pattern.input_value() == "greeting" else 100)


def test_j_and_k_move_through_the_rows_and_enter_opens(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys?pattern=[gjqt]*")
    links = page.locator("#key-rows [data-row-link]")
    expect(links).to_have_count(4)
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(links.nth(2)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(1)).to_be_focused()
    address = links.nth(1).get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page.locator("#value")).to_be_visible()
    assert page.url.endswith(address)


def test_g_and_a_letter_go_to_a_screen(open_page: OpenPage) -> None:
    page = open_page("/caches/main/")
    for letter, heading in (("k", "Keys"), ("a", "Audit"), ("o", "Overview")):
        page.goto("/caches/main/")
        page.keyboard.press("g")
        page.keyboard.press(letter)
        expect(page.locator("h1")).to_have_text(heading)


def test_letters_in_a_field_are_text(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys")
    page.get_by_label("Pattern").fill("")
    page.get_by_label("Pattern").press_sequentially("gk?j")
    expect(page.get_by_label("Pattern")).to_have_value("gk?j")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_question_mark_shows_the_help_and_escape_closes_it(open_page: OpenPage) -> None:
    page = open_page("/caches/main/")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Overview")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()


def test_the_chosen_theme_stays(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys", color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_text("Dark", exact=True).click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.goto("/audit")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    page.get_by_text("System", exact=True).click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
