"""Exports in the browser: from Keys to a file, by the form or of the ticked rows."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Download, expect

from tests.browser.conftest import OpenPage


def lines(download: Download) -> tuple[set[str], dict[str, Any]]:
    """The names in a file, and what its last line says."""
    *rows, last = [json.loads(line) for line in download.path().read_text(encoding="utf-8").splitlines()]
    return {row["key"] for row in rows}, last["end"]


def test_a_selection_becomes_a_file(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys?pattern=api:user:1%3F")
    page.get_by_role("link", name="Export…").click()
    expect(page.get_by_role("heading", name="Export keys")).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("Keys of api:user:1? go into a file")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export").click()
    assert waiting.value.suggested_filename == "cachedeck-main.jsonl"
    names, end = lines(waiting.value)
    assert names == {f"api:user:{number}" for number in range(10, 20)}
    assert end["complete"] is True


def test_the_ticked_rows_become_a_file(open_page: OpenPage) -> None:
    page = open_page("/caches/main/keys?pattern=api:user:1%3F")
    expect(page.locator("#search-status")).to_contain_text("Complete")
    for row in (0, 1):
        page.locator("#key-rows input[type=checkbox]").nth(row).check()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export").click()
    names, end = lines(waiting.value)
    assert len(names) == end["keys"] == 2
