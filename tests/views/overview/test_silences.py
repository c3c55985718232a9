"""Silences: who may, what is asked for, and that what is silenced is still told of."""

from __future__ import annotations

import time
from dataclasses import replace
from html import unescape
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.jobs.sampler import Follower
from dashboard.store import samples, silences, trail, trials
from dashboard.store.engine import Store
from dashboard.store.setting_changes import Asked
from dashboard.store.silences import Silence
from dashboard.store.trail import Filters
from dashboard.store.trials import Draft
from tests.views.conftest import deck_of, post

NO_LIMIT = "no-maxmemory"
PATH = f"/caches/main/silences/{NO_LIMIT}"
DAY = 86400.0


@pytest.fixture(autouse=True)
def _sampled(app: Flask) -> None:
    """The server of the tests has no maxmemory, which a finding says."""
    store = deck_of(app).store
    Follower(store, deck_of(app).caches["main"], 2.0).sample()
    (latest,) = samples.latest(store, "main")
    samples.save(store, [replace(latest, at=latest.at + 2, values={**latest.values, "uptime_in_seconds": DAY})])


def silenced(store: Store, **other: object) -> Silence:
    one = Silence("main", NO_LIMIT, "the container limits it", "otto", time.time() - 5)
    return silences.silence(store, replace(one, **other))  # type: ignore[arg-type]


def overview(client: FlaskClient) -> str:
    return unescape(client.get("/caches/main/overview").text)


def health(client: FlaskClient) -> str:
    return client.get("/caches/main/health").text


# Silencing


def test_an_operator_silences_a_finding_with_a_reason(operator: FlaskClient, store: Store) -> None:
    assert "worth a look" in health(operator)
    answer = post(operator, PATH, {"reason": " the container limits it ", "days": "7"})
    assert (answer.status_code, answer.location) == (303, "/caches/main/")
    (one,) = silences.of_cache(store, "main").values()
    assert (one.rule, one.reason, one.actor) == (NO_LIMIT, "the container limits it", "otto")
    assert one.until == pytest.approx(one.at + 7 * DAY)
    (entry,) = trail.search(store, Filters(action="finding.silence"))
    assert (entry.actor, entry.subject, entry.reason) == ("otto", NO_LIMIT, "the container limits it")


def test_it_can_be_silenced_until_it_is_lifted(operator: FlaskClient, store: Store) -> None:
    post(operator, PATH, {"reason": "so it is", "days": ""})
    assert silences.of_cache(store, "main")[NO_LIMIT].until is None


def test_it_is_folded_with_its_reason_and_counts_no_more(operator: FlaskClient, store: Store) -> None:
    before = overview(operator)
    assert "1 finding is silenced" not in before
    heard = before[: before.index("</ul>")]
    assert "maxmemory" in heard
    silenced(store)
    page = overview(operator)
    heard, folded = page[: page.index("<details")], page[page.index("<details") :]
    assert "maxmemory" not in heard
    assert "No problem found." in heard
    assert "1 finding is silenced" in folded
    assert "Silenced by otto: the container limits it" in folded
    assert "maxmemory" in folded
    assert "healthy" in health(operator)


def test_other_caches_and_other_findings_are_heard(operator: FlaskClient, store: Store) -> None:
    silenced(store, cache="another")
    silenced(store, rule="busy-thread")
    page = overview(operator)
    assert "maxmemory" in page[: page.index("</ul>")]
    assert "Not so now." in page
    assert "worth a look" in health(operator)


def test_it_is_heard_again_when_its_time_is_over(operator: FlaskClient, store: Store) -> None:
    silenced(store, until=time.time() - 1)
    assert "silenced" not in overview(operator)
    assert "worth a look" in health(operator)


def test_what_is_critical_may_be_silenced_and_is_mentioned(app: Flask, operator: FlaskClient, store: Store) -> None:
    (latest,) = samples.latest(store, "main")
    loading = replace(latest, values={**latest.values, "loading": 1.0})
    samples.save(store, [replace(loading, at=loading.at + 2, values=loading.values)])
    assert "problem" in health(operator)
    silenced(store, rule="loading")
    page = overview(operator)
    assert "1 critical finding is silenced." in page
    assert "Critical: The data set is being loaded" in page
    assert "problem" not in health(operator)


# What is refused


def test_it_refuses_a_viewer(viewer: FlaskClient, store: Store) -> None:
    assert post(viewer, PATH, {"reason": "no", "days": "7"}).status_code == 403
    silenced(store)
    assert post(viewer, f"{PATH}/lift").status_code == 403
    assert NO_LIMIT in silences.of_cache(store, "main")
    page = viewer.get(PATH).text
    assert "<form" not in page[page.index("<main") : page.index("</main>")]
    assert "Hear again" not in overview(viewer)


@pytest.mark.parametrize("reason", ["", "   "])
def test_it_wants_a_reason(operator: FlaskClient, store: Store, reason: str) -> None:
    answer = post(operator, PATH, {"reason": reason, "days": "30"})
    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert '<option value="30" selected>' in answer.text
    assert silences.of_cache(store, "main") == {}


@pytest.mark.parametrize("days", ["2", "-1", "x", "1e9"])
def test_it_refuses_another_time(operator: FlaskClient, store: Store, days: str) -> None:
    assert post(operator, PATH, {"reason": "so", "days": days}).status_code == 400
    assert silences.of_cache(store, "main") == {}


@pytest.mark.parametrize("rule", ["no-such-rule", "<script>", "NO-MAXMEMORY"])
def test_a_rule_that_does_not_exist_is_not_found(operator: FlaskClient, rule: str) -> None:
    path = f"/caches/main/silences/{quote(rule)}"
    assert operator.get(path).status_code == 404
    assert post(operator, path, {"reason": "so", "days": "7"}).status_code == 404
    assert post(operator, f"{path}/lift").status_code == 404


def test_a_cache_that_does_not_exist_is_not_found(operator: FlaskClient) -> None:
    assert operator.get(f"/caches/none/silences/{NO_LIMIT}").status_code == 404


def test_that_nothing_is_known_cannot_be_silenced(operator: FlaskClient, store: Store) -> None:
    path = "/caches/main/silences/no-samples"
    assert post(operator, path, {"reason": "so", "days": "7"}).status_code == 409
    assert "cannot be silenced" in operator.get(path).text
    # Not by a row in the store either.
    silenced(store, rule="no-samples")
    (latest,) = samples.latest(store, "main")
    old = latest.values["sampled_at"] - 3600
    with store.write() as session:
        from sqlalchemy import delete

        from dashboard.store.schema import SampleRow

        session.execute(delete(SampleRow))
    samples.save(store, [replace(latest, at=latest.at - 3600, values={**latest.values, "sampled_at": old})])
    assert "problem" in health(operator)


# Lifting


def test_an_operator_lifts_it(operator: FlaskClient, store: Store) -> None:
    silenced(store)
    answer = post(operator, f"{PATH}/lift")
    assert answer.status_code == 303
    assert silences.of_cache(store, "main") == {}
    assert "worth a look" in health(operator)
    (entry,) = trail.search(store, Filters(action="finding.lift"))
    assert (entry.actor, entry.subject) == ("otto", NO_LIMIT)


def test_lifting_what_is_not_silenced_changes_nothing(operator: FlaskClient, store: Store) -> None:
    assert post(operator, f"{PATH}/lift").status_code == 303
    assert not trail.search(store, Filters(action="finding.lift"))


# The page of a rule


def test_the_page_says_what_the_rule_goes_by(viewer: FlaskClient) -> None:
    page = viewer.get(PATH).text
    assert "Source" in page
    assert f"<code>{NO_LIMIT}</code>" in page
    assert "It says nothing of main now." not in page
    assert "It says nothing of main now." in viewer.get("/caches/main/silences/busy-thread").text


def test_a_hostile_reason_stays_text(operator: FlaskClient, store: Store) -> None:
    silenced(store, reason="<img src=x onerror=alert(1)>\x00", actor="<b>")
    for path in ("/caches/main/", PATH):
        page = operator.get(path).text
        assert "<img" not in page
        assert "&lt;img" in page


def test_the_overview_leads_to_it(operator: FlaskClient) -> None:
    assert f'href="{PATH}"' in overview(operator)


# Eviction draws the same list


def test_the_eviction_screen_says_what_is_about_memory_and_settings(operator: FlaskClient, store: Store) -> None:
    page = unescape(operator.get("/caches/main/eviction/live").text)
    assert f'href="{PATH}"' in page
    assert "commands/s" not in page, "load is of the overview"
    assert 'href="/caches/main/eviction"' not in page, "no link to where one is"
    silenced(store)
    page = unescape(operator.get("/caches/main/eviction/live").text)
    assert "Silenced by otto: the container limits it" in page
    assert f'action="{PATH}/lift"' in page


def test_a_store_without_silences_leaves_the_figures_of_eviction(
    operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(silences, "of_cache", fail)
    page = operator.get("/caches/main/eviction/live").text
    assert "This part of the page cannot be drawn." in page
    assert "Hit ratio" in page


def test_an_overdue_trial_is_told_on_each_of_these_pages(operator: FlaskClient, store: Store) -> None:
    """What no sample tells: all pages take it from the same place."""
    wanted = {"maxmemory-policy": "allkeys-lfu"}
    begun = trials.begin(store, Draft("main", "trial", wanted, -60, Asked("ada", "", "")))
    assert f'href="/caches/main/trials/{begun.number}"' in operator.get("/caches/main/overview").text
    for path in ("overview", "eviction/live", "silences/trial-overdue"):
        assert "should have ended" in operator.get(f"/caches/main/{path}").text, path
    assert "problem" in health(operator)
