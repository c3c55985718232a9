"""docs/findings.md lists every rule of the findings as it is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.cache.findings.rule import Rule
from dashboard.cache.findings.rules import BY_ID, RULES
from dashboard.store.schema import SilenceRow

TEXT = (Path(__file__).parent.parent / "docs" / "findings.md").read_text(encoding="utf-8")
FOUND: list[tuple[str, str]] = re.findall(r"^\| `([^`]+)` \| (.+) \|$", TEXT, re.MULTILINE)
ROWS = dict(FOUND)


def test_every_rule_is_documented_and_no_other() -> None:
    assert sorted(name for name, _ in FOUND) == sorted(BY_ID)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_what_is_documented_of_it_is_so(rule: Rule) -> None:
    assert ROWS[rule.id] == f"{rule.says} | {rule.threshold} | {rule.source}"


def test_a_rule_is_named_once_and_its_name_can_be_kept() -> None:
    assert len(BY_ID) == len(RULES)
    longest = SilenceRow.__table__.c.rule.type.length
    for name in BY_ID:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert len(name) <= longest
