"""The Lab screen: where it is, what it shows of the demo, and what it says where the demo is away."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store.operators import Role
from dashboard.views.access import access_of
from dashboard.views.lab import looks as lab_looks
from dashboard.views.lab.charts import IDS
from tests.lab.bench import PATTERNS, RISK, Bench, serving
from tests.servers import HOST, free_port
from tests.views.conftest import by_htmx, signed_in_client
from tests.views.overview.test_overview import text_of

MakeApp = Callable[[Settings], Flask]


@pytest.fixture
def viewer(lab: Flask) -> FlaskClient:
    return signed_in_client(lab, Role.VIEWER)


def said(client: FlaskClient, path: str = "/lab") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return text_of(answer.text)


def test_without_a_demo_there_is_no_lab(operator: FlaskClient) -> None:
    assert operator.get("/lab").status_code == 404
    assert 'href="/lab"' not in operator.get("/audit").text
    assert "CACHEDECK_DEMO_URL" in operator.get("/lab").text


def test_under_write_behind_it_says_how_the_cache_may_lose_the_queue(viewer: FlaskClient, bench: Bench) -> None:
    assert RISK not in said(viewer)
    bench.knobs["pattern"] = "write-behind"
    assert f"This cache may lose what is queued: {RISK}" in said(viewer)
    bench.over["cache"] = {"maxmemory": 0, "used": 1, "policy": "noeviction", "risk": ""}
    assert "may lose" not in said(viewer)


def test_with_one_every_page_leads_to_it(viewer: FlaskClient) -> None:
    for path in ("/audit", "/caches/main/"):
        assert '<a href="/lab" data-go="b"' in viewer.get(path).text


def test_the_anonymous_are_sent_to_the_login(lab: Flask) -> None:
    assert lab.test_client().get("/lab").location.startswith("/login")


def test_it_says_how_things_stand_in_a_sentence_and_in_figures(viewer: FlaskClient) -> None:
    text = said(viewer)
    assert "Stampedes: 3.4 loads/s too many." in text
    assert "Cache-aside, no prevention: 93.1 % hits, p99 12.4 ms, 45.2 queries/s." in text
    assert "Hit ratio 93.1 % 12/s from copies" in text
    assert "Requests 150 /s of 150 wanted" in text
    assert "The shop's cache holds 11.8 MB of 16 MB (allkeys-lru)." in text
    assert "Lost writes \u2013 not counted yet" in text


@pytest.mark.parametrize(
    ("now", "first"),
    [
        ({"errors": 2.0, "lost": 3, "stale_reads": 1.0}, "Requests fail: 2/s."),
        ({"lost": 3, "duplicates": 0.0}, "Acknowledged changes were lost: 3."),
        ({"stale_reads": 1.0, "stale_total": 12}, "Reads are stale: 1/s."),
        ({"duplicates": 0.4}, "Nothing fails, nothing is stale."),
        ({"duplicates": 0.0}, "Nothing fails, nothing is stale."),
        ({"requests": None}, "Nothing was measured yet."),
    ],
)
def test_what_deserves_a_look_comes_first(
    viewer: FlaskClient, bench: Bench, now: dict[str, object], first: str
) -> None:
    bench.now.update(now)
    answer = re.search(r'id="answer">([^<]*)<', viewer.get("/lab").text)
    assert answer
    assert answer.group(1).replace("\u202f", " ").startswith(first)


def test_a_shop_that_is_away_is_told_apart_from_its_bench(viewer: FlaskClient, bench: Bench) -> None:
    bench.over["shop"] = "away"
    assert "The shop does not answer its visitors." in said(viewer)


def test_what_is_in_force_is_marked(viewer: FlaskClient, bench: Bench) -> None:
    bench.knobs.update(pattern="write-behind", prevention="xfetch", jitter=False)
    bench.scenario = {"name": "outage", "sentence": "It is cut off.", "since": 1.0, "ends": None}
    page = viewer.get("/lab").text
    assert re.search(r'value="write-behind" checked', page)
    assert re.search(r'value="xfetch" checked', page)
    assert not re.search(r'name="jitter" value="yes" checked', page)
    assert "Write-behind with XFetch" in text_of(page)
    running = re.findall(r'class="scenario is-running".*?</li>', page, re.DOTALL)
    assert len(running) == 1
    assert "Cache outage" in running[0]
    assert re.search(r'class="small scenario-now"[^>]*>It is cut off\.<', page)


def test_viewers_see_all_of_it_and_can_turn_nothing(viewer: FlaskClient, lab: Flask) -> None:
    page = viewer.get("/lab").text
    assert page.count('<fieldset class="lab-fields" disabled>') == 2
    assert "Operators and admins turn these." in page
    assert not re.search(r">(Start|Apply|Change visitors|Compare \d)", page)
    other = signed_in_client(lab, Role.OPERATOR).get("/lab").text
    assert "disabled" not in other
    assert other.count(">Start<span") == 5


def test_a_poll_brings_figures_and_leaves_forms_alone_that_are_as_they_were(viewer: FlaskClient) -> None:
    drawn = re.search(r'id="lab-drawn" name="drawn" value="(\w+)"', viewer.get("/lab").text)
    assert drawn
    answer = viewer.get(f"/lab/figures?drawn={drawn.group(1)}", headers=by_htmx(viewer)).text
    assert "<html" not in answer
    assert 'hx-target="#answer"' in answer
    assert "lab-tiles" in answer
    assert "#lab-knobs" not in answer


def test_a_poll_brings_forms_anew_when_somebody_has_turned_something(viewer: FlaskClient, bench: Bench) -> None:
    drawn = re.search(r'name="drawn" value="(\w+)"', viewer.get("/lab").text)
    assert drawn
    bench.knobs["pattern"] = "read-through"
    answer = viewer.get(f"/lab/figures?drawn={drawn.group(1)}", headers=by_htmx(viewer))
    assert re.search(r'#lab-knobs.*value="read-through" checked', answer.text, re.DOTALL)
    assert "HX-Refresh" not in answer.headers


def test_a_clock_that_is_wrong_has_forms_drawn_no_more_often(viewer: FlaskClient, bench: Bench) -> None:
    ahead = 3600.25
    for number in range(3):
        now = time.time() + ahead + number / 7
        bench.over = {"at": now, "scenario": {"name": "outage", "since": 1.8e9, "ends": 1.9e9}}
        drawn = re.search(r'name="drawn" value="(\w+)"', viewer.get("/lab").text)
        assert drawn
        answer = viewer.get(f"/lab/figures?drawn={drawn.group(1)}", headers=by_htmx(viewer)).text
        assert "#lab-knobs" not in answer


def test_what_it_draws_by_itself_is_no_sign_of_life(lab: Flask) -> None:
    assert access_of(lab, "lab.figures").background
    assert access_of(lab, "lab.samples").background
    assert not access_of(lab, "lab.show").background


def test_charts_are_as_chart_js_reads_them(viewer: FlaskClient) -> None:
    told = json.loads(viewer.get("/lab/samples").text)
    assert [one["id"] for one in told["series"]] == list(IDS)
    for one in told["series"]:
        assert len(one["x"]) == 300
        assert all(len(line["values"]) == 300 for line in one["lines"])
    assert [line["label"] for line in told["series"][1]["lines"]] == ["p50", "p99"]
    page = viewer.get("/lab").text
    assert [one for one in IDS if f'data-chart="{one}"' not in page] == []


def test_the_demo_is_asked_once_for_all_who_watch(
    bench: Bench, settings: Settings, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    look = lab_looks.Bench.look
    monkeypatch.setattr(lab_looks.Bench, "look", lambda at: asked.append(1) or look(at))  # type: ignore[func-returns-value]
    monkeypatch.setattr(lab_looks, "FRESH_SECONDS", 600.0)
    with serving(bench) as url:
        app = make_app(settings.model_copy(update={"demo_url": url}))
        for role in Role:
            client = signed_in_client(app, role)
            for path in ("/lab", "/lab/figures", "/lab/samples"):
                assert client.get(path).status_code == 200
    assert len(asked) == 1


# A comparison


def test_before_one_it_says_that_nothing_was_compared(viewer: FlaskClient) -> None:
    assert "Nothing was compared yet." in said(viewer)


def test_a_comparison_is_a_table_with_intervals_and_a_chart_of_each_figure(viewer: FlaskClient, bench: Bench) -> None:
    bench.finish()
    page = viewer.get("/lab").text
    text = text_of(page)
    for pattern in ("Cache-aside", "Read-through", "Write-through", "Write-behind"):
        assert re.search(rf"{pattern} (8 99\d|9 000)", text)
    assert "90 % 89 to 91 %" in text
    assert "3 of 8 500 0 0 s" in text
    assert "0 of 8 500 36 600 ms" in text
    assert "Database queries Write-behind is lowest." in text
    assert "Latency, p50 None is certainly ahead." in text
    assert "Hit ratio Write-behind is highest, not certainly before Write-through." in text
    assert page.count('<figure class="lab-figure">') == 6
    assert page.count('class="bar"') == 6 * len(PATTERNS)
    assert "finished" in text


def test_while_one_runs_it_can_be_cancelled_and_nothing_else_be_turned(lab: Flask, bench: Bench) -> None:
    bench.finish("running", 2)
    page = signed_in_client(lab, Role.OPERATOR).get("/lab").text
    assert '<progress max="1000" value="500"' in page
    assert ">Cancel</button>" in page
    assert page.count('<fieldset class="lab-fields" disabled>') == 2
    assert not re.search(r">(Start|Apply|Change visitors|Compare \d)", page)
    assert page.count('scope="row"') == 2


@pytest.mark.parametrize("state", ["finished", "cancelled", "failed"])
def test_how_one_ended_is_said_in_a_word(viewer: FlaskClient, bench: Bench, state: str) -> None:
    bench.finish(state, 1)
    assert re.search(rf"{state} \d{{4}}-.*1 min each, prevention None, seed 1\.", said(viewer))


def test_a_row_without_figures_is_drawn_with_dashes(viewer: FlaskClient, bench: Bench) -> None:
    bench.finish()
    assert bench.comparison
    bench.comparison["rows"] = [{"pattern": "cache-aside"}, {"pattern": "x<script>"}, {}]
    page = viewer.get("/lab").text
    assert "x&lt;script&gt;" in page
    assert page.count('scope="row"') == 2


# What the demo says is not believed


def test_hostile_words_are_only_words(viewer: FlaskClient, bench: Bench) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    bench.over = {
        "knobs": {"pattern": evil, "prevention": evil},
        "choices": {"pattern": [evil], "prevention": [evil]},
        "scenarios": [{"name": evil, "title": evil, "sentence": evil}],
        "scenario": {"name": evil, "sentence": evil},
        "cache": {"used": 1, "policy": evil},
        "comparison": {"state": "running", "sentence": evil, "rows": [{"pattern": evil, "prevention": evil}]},
    }
    for path in ("/lab", "/lab/figures"):
        assert "<img" not in viewer.get(path).text


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"knobs": 1, "traffic": 2, "now": 3}'])
def test_whatever_it_answers_there_is_a_page(viewer: FlaskClient, bench: Bench, body: bytes) -> None:
    bench.raw = body
    for path in ("/lab", "/lab/figures", "/lab/samples"):
        assert viewer.get(path).status_code == 200


# The demo is away


@pytest.fixture
def away(settings: Settings, make_app: MakeApp) -> FlaskClient:
    app = make_app(settings.model_copy(update={"demo_url": f"http://{HOST}:{free_port()}"}))
    return signed_in_client(app, Role.OPERATOR)


def test_it_says_so_and_asks_again(away: FlaskClient) -> None:
    page = away.get("/lab").text
    assert "The demo does not answer." in page
    assert "cachedeck demo drive" in page
    assert re.search(r'<div id="lab-live" hx-get="/lab/figures" hx-trigger="every 2s"', page)
    assert "lab-fields" not in page
    assert "The demo does not answer." in away.get("/lab/figures", headers=by_htmx(away)).text


def test_charts_say_so_too(away: FlaskClient) -> None:
    told = json.loads(away.get("/lab/samples").text)
    assert (told["series"], told["trouble"]) == ([], "The demo does not answer.")


def test_a_page_that_was_opened_meanwhile_is_loaded_anew_once_it_is_back(viewer: FlaskClient) -> None:
    assert viewer.get("/lab/figures", headers=by_htmx(viewer)).headers["HX-Refresh"] == "true"


def test_what_was_drawn_stays_while_it_is_away(away: FlaskClient) -> None:
    answer = away.get("/lab/figures?drawn=0123", headers=by_htmx(away))
    assert "HX-Refresh" not in answer.headers
    assert "#lab-knobs" not in answer.text
    assert "#lab-comparison" not in answer.text
