"""axe-core on a page: its serious and critical findings, as lines that name the element."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_GRAVE = {"serious", "critical"}
_ONLY_COLOUR = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
# A colour that is on its way to another is neither.
_RUN = """async (options) => {
  await Promise.allSettled(document.getAnimations().map((one) => one.finished));
  // The rows of a list are alike: the first few speak for all.
  return axe.run({ exclude: ["#key-rows tr:nth-child(n + 9)"] }, options);
}"""


def violations(page: Page, source: str, *, only_colour: bool = False) -> list[str]:
    """Serious and critical violations of the page as it stands now.

    The source goes in by the browser's debugging protocol, which the Content-Security-Policy does not govern.
    """
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(source + "; undefined")
    found: dict[str, Any] = page.evaluate(
        "(options) => axe.run(document, options)", _ONLY_COLOUR if only_colour else {}
    )
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in _GRAVE
        for node in one["nodes"]
    ]
