"""What is turned in the Lab: only what was changed in a form, by operators, and written down."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.settings import Settings
from dashboard.store import audit
from dashboard.store.audit import Entry, Filters
from dashboard.store.operators import Role
from tests.lab.bench import Bench
from tests.servers import HOST, free_port
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client, token

MakeApp = Callable[[Settings], Flask]
CHANGES: dict[str, dict[str, str]] = {
    "/lab/knobs": {"pattern": "write-behind", "had.pattern": "cache-aside"},
    "/lab/traffic": {"rate": "20", "had.rate": "150"},
    "/lab/scenarios": {"name": "outage"},
    "/lab/comparisons": {"seconds": "30", "seed": "7", "prevention": ""},
    "/lab/comparisons/cancellation": {},
}


@pytest.fixture
def operator(lab: Flask) -> FlaskClient:
    return signed_in_client(lab, Role.OPERATOR)


def entries(lab: Flask) -> list[Entry]:
    """What the trail has of the Lab, the newest first."""
    found = audit.search(deck_of(lab).store, Filters())
    return [one for one in found if one.action.startswith("lab.")]


def follow(client: FlaskClient, answer: TestResponse) -> str:
    assert (answer.status_code, answer.location) == (303, "/lab"), answer.text
    return client.get("/lab").text


@pytest.mark.parametrize("path", CHANGES)
def test_viewers_turn_nothing(lab: Flask, bench: Bench, path: str) -> None:
    assert post(signed_in_client(lab, Role.VIEWER), path, CHANGES[path]).status_code == 403
    assert bench.asked == []
    assert entries(lab) == []


@pytest.mark.parametrize("path", CHANGES)
def test_nothing_is_turned_without_a_token_of_this_session(operator: FlaskClient, bench: Bench, path: str) -> None:
    assert operator.post(path, data=CHANGES[path]).status_code == 400
    assert bench.asked == []


@pytest.mark.parametrize("path", CHANGES)
def test_a_link_turns_nothing(operator: FlaskClient, bench: Bench, path: str) -> None:
    assert operator.get(path).status_code == 405
    assert bench.asked == []


def test_only_what_was_changed_in_the_form_is_sent(operator: FlaskClient, bench: Bench, lab: Flask) -> None:
    form = {
        "pattern": "write-behind",
        "had.pattern": "cache-aside",
        "prevention": "none",
        "had.prevention": "none",
        "had.jitter": "yes",
        "copies": "yes",
        "had.copies": "yes",
        "had.events": "no",
        "latency_ms": "12.5",
        "had.latency_ms": "5",
        "ttl_scale": "1",
        "had.ttl_scale": "1",
    }
    page = follow(operator, post(operator, "/lab/knobs", form))
    assert bench.asked == [("PUT", "/bench/knobs", {"pattern": "write-behind", "jitter": False, "latency_ms": 12.5})]
    assert "Turned: pattern Write-behind, Jitter off, query latency 12.5." in page
    (entry,) = entries(lab)
    assert (entry.action, entry.actor, entry.subject, entry.cache) == ("lab.knobs", "otto", "demo", "")
    assert entry.before == {"pattern": "cache-aside", "jitter": True, "latency_ms": 5.0}
    assert entry.after == {"pattern": "write-behind", "jitter": False, "latency_ms": 12.5}


def test_a_form_as_it_was_drawn_turns_nothing(operator: FlaskClient, bench: Bench, lab: Flask) -> None:
    page = operator.get("/lab").text
    for path in ("/lab/knobs", "/lab/traffic"):
        form = re.search(rf'<form[^>]*action="{path}".*?</form>', page, re.DOTALL)
        assert form
        after = follow(operator, post(operator, path, fields(form.group())))
        assert ("all stands as it was" in after) is (path == "/lab/knobs")
        assert ("visitors go on as before" in after) is (path == "/lab/traffic")
    assert bench.asked == []
    assert entries(lab) == []


def fields(form: str) -> dict[str, str]:
    """What a browser would send of a form that nobody has touched."""
    found = {}
    for one in re.findall(r"<input[^>]*>", form):
        told = dict(re.findall(r'([a-z.-]+)="([^"]*)"', one))
        if told.get("type") not in ("radio", "checkbox") or " checked" in one:
            found[told["name"]] = told.get("value", "")
    found.pop("csrf_token")
    return found


def test_what_somebody_else_has_turned_meanwhile_is_not_turned_back(operator: FlaskClient, bench: Bench) -> None:
    bench.knobs["pattern"] = "read-through"
    post(
        operator,
        "/lab/knobs",
        {"pattern": "cache-aside", "had.pattern": "cache-aside", "jitter": "yes", "had.jitter": "no"},
    )
    assert bench.asked == [("PUT", "/bench/knobs", {"jitter": True})]


def test_visitors_are_changed_with_shares_as_ratios(operator: FlaskClient, bench: Bench, lab: Flask) -> None:
    form = {"rate": "1 500", "had.rate": "150", "write_share": "12.5", "had.write_share": "5", "users": "50"}
    page = follow(operator, post(operator, "/lab/traffic", form))
    assert bench.asked == [("PUT", "/bench/traffic", {"rate": 1500.0, "users": 50, "write_share": 0.125})]
    assert "Changed: Requests a second 1500, Users 50, Writes 12.5 %." in page
    assert entries(lab)[0].after == {"rate": 1500.0, "users": 50, "write_share": 0.125}


@pytest.mark.parametrize(
    ("path", "form", "sentence"),
    [
        ("/lab/knobs", {"latency_ms": "soon"}, "The latency of a query is a number."),
        ("/lab/knobs", {"ttl_scale": "nan"}, "The factor of TTLs is a number."),
        ("/lab/traffic", {"rate": "1e999"}, "Requests a second is a number."),
        ("/lab/scenarios", {"name": "nothing"}, "Choose a scenario that the demo has."),
        ("/lab/scenarios", {}, "Choose a scenario that the demo has."),
        ("/lab/comparisons", {"seconds": "61", "seed": "1"}, "Choose how long each pattern is to run."),
        ("/lab/comparisons", {"seconds": "60", "seed": "-1"}, "The seed is a whole number"),
        ("/lab/comparisons", {"seconds": "60", "seed": "x"}, "The seed is a whole number"),
        ("/lab/comparisons", {"seconds": "60", "seed": "1", "prevention": "luck"}, "Choose a stampede prevention"),
    ],
)
def test_nonsense_is_refused_before_the_demo_is_asked(
    operator: FlaskClient, bench: Bench, lab: Flask, path: str, form: dict[str, str], sentence: str
) -> None:
    answer = post(operator, path, form)
    assert answer.status_code == 400
    assert sentence in answer.text
    assert bench.asked == []
    assert entries(lab) == []


def test_what_the_demo_will_not_is_told_in_its_words_and_written_down(
    operator: FlaskClient, bench: Bench, lab: Flask
) -> None:
    answer = post(operator, "/lab/traffic", {"rate": "0"})
    assert answer.status_code == 409
    assert "The demo will not: rate must be a number from 1 to 5000." in answer.text
    (entry,) = entries(lab)
    assert entry.status == "failed"


def test_by_htmx_a_refusal_lands_in_the_alerts(operator: FlaskClient, bench: Bench) -> None:
    bench.refusal = 409, "a comparison runs"
    answer = operator.post("/lab/scenarios", data={"name": "outage"}, headers=by_htmx(operator))
    assert answer.status_code == 409
    assert answer.headers["HX-Retarget"] == "#alerts"
    assert "The demo will not: a comparison runs." in answer.text


def test_by_htmx_the_page_is_brought_up_to_date_without_being_loaded_anew(operator: FlaskClient) -> None:
    data = {"name": "outage", "csrf_token": token(operator)}
    answer = operator.post("/lab/scenarios", data=data, headers=by_htmx(operator), follow_redirects=True)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    for part in ("#results", "#answer", "#lab-scenarios", "#lab-knobs", "#lab-compare", "#lab-comparison"):
        assert f'hx-target="{part}"' in answer.text
    assert "Scenario: Cache outage." in answer.text
    assert "Scenario:" not in operator.get("/lab").text


def test_a_scenario_begins_and_is_ended_by_the_first_one(operator: FlaskClient, bench: Bench, lab: Flask) -> None:
    page = follow(operator, post(operator, "/lab/scenarios", {"name": "outage"}))
    assert re.search(r'name="name" value="steady">\s*<button[^>]*>End<span class="sr"> Cache outage', page)
    post(operator, "/lab/scenarios", {"name": "steady"})
    assert [sent for _, _, sent in bench.asked] == [{"name": "outage"}, {"name": "steady"}]
    assert [(one.before, one.after) for one in entries(lab)] == [
        ({"scenario": "outage"}, {"scenario": "steady"}),
        ({"scenario": "steady"}, {"scenario": "outage"}),
    ]


def test_a_comparison_is_begun_and_cancelled(operator: FlaskClient, bench: Bench, lab: Flask) -> None:
    page = follow(operator, post(operator, "/lab/comparisons", {"seconds": "30", "seed": "7", "prevention": "mutex"}))
    assert "Comparing 4 patterns, 30 s each." in page
    assert ">Cancel</button>" in page
    page = follow(operator, post(operator, "/lab/comparisons/cancellation"))
    assert "The comparison was cancelled; what it has found so far stays." in page
    assert [one[:2] for one in bench.asked] == [("POST", "/bench/comparison"), ("DELETE", "/bench/comparison")]
    cancelled, begun = entries(lab)
    assert begun.after == {"seconds": 30, "seed": 7, "prevention": "mutex"}
    assert cancelled.action == "lab.comparison.cancel"


def test_a_second_comparison_is_refused_by_the_demo(operator: FlaskClient) -> None:
    form = {"seconds": "30", "seed": "7"}
    assert post(operator, "/lab/comparisons", form).status_code == 303
    answer = post(operator, "/lab/comparisons", form)
    assert answer.status_code == 409
    assert "a comparison runs already" in answer.text


@pytest.mark.parametrize("path", CHANGES)
def test_without_a_demo_there_is_nothing_to_turn(app: Flask, path: str) -> None:
    assert post(signed_in_client(app, Role.OPERATOR), path, CHANGES[path]).status_code == 404


@pytest.mark.parametrize("path", CHANGES)
def test_where_the_demo_is_away_the_change_is_refused_in_a_sentence(
    settings: Settings, make_app: MakeApp, path: str
) -> None:
    app = make_app(settings.model_copy(update={"demo_url": f"http://{HOST}:{free_port()}"}))
    answer = post(signed_in_client(app, Role.OPERATOR), path, CHANGES[path])
    assert answer.status_code == 503
    assert "The demo does not answer." in answer.text
    with contextlib.suppress(IndexError):
        assert entries(app)[0].status == "failed"


def test_a_reason_is_kept_where_one_is_given(operator: FlaskClient, lab: Flask) -> None:
    form: dict[str, Any] = {"name": "outage", "reason": "to see it"}
    post(operator, "/lab/scenarios", form)
    assert entries(lab)[0].reason == "to see it"
