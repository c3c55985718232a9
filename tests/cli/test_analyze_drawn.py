"""What `cachedeck analyze` says of a snapshot: what was counted reads otherwise than what was estimated."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from dashboard.cache.analysis.design import design_findings
from dashboard.cache.analysis.report import BigKey, Report, RuleRow, Snapshot
from dashboard.cache.analysis.slots import TTL_LABELS
from dashboard.cache.estimate import NOTHING, Estimate, exactly
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.walking.progress import Progress
from dashboard.cli import analyze_json, analyze_tables
from dashboard.cli.analyze_tables import number, size
from tests.programs import ROOT
from tests.snapshots import KINDS, snapshot

_GROUPS = ("types", "encodings")  # documented together with `ttl`


def drawn(snap: Snapshot, top: int = 20) -> str:
    findings = design_findings(snap.report, Selection(), b":")
    return "\n".join(analyze_tables.lines(snap.progress, snap.report, findings, top))


def written(snap: Snapshot, top: int | None = None) -> dict[str, Any]:
    """As JSON, and read back."""
    report = analyze_json.of_report(snap.report, top)
    found: dict[str, Any] = json.loads(json.dumps(report, allow_nan=False))
    return found


def numbers(value: Any) -> list[Any]:
    """Every figure of the parts that count keys or bytes."""
    if isinstance(value, list):
        return [one for part in value for one in numbers(part)]
    if isinstance(value, dict) and "low" not in value:
        return [one for name in ("keys", "memory") if name in value for one in [value[name]]]
    return []


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (exactly(1_234_567), "1,234,567"),
        (Estimate(1000.4, 950.2, 1060.0), "1,000 +- 55"),
        (Estimate(0.0, 0.0, 74.2), "0 (to 75)"),
        (Estimate(5.0, 0.0, math.inf), "5 or more"),
        (NOTHING, "0"),
    ],
)
def test_a_count_says_whether_it_is_exact(estimate: Estimate, words: str) -> None:
    assert number(estimate) == words


def test_a_size_says_whether_it_is_exact_and_whether_it_is_told() -> None:
    assert size(exactly(64 * 2**20)) == "64 MB"
    assert size(Estimate(64 * 2**20, 62 * 2**20, 66 * 2**20)) == "64 MB +- 2 MB"
    assert size(None) == "?"


def test_exact_figures_are_plain_integers() -> None:
    found = written(snapshot())
    assert found["keys"] == 1_012_400
    assert all(isinstance(one, int) for one in (found["keys"], found["memory"], found["without_ttl"]))
    for part in ("ttl", "types", "encodings", "namespaces", "biggest", "expiry", "cliffs"):
        assert found[part]
        assert all(type(one) is int for one in numbers(found[part])), part
    assert {row["name"]: row["keys"] for row in found["namespaces"]} == {kind.name: kind.keys for kind in KINDS}
    assert all(type(row[name]) is int for row in found["rules"] for name in ("inside", "below", "above", "without_ttl"))


def test_estimates_are_a_value_within_an_interval() -> None:
    found = written(snapshot(0.05))
    for part in ("ttl", "types", "encodings", "namespaces", "cliffs"):
        for one in (row["keys"] for row in found[part]):
            assert set(one) == {"value", "low", "high"}
            assert 0 <= one["low"] <= one["value"] <= one["high"]
            assert one["low"] < one["high"]
    assert {row["keys"]["low"] < row["keys"]["high"] for row in found["expiry"]} == {True}
    assert {row["memory"] for row in found["expiry"]} == {None}  # no interval is known of it


def test_an_interval_without_an_upper_end_is_still_json() -> None:
    assert analyze_json.figure(Estimate(3.0, 1.0, math.inf)) == {"value": 3, "low": 1, "high": None}


def test_what_is_not_told_is_null() -> None:
    found = written(snapshot(memory=False))
    assert found["memory"] is None
    assert found["without_ttl_memory"] is None
    assert {row["memory"] for row in found["namespaces"]} == {None}


def test_a_namespace_has_its_ttls_by_name() -> None:
    row = next(row for row in written(snapshot())["namespaces"] if row["name"] == "catalogue:*")
    assert list(row["ttl"]) == list(TTL_LABELS)
    assert row["without_ttl"] == row["keys"] == 40_000


def test_a_key_without_ttl_has_null_and_not_minus_one() -> None:
    biggest = {key["name"]: key["ttl"] for key in written(snapshot())["biggest"]}
    assert biggest["leaderboard:week"] is None
    assert biggest["api:user:42:posts"] == 600


def test_slots_follow_each_other_in_time() -> None:
    rows = written(snapshot())["expiry"]
    assert all(row["from"] < row["to"] for row in rows)
    assert all(one["to"] <= other["from"] for one, other in pairwise(rows))


def test_top_bounds_namespaces_and_biggest_keys_only() -> None:
    snap = snapshot()
    found = written(snap, 2)
    assert (len(found["namespaces"]), len(found["biggest"])) == (2, 2)
    assert found["namespaces_found"] == len(KINDS)
    assert len(found["types"]) == 3
    text = drawn(snap, 2)
    assert f"... and {len(KINDS) - 2} more" in text
    assert "rate:10.0.0.7" not in text.partition("Biggest keys")[2].partition("Cliffs")[0]


def test_the_tables_say_that_they_are_exact() -> None:
    text = drawn(snapshot())
    assert text.startswith("1,012,400 keys, 1.5 GB; 41,000 never expire (93.5 MB).\nExact: every key was examined")
    assert "+-" not in text
    for title in (
        "Namespaces",
        "Time to live",
        "Types",
        "Encodings",
        "Idle for",
        "Biggest keys",
        "Cliffs",
        "TTL rules",
    ):
        assert f"\n\n{title}" in text
    assert "12,400 keys within 2 s, usually 467/s: api:search:*" in text
    assert "Key design" in text


def test_the_tables_say_that_they_are_estimates() -> None:
    text = drawn(snapshot(0.05))
    assert "Estimated from 50,620 of 1,012,400 keys, with 95 % intervals" in text
    assert "420,000 +- 4,236" in text
    assert text.isascii()


def test_keys_that_never_expire_are_a_row_of_the_ttl_table() -> None:
    table = drawn(snapshot()).partition("Time to live\n")[2].partition("\n\n")[0].splitlines()
    assert table[-1].split() == ["41,000", "93.5", "MB", "no", "TTL"]
    timed = replace(snapshot().report, without_ttl=exactly(0))
    assert "no TTL" not in drawn(Snapshot(snapshot().progress, timed))


def test_durations_are_written_as_on_the_screens() -> None:
    report = replace(snapshot().report, rules=(rule("u:*", 3600, 86400, 7), rule("s:*", 5400, 129_600, 7)))
    text = drawn(Snapshot(snapshot().progress, report))
    assert "1 h to 1 d  u:*" in text
    assert "1 h 30 min to 1 d 12 h  s:*" in text


def test_rules_of_no_key_take_one_line_and_long_reasons_none() -> None:
    short, long = "as long as its window", "so that " * 20
    rules = (rule("a:*", 1, 60, 3, short), rule("b:*", 1, 60, 3, long), *(rule(f"n{n}:*", 1, 60, 0) for n in range(12)))
    text = drawn(Snapshot(snapshot().progress, replace(snapshot().report, rules=rules)))
    table = text.partition("TTL rules\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[-1] for line in table[1:3]] == ["window)", "b:*"]
    assert table[3] == f"TTL rules that match no key: {', '.join(f'n{n}:*' for n in range(10))} and 2 more"
    assert len(table) == 4
    some = drawn(Snapshot(snapshot(0.05).progress, replace(snapshot(0.05).report, rules=rules[2:4])))
    assert "\n\nTTL rules that match no key seen: n0:*, n1:*\n" in some
    assert "without TTL  range" not in some


def rule(pattern: str, low: float, high: float, keys: int, reason: str = "") -> RuleRow:
    """A rule within which so many keys lie."""
    return replace(
        snapshot().report.rules[0],
        pattern=pattern,
        low=low,
        high=high,
        reason=reason,
        inside=exactly(keys),
        below=NOTHING,
        above=NOTHING,
        without=NOTHING,
    )


def test_figures_stand_below_each_other() -> None:
    table = drawn(snapshot(0.05)).partition("Types\n")[2].partition("\n\n")[0].splitlines()
    assert len({line.rindex("  ") for line in table}) == 1


def test_memory_that_is_not_told_is_a_question_mark_and_said() -> None:
    said = "MEMORY USAGE is denied: sizes are left out."
    text = drawn(snapshot(memory=False, missing=(said,)))
    assert said in text.splitlines()
    assert "1,012,400 keys; 41,000 never expire." in text
    assert "420,000       ?" in text


def test_nothing_is_no_table() -> None:
    assert drawn(snapshot(kinds=(), cliff=False)).splitlines()[0] == "No keys."
    assert len(drawn(snapshot(kinds=(), cliff=False)).splitlines()) == 2


def test_a_very_long_name_takes_one_short_line() -> None:
    report = replace(Report(0.0, keys=exactly(1)), biggest=(BigKey("x" * 200, "string", 100_048, -1.0, cut=99_800),))
    line = next(line for line in drawn(Snapshot(Progress(1, 1, ended=True), report)).splitlines() if "xxx" in line)
    assert len(line) < 160
    assert "x" * 60 in line
    assert f"({100_000 - 66:,} more)" in line


def test_every_field_is_documented_and_no_other() -> None:
    snap = snapshot()
    whole = {"cache", "selection", "stopped", "findings", *analyze_json.of_progress(snap.progress), *written(snap)}
    section = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8").partition("## As JSON")[2]
    rows = {
        name: description
        for names, description in re.findall(r"^\| (`[a-z_`, ]+`) \| (.*) \|$", section, re.MULTILINE)
        for name in re.findall("`([a-z_]+)`", names)
    }
    assert set(rows) == whole
    findings = analyze_json.of_findings(design_findings(snap.report, Selection(), b":"))
    for name, parts in {**written(snap), "findings": findings, "selection": findings[0]["selection"]}.items():
        one = parts[0] if isinstance(parts, list) and parts else parts
        fields = one if isinstance(one, dict) else ()
        assert [field for field in fields if f"`{field}`" not in rows[name] and name not in _GROUPS] == [], name
