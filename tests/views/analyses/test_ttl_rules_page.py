"""TTL rules: seen by all, changed by operators, each change with its before and after in the audit trail."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import audit, ttl_rules
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store
from dashboard.store.ttl_rules import EVERY_CACHE, MOST, Draft, TtlRule
from dashboard.views.duration_input import typed_duration
from tests.servers import Server
from tests.views.conftest import post

FORM = {
    "pattern": "report:*",
    "low": "15m",
    "high": "1h 30m",
    "why": "made each hour",
    "scope": "cache",
    "reason": "4711",
}
PATH = "/caches/main/ttl-rules"


@pytest.fixture
def settings(settings: Settings, valkey: Server) -> Settings:
    return settings.model_copy(
        update={"caches": Settings(caches=f"main={valkey.url} other={valkey.url}/1").caches}  # type: ignore[arg-type]
    )


def _named(store: Store, pattern: bytes, cache: str = "main") -> TtlRule | None:
    return next((rule for rule in ttl_rules.for_cache(store, cache) if rule.pattern == pattern), None)


def _last(store: Store, action: str) -> Entry:
    return audit.search(store, Filters(action=action))[0]


def test_it_shows_the_built_in_rules_to_everybody(viewer: FlaskClient) -> None:
    text = viewer.get(PATH).text
    assert "sess:*" in text
    assert "15\u202fmin to 30\u202fmin" in text
    assert "built in" in text
    assert "/removal" not in text


class TestAdd:
    def test_it_adds_one_for_this_cache_alone(self, operator: FlaskClient, store: Store) -> None:
        answer = post(operator, PATH, FORM)
        assert (answer.status_code, answer.location) == (303, PATH)
        made = _named(store, b"report:*")
        assert made
        assert (made.cache, made.low, made.high, made.reason, made.built_in) == (
            "main", 900, 5400, "made each hour", False,
        )  # fmt: skip
        assert _named(store, b"report:*", "other") is None
        assert "report:*" in operator.get(PATH).text
        entry = _last(store, "ttl_rule.add")
        assert (entry.cache, entry.subject, entry.before, entry.reason) == ("main", "report:*", None, "4711")
        assert isinstance(entry.after, dict)
        assert entry.after["holds for"] == "main"

    def test_it_adds_one_for_every_cache(self, operator: FlaskClient, store: Store) -> None:
        post(operator, PATH, {**FORM, "scope": "every"})
        assert _named(store, b"report:*", "other")

    @pytest.mark.parametrize(
        ("field", "typed", "sentence"),
        [
            ("pattern", "", "1 to 512 bytes"),
            ("pattern", "rep?rt", "knows * only"),
            ("pattern", "*" * 9, "at most 8 stars"),
            ("low", "soon", "Write a time such as"),
            ("low", "2h", "its lower end first"),
            ("high", "20000d", "between 1 s and"),
            ("low", "0", "between 1 s and"),
        ],
    )
    def test_it_says_what_is_wrong_and_keeps_what_was_typed(
        self, field: str, typed: str, sentence: str, operator: FlaskClient, store: Store
    ) -> None:
        before = ttl_rules.for_cache(store, "main")
        answer = post(operator, PATH, {**FORM, field: typed})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert 'value="made each hour"' in answer.text
        assert ttl_rules.for_cache(store, "main") == before

    def test_it_refuses_a_pattern_that_has_a_rule(self, operator: FlaskClient, store: Store) -> None:
        post(operator, PATH, FORM)
        answer = post(operator, PATH, FORM)
        assert answer.status_code == 422
        assert "There is a rule for this pattern already." in answer.text
        assert _last(store, "ttl_rule.add").status == "failed"

    def test_it_refuses_more_than_a_server_can_check(self, operator: FlaskClient, store: Store) -> None:
        for number in range(MOST - len(ttl_rules.for_cache(store, "main"))):
            ttl_rules.create(store, Draft("main", b"%d:*" % number, 1.0, 2.0, ""))
        answer = post(operator, PATH, FORM)
        assert answer.status_code == 422
        assert f"at most {MOST} TTL rules" in answer.text


class TestChange:
    def test_it_changes_a_built_in_rule_and_audits_both_sides(self, operator: FlaskClient, store: Store) -> None:
        rule = _named(store, b"sess:*")
        assert rule
        post(operator, f"{PATH}/{rule.id}", {**FORM, "pattern": "sess:*", "scope": "every"})
        changed = ttl_rules.by_id(store, rule.id)
        assert changed
        assert (changed.low, changed.high, changed.cache, changed.built_in) == (900, 5400, EVERY_CACHE, True)
        entry = _last(store, "ttl_rule.change")
        assert isinstance(entry.before, dict)
        assert isinstance(entry.after, dict)
        assert (entry.before["range"], entry.after["range"]) == (
            "15\u202fmin to 30\u202fmin",
            "15\u202fmin to 1\u202fh 30\u202fmin",
        )

    def test_a_mistake_leaves_it_as_it_was(self, operator: FlaskClient, store: Store) -> None:
        rule = _named(store, b"sess:*")
        assert rule
        answer = post(operator, f"{PATH}/{rule.id}", {**FORM, "high": "1s"})
        assert answer.status_code == 422
        assert ttl_rules.by_id(store, rule.id) == rule

    def test_a_rule_of_another_cache_does_not_exist_here(self, operator: FlaskClient, store: Store) -> None:
        theirs = ttl_rules.create(store, Draft("other", b"x:*", 1.0, 2.0, ""))
        assert post(operator, f"{PATH}/{theirs.id}", FORM).status_code == 404
        assert post(operator, f"{PATH}/{theirs.id}/removal").status_code == 404
        assert ttl_rules.by_id(store, theirs.id) == theirs


class TestRemoval:
    def test_it_removes_one_and_says_what_it_was(self, operator: FlaskClient, store: Store) -> None:
        rule = _named(store, b"sess:*")
        assert rule
        assert post(operator, f"{PATH}/{rule.id}/removal").status_code == 303
        assert ttl_rules.by_id(store, rule.id) is None
        entry = _last(store, "ttl_rule.remove")
        assert isinstance(entry.before, dict)
        assert entry.before["pattern"] == "sess:*"
        assert post(operator, f"{PATH}/{rule.id}/removal").status_code == 404

    def test_a_cache_without_rules_says_so(self, operator: FlaskClient, store: Store) -> None:
        for rule in ttl_rules.for_cache(store, "main"):
            ttl_rules.remove(store, rule.id)
        assert "No TTL rule holds for main" in operator.get(PATH).text


def test_a_viewer_changes_nothing(viewer: FlaskClient, store: Store) -> None:
    before = ttl_rules.for_cache(store, "main")
    for path in (PATH, f"{PATH}/1", f"{PATH}/1/removal"):
        assert post(viewer, path, FORM).status_code == 403
    assert ttl_rules.for_cache(store, "main") == before


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1s"), (90, "1m 30s"), (5400, "1h 30m"), (86400 * 3650, "3650d"), (1.5, "1.5")]
)
def test_a_time_is_shown_as_it_may_be_typed(seconds: float, text: str) -> None:
    assert typed_duration(seconds) == text
