from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from contextlib import closing, suppress

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import audit
from dashboard.store.audit import JSON, Change
from dashboard.store.audit_query import BadFilter, from_query, to_query
from dashboard.store.audit_text import differences
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.views.accounts import audit_verification
from tests.views.conftest import by_htmx, signed_in_client


class _Refused(Exception):
    sentence = "main refuses writes because it could not save its data to disk (MISCONF)."


def _write(
    store: Store,
    subject: str,
    *,
    actor: str = "otto",
    action: str = "key.ttl",
    before: JSON = None,
    after: JSON = None,
    reason: str = "",
    error: Exception | None = None,
) -> None:
    change = Change(actor, "192.0.2.1", "main", action, subject, before, reason)
    with suppress(_Refused), audit.record(store, change) as attempt:
        if error:
            raise error
        attempt.done(after=after)


def _leave_open(store: Store, subject: str) -> None:
    """As if the process had ended between a change's attempt and its outcome."""
    audit._begin(store, Change("otto", "192.0.2.1", "main", "key.delete", subject))


def _subjects(page: str) -> list[str]:
    rows = re.findall(r'<tr id="entry-\d+".*?</tr>', page, re.S)
    return [re.sub(r"<[^>]+>", "", re.findall(r"<td.*?</td>", row, re.S)[4]).strip() for row in rows]


class TestPage:
    def test_it_says_that_nothing_was_changed(self, viewer: FlaskClient, settings: Settings) -> None:
        with closing(sqlite3.connect(settings.database.removeprefix("sqlite:///"))) as own:
            own.execute("DELETE FROM audit")
            own.commit()
        assert "Nothing was changed yet." in viewer.get("/audit").text

    def test_it_tells_who_when_where_what_and_how_it_ended(self, viewer: FlaskClient, store: Store) -> None:
        _write(store, "api:user:42", before={"ttl": 30}, after={"ttl": 60}, reason="ticket 4711")
        page = viewer.get("/audit?action=key.ttl").text
        for text in ("otto", "192.0.2.1", "main", "key.ttl", "api:user:42", "ticket 4711", "done"):
            assert text in page
        assert re.search(r'class="before[^"]*">30<.*?class="after[^"]*">60<', page, re.S)

    def test_it_tells_why_a_change_failed(self, viewer: FlaskClient, store: Store) -> None:
        _write(store, "api:user:42", error=_Refused())
        page = viewer.get("/audit?status=failed").text
        assert "failed" in page
        assert "main refuses writes because it could not save" in page

    def test_it_claims_no_effect_of_a_change_that_failed(self, viewer: FlaskClient, store: Store) -> None:
        _write(store, "api:user:42", before={"ttl": 30}, error=_Refused())
        page = viewer.get("/audit?status=failed").text
        assert '<span class="quiet">was</span> 30' in page
        assert "nothing" not in page

    def test_an_open_entry_is_conspicuous(self, viewer: FlaskClient, store: Store) -> None:
        _leave_open(store, "api:user:42")
        page = viewer.get("/audit").text
        assert "open: never completed" in page
        assert "1 of these changes was begun and never completed" in page

    def test_it_shows_a_hostile_subject_as_text(self, viewer: FlaskClient, store: Store) -> None:
        _write(store, "<img src=x onerror=alert(1)>", before={"<b>": "<i>"}, after={"<b>": "<u>"})
        page = viewer.get("/audit").text
        assert "<img src=x" not in page
        assert "<i>" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page

    def test_it_shows_the_newest_first_and_leads_to_the_older(self, viewer: FlaskClient, store: Store) -> None:
        for number in range(105):
            _write(store, f"key-{number:03}")
        page = viewer.get("/audit?action=key.ttl").text
        assert _subjects(page) == [f"key-{n:03}" for n in range(104, 4, -1)]
        link = re.search(r'href="(/audit\?[^"]+)" rel="next"', page)
        assert link
        older = viewer.get(link.group(1).replace("&amp;", "&")).text
        assert _subjects(older) == [f"key-{n:03}" for n in range(4, -1, -1)]
        assert 'rel="next"' not in older
        assert "there are no older ones" in older

    @pytest.mark.parametrize("before", ["0", "-1", "x", str(2**70)])
    def test_a_wrong_place_in_the_trail_is_its_begin(self, viewer: FlaskClient, store: Store, before: str) -> None:
        _write(store, "api:user:42")
        assert "api:user:42" in viewer.get(f"/audit?before={before}").text


class TestFilters:
    @pytest.fixture(autouse=True)
    def _two_changes(self, store: Store) -> None:
        _write(store, "api:user:1", actor="otto", action="key.ttl")
        _write(store, "api:search:x", actor="ada", action="key.delete", error=_Refused())

    @pytest.mark.parametrize(
        "query",
        ["actor=otto", "action=key.ttl", "subject=USER", "status=done&cache=main", "cache=main&actor=otto"],
    )
    def test_it_shows_what_matches_only(self, viewer: FlaskClient, query: str) -> None:
        assert _subjects(viewer.get(f"/audit?{query}").text) == ["api:user:1"]

    def test_it_says_that_nothing_matches(self, viewer: FlaskClient) -> None:
        page = viewer.get("/audit?actor=nobody").text
        assert "No change matches." in page
        assert "Nothing was changed yet." not in page

    def test_it_filters_by_time(self, viewer: FlaskClient) -> None:
        hour = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 3600))
        assert _subjects(viewer.get(f"/audit?since={hour}").text) == []
        assert "api:user:1" in _subjects(viewer.get(f"/audit?until={hour}").text)

    def test_it_says_what_is_no_time_and_keeps_the_form(self, viewer: FlaskClient) -> None:
        answer = viewer.get("/audit?since=yesterday&actor=otto")
        assert answer.status_code == 422
        assert "&#39;yesterday&#39; is no time." in answer.text
        assert 'value="otto"' in answer.text
        assert _subjects(answer.text) == []

    def test_the_form_shows_the_filters_of_the_url(self, viewer: FlaskClient) -> None:
        page = viewer.get("/audit?actor=otto&status=done&since=2026-01-31T14:05").text
        assert 'value="otto"' in page
        assert '<option value="done" selected>' in page
        assert 'value="2026-01-31T14:05:00"' in page

    def test_a_query_survives_the_way_through_filters(self) -> None:
        query = {"actor": "ann", "subject": "a:*", "status": "open", "since": "2026-01-31T14:05:09"}
        assert to_query(from_query(query)) == query

    def test_a_time_is_utc_unless_it_names_a_zone(self) -> None:
        assert from_query({"since": "1970-01-01T01:00"}).since == 3600.0
        assert from_query({"since": "1970-01-01T01:00+01:00"}).since == 0.0
        assert from_query({"since": "1970-01-02"}).since == 86400.0

    @pytest.mark.parametrize("query", [{"since": "0001-01-01T00:00+14:00"}, {"until": "x"}, {"status": "closed"}])
    def test_it_refuses_what_it_cannot_use(self, query: dict[str, str]) -> None:
        with pytest.raises(BadFilter):
            from_query(query)


class TestExport:
    def test_it_gives_one_json_object_a_line_with_the_filters(self, operator: FlaskClient, store: Store) -> None:
        _write(store, "api:user:1", before={"ttl": 30}, after={"ttl": 60})
        _write(store, "other")
        answer = operator.get("/audit.jsonl?subject=api:")
        assert answer.mimetype == "application/x-ndjson"
        (line,) = answer.text.splitlines()
        entry = json.loads(line)
        assert (entry["actor"], entry["subject"], entry["status"]) == ("otto", "api:user:1", "done")
        assert (entry["before"], entry["after"]) == ({"ttl": 30}, {"ttl": 60})
        assert entry["time"].endswith("Z")

    def test_it_gives_the_oldest_first_and_all_of_them(self, operator: FlaskClient, store: Store) -> None:
        for number in range(120):
            _write(store, f"key-{number:03}")
        lines = operator.get("/audit.jsonl?action=key.ttl").text.splitlines()
        assert [json.loads(line)["subject"] for line in lines] == [f"key-{n:03}" for n in range(120)]

    def test_it_refuses_viewer(self, viewer: FlaskClient) -> None:
        assert viewer.get("/audit.jsonl").status_code == 403

    def test_it_is_offered_with_the_filters_to_those_who_may(self, viewer: FlaskClient, operator: FlaskClient) -> None:
        assert 'href="/audit.jsonl?actor=otto"' in operator.get("/audit?actor=otto").text
        assert "/audit.jsonl" not in viewer.get("/audit?actor=otto").text

    def test_it_refuses_a_filter_that_it_cannot_use(self, operator: FlaskClient) -> None:
        assert operator.get("/audit.jsonl?since=yesterday").status_code == 400


class TestVerification:
    def test_it_says_that_the_trail_is_whole(self, viewer: FlaskClient, store: Store) -> None:
        _write(store, "api:user:1")
        page = viewer.get("/audit/verification").text
        assert "The audit trail is whole." in page
        assert "<html" in page

    def test_it_is_a_fragment_for_htmx(self, viewer: FlaskClient) -> None:
        answer = viewer.get("/audit/verification", headers=by_htmx(viewer))
        assert "whole" in answer.text
        assert "<html" not in answer.text

    def test_it_finds_a_changed_entry(self, viewer: FlaskClient, store: Store, settings: Settings) -> None:
        _write(store, "api:user:1")
        with closing(sqlite3.connect(settings.database.removeprefix("sqlite:///"))) as own:
            own.execute("UPDATE audit SET subject = 'api:user:2' WHERE subject = 'api:user:1'")
            own.commit()
        page = viewer.get("/audit/verification").text
        assert "The audit trail is damaged." in page
        assert "was changed." in page

    def test_it_is_not_walked_again_within_a_minute(
        self, viewer: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert viewer.get("/audit/verification").status_code == 200
        monkeypatch.setattr(audit, "verify", lambda _store: pytest.fail("walked again"))
        assert "is whole" in viewer.get("/audit/verification").text

    def test_it_is_walked_again_after_that(
        self, viewer: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_verification, "FRESH_SECONDS", 0.0)
        rows = [re.search(r"(\d+) rows", viewer.get("/audit/verification").text)]
        _write(store, "api:user:1")
        rows.append(re.search(r"(\d+) rows", viewer.get("/audit/verification").text))
        first, second = (int(found[1]) for found in rows if found)
        assert second == first + 2

    def test_only_one_thread_walks_it(self, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:
        other = signed_in_client(app, Role.OPERATOR)
        entered, leave = threading.Event(), threading.Event()
        walk = audit.verify

        def slow(store: Store) -> audit.Verification:
            entered.set()
            leave.wait(120)
            return walk(store)

        monkeypatch.setattr(audit, "verify", slow)
        said: list[int] = []
        first = threading.Thread(target=lambda: said.append(viewer.get("/audit/verification").status_code))
        first.start()
        try:
            assert entered.wait(120)
            refused = other.get("/audit/verification")
        finally:
            leave.set()
            first.join(120)
        assert (said, refused.status_code) == ([200], 503)
        assert "is being verified" in refused.text


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"ttl": 30}, {"ttl": 60}, [("ttl", "30", "60")]),
        ({"ttl": 30, "type": "hash"}, {"ttl": None, "type": "hash"}, [("ttl", "30", "")]),
        (None, {"role": "viewer"}, [("role", "", "viewer")]),
        ({"a": 1}, None, [("a", "1", "")]),
        ("old", "new", [("", "old", "new")]),
        ({"n": [1, 2]}, {"n": [1]}, [("n", "[1, 2]", "[1]")]),
        (None, None, []),
    ],
)
def test_it_names_what_differs(before: JSON, after: JSON, expected: list[tuple[str, str, str]]) -> None:
    assert list(differences(before, after)) == expected
