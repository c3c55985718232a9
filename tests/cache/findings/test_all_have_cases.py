"""Every rule has a case on a real server that triggers it and one that does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.cache.findings.rules import RULES

TESTS = Path(__file__).parent
SOURCES = "".join(file.read_text() for file in (*TESTS.glob("test_*.py"), TESTS.parents[1] / "jobs/test_knowing.py"))
ELSEWHERE = {"trial-stuck", "trial-overdue", "slow-commands", "stampede"}
"""In tests/jobs/test_knowing.py, which asks for findings as a page does."""


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_it_has_a_case_that_triggers_it_and_one_that_does_not(rule: str) -> None:
    if rule in ELSEWHERE:
        assert f'"{rule}"' in SOURCES
        return
    assert re.search(rf'((?<!un)said\(\s*|any\(one\.rule == )"{rule}"', SOURCES)
    assert f'unsaid("{rule}"' in SOURCES


def test_the_ids_of_rules_are_unlike_and_plain() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule) and len(rule) <= 64 for rule in ids)
