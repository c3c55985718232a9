"""The vocabulary of the screens: documented as a whole, and nothing in it that the page's policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.views import filters

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
SCREENS = (ROOT / "docs" / "screens.md").read_text(encoding="utf-8")
FORBIDDEN = {
    "an inline script": r"<script(?![^>]*\ssrc=)",
    "an inline style": r"<style|\sstyle=",
    "an event handler": r"\son[a-z]+\s*=|hx-on",
    "an expression for eval": r"[\"']js:|hx-trigger=\"[^\"]*\[",
}
UNESCAPED = r"\|\s*safe\b|autoescape\s+false"
BUILDS_HTML = r"innerHTML\s*[+]?=|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function"


def of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_macro_is_documented() -> None:
    source = (ROOT / "templates" / "_macros.html").read_text(encoding="utf-8")
    macros = re.findall(r"macro (\w+)\(", source)
    assert macros
    assert [name for name in macros if f"`{name}(" not in SCREENS] == []


def test_every_filter_for_templates_is_documented() -> None:
    internal = {"short_parts", "bytes_parts", "hyphenated"}
    assert [name for name in filters.FILTERS if name not in internal and f"`{name}`" not in SCREENS] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=of)
def test_a_template_holds_nothing_that_the_content_security_policy_forbids(template: Path) -> None:
    source = re.sub(r"{#.*?#}", "", template.read_text(encoding="utf-8"), flags=re.DOTALL)
    markup = re.sub(r"{%.*?%}|{{.*?}}", "", source, flags=re.DOTALL)
    assert [what for what, pattern in FORBIDDEN.items() if re.search(pattern, markup)] == []
    assert re.findall(UNESCAPED, source) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=of)
def test_a_script_builds_no_html_from_text(script: Path) -> None:
    assert re.findall(BUILDS_HTML, script.read_text(encoding="utf-8")) == []


def test_every_script_and_style_sheet_is_loaded_by_a_template() -> None:
    sources = "".join(template.read_text(encoding="utf-8") for template in TEMPLATES)
    files = [*SCRIPTS, *(ROOT / "static" / "css").glob("*.css")]
    unused = [of(file) for file in files if f'"{file.stem}"' not in sources and file.name not in sources]
    assert unused == []
