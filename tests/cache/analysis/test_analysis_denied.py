"""An analysis by a user who may not do everything: it ends, says what is left out, and the rest is right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from dashboard.cache.analysis.report import Report
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.errors import Denied
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from tests.cache.analysing import analysed, complete, opened_as
from tests.servers import Server

RULES = (Rule(b"app:*", 100, 3000),)


@pytest.fixture
def filled(valkey: Server) -> Server:
    """Six hundred keys of four namespaces and three types; half of app's expire."""
    with valkey.client() as client, client.pipeline(transaction=False) as pipe:
        for number in range(300):
            pipe.set(f"app:{number}", "v" * number, ex=2000 if number % 2 else None)
        for number in range(100):
            pipe.hset(f"session:{number}", mapping={f"f{n}": "v" for n in range(number % 4 + 1)})
            pipe.rpush(f"queue:{number}", "a", "b")
            pipe.set(f"other:{number}", "v")
        pipe.execute()
    return valkey


@pytest.fixture
def truth(filled: Server) -> Report:
    """What everybody sees; tests/contract/test_analysis.py counts that by hand."""
    with closing(Cache(parse_target(f"shop={filled.url}"))) as cache:
        return complete(cache, rules=RULES)


def _seen(server: Server, rules: str) -> Report:
    with opened_as(server, rules) as cache:
        report = complete(cache, rules=RULES)
    assert report.keys.value == 600
    return report


def _says(report: Report, *texts: str) -> None:
    said = " ".join((*report.missing, *report.notes))
    for text in texts:
        assert text in said, report


def _keys(report: Report) -> dict[str, float]:
    return {row.name: row.keys.value for row in report.namespaces}


EQUAL: dict[str, Callable[[Report], object]] = {
    "keys": _keys,
    "types": lambda report: [(group.name, group.keys) for group in report.types],
    "memory": lambda report: (report.memory, [(row.name, row.memory) for row in report.namespaces]),
    "ttl": lambda report: (report.without_ttl, [group.keys for group in report.ttl]),
    "encodings": lambda report: [(group.name, group.keys) for group in report.encodings],
    "rules": lambda report: [(row.inside, row.below, row.above, row.without) for row in report.rules],
    "members": lambda report: sorted((key.name, key.members) for key in report.biggest if key.type == "hash"),
}


def _the_same_but_for(report: Report, truth: Report, *left_out: str) -> None:
    for name, figure in EQUAL.items():
        if name not in left_out:
            assert figure(report) == figure(truth), name


def test_without_eval_ro_the_script_runs_by_eval(filled: Server, truth: Report) -> None:
    report = _seen(filled, "-eval_ro")
    assert report.method == "script"
    assert report.missing == truth.missing == ()
    _the_same_but_for(report, truth)


def test_without_scripts_it_takes_longer(filled: Server, truth: Report) -> None:
    report = _seen(filled, "-eval -eval_ro")
    assert report.method == "pipelines"
    _says(report, "EVAL", "pipelines", "several times as long")
    _the_same_but_for(report, truth)


@pytest.mark.parametrize("scripts", ["", " -eval -eval_ro"])
def test_without_memory_usage_no_bytes_are_told(filled: Server, truth: Report, scripts: str) -> None:
    report = _seen(filled, "-memory" + scripts)
    _says(report, "MEMORY USAGE: not allowed for this user", "memory is left out")
    assert report.memory is None
    assert report.without_ttl_memory is None
    assert report.sizes is None
    assert report.biggest == ()
    assert all(row.memory is None and row.sizes is None for row in report.namespaces)
    assert all(group.memory is None for group in (*report.types, *report.ttl, *report.encodings))
    assert _keys(report) == _keys(truth)
    _the_same_but_for(report, truth, "memory", "members")


@pytest.mark.parametrize("scripts", ["", " -eval -eval_ro"])
def test_without_object_no_encodings_are_told(filled: Server, truth: Report, scripts: str) -> None:
    report = _seen(filled, "-object" + scripts)
    _says(report, "OBJECT: not allowed for this user", "encodings and idle times are left out")
    assert report.encodings == ()
    assert report.activity.kind == ""
    _the_same_but_for(report, truth, "encodings")


@pytest.mark.parametrize("scripts", ["", " -eval -eval_ro"])
def test_without_pttl_no_ttls_are_told(filled: Server, truth: Report, scripts: str) -> None:
    report = _seen(filled, "-pttl" + scripts)
    _says(report, "PTTL: not allowed for this user", "TTLs, the forecast, cliffs and rules are left out")
    for figures in (report.ttl, report.cliffs, report.rules, report.expiry.keys):
        assert figures == ()
    assert report.without_ttl_memory is None
    _the_same_but_for(report, truth, "ttl", "rules")


def test_without_dbsize_nothing_is_estimated_before_the_end(filled: Server, truth: Report) -> None:
    report = _seen(filled, "-dbsize")
    _says(report, "DBSIZE: not allowed for this user")
    _the_same_but_for(report, truth)


def test_without_info_all_is_counted(filled: Server, truth: Report) -> None:
    report = _seen(filled, "-info")
    _the_same_but_for(report, truth)


@pytest.mark.parametrize("scripts", ["", " -eval -eval_ro"])
def test_without_a_command_for_members_these_are_left_out_and_that_is_told(
    filled: Server, truth: Report, scripts: str
) -> None:
    report = _seen(filled, "-hlen" + scripts)
    assert {key.members for key in report.biggest if key.type == "hash"} <= {None}
    rows = {row.name: row.odd for row in report.namespaces}
    assert "one element" not in rows["session:*"]
    _says(report, "Members of 100 collections", "HLEN")
    _the_same_but_for(report, truth, "members")


def test_without_no_touch_members_are_not_counted(filled: Server, truth: Report) -> None:
    report = _seen(filled, "-client|no-touch")
    _says(report, "CLIENT NO-TOUCH", "members of collections are not counted")
    _the_same_but_for(report, truth, "members")


def test_keys_beyond_a_users_prefix_are_counted_as_left_out(filled: Server, truth: Report) -> None:
    with opened_as(filled, "", keys="~app:*") as cache:
        last = analysed(cache, rules=RULES)
    report = last.report
    assert last.progress.complete
    assert _keys(report) == {"app:*": 300}
    assert (report.keys.value, report.keys.exact) == (300, True)
    _says(report, "300 keys are left out")
    mine = {row.name: row for row in truth.namespaces}["app:*"]
    (row,) = report.namespaces
    assert (row.memory, row.without_ttl, row.ttl) == (mine.memory, mine.without_ttl, mine.ttl)
    assert [(rule.inside, rule.without) for rule in report.rules] == [
        (rule.inside, rule.without) for rule in truth.rules
    ]


def test_without_scan_it_fails_in_a_sentence(filled: Server) -> None:
    with opened_as(filled, "-scan") as cache, pytest.raises(Denied, match="SCAN"):
        list(analyze(cache, Selection(), Options(Budget(share=1.0))))


@pytest.mark.parametrize(
    ("rules", "selection", "command"),
    [("-pttl", Selection(ttl="any"), "PTTL"), ("-memory", Selection(size=">10"), "MEMORY USAGE")],
)
def test_a_selection_by_what_may_not_be_asked_fails_in_a_sentence(
    filled: Server, rules: str, selection: Selection, command: str
) -> None:
    with opened_as(filled, rules) as cache, pytest.raises(Denied, match=command):
        list(analyze(cache, selection, Options(Budget(share=1.0))))


def test_what_is_denied_together_is_left_out_together(filled: Server, truth: Report) -> None:
    report = _seen(filled, "-@all +scan +type +ping +client")
    assert report.method == "pipelines"
    assert len(report.missing) >= 5
    _the_same_but_for(report, truth, "memory", "ttl", "encodings", "rules", "members")
