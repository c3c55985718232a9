"""Analyses: who may start one, which one a screen draws, and what it says of how it stands."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from dashboard.cache.selecting.selection import Selection
from dashboard.settings import Settings
from dashboard.store import audit, jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.store.schema import JobRow
from tests.servers import HOST, Server, running
from tests.snapshots import keep, snapshot
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client

HERE = "/caches/main/analyses"
SEARCH = Selection(b"api:search:*")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no worker here, so nobody needs to wait for its first snapshot."""
    monkeypatch.setattr("dashboard.views.job_start.until_first_snapshot", lambda store, job: job)


def words(page: str) -> str:
    """What a page says: without markup, with single spaces."""
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())
    return re.sub(r"(?<=\() | (?=[.,;:)])", "", text)


def status(client: FlaskClient, query: str = "") -> str:
    page = client.get(f"/caches/main/expiry{query}").text
    found = re.search(r'<section class="panel analysis".*?</section>', page, re.DOTALL)
    assert found, page
    return found[0]


def aged(store: Store, job: Job, seconds: float) -> None:
    """As if it had been asked for so long ago."""
    with store.write() as session:
        session.execute(
            update(JobRow)
            .where(JobRow.id == job.id)
            .values(created_at=job.created_at - seconds, queued_at=job.queued_at - seconds)
        )


class TestStart:
    def test_it_asks_for_a_job_of_the_selection_and_leads_to_it(self, operator: FlaskClient, store: Store) -> None:
        answer = post(operator, HERE, {"pattern": "api:search:*", "share": "0.25", "next": "expiry"})
        [job] = jobs.newest(store, "main")
        assert answer.status_code == 303
        assert answer.location == f"/caches/main/expiry?job={job.id}&pattern=api:search:*"
        assert (job.kind, job.actor, job.state) == ("analysis", "otto", "queued")
        assert job.arguments == {"selection": {"pattern": "api:search:*"}, "share": 0.25, "replicas": False}

    def test_it_takes_half_of_the_time_and_the_primaries_unless_it_is_told_otherwise(
        self, operator: FlaskClient, store: Store
    ) -> None:
        post(operator, HERE)
        post(operator, HERE, {"pattern": "a*", "share": "1", "replicas": "1"})
        second, first = jobs.newest(store, "main")
        assert first.arguments == {"selection": {}, "share": 0.5, "replicas": False}
        assert second.arguments == {"selection": {"pattern": "a*"}, "share": 1.0, "replicas": True}

    def test_it_is_audited(self, operator: FlaskClient, store: Store) -> None:
        post(operator, HERE, {"pattern": "api:search:*", "reason": "ticket 4711"})
        [entry] = audit.search(store, audit.Filters(action="analysis.start"))
        assert (entry.actor, entry.cache, entry.reason) == ("otto", "main", "ticket 4711")

    def test_it_refuses_viewer(self, viewer: FlaskClient, store: Store) -> None:
        assert post(viewer, HERE).status_code == 403
        assert jobs.newest(store, "main") == []

    def test_it_rejects_get(self, operator: FlaskClient) -> None:
        assert operator.get(HERE).status_code == 405

    def test_a_second_one_of_the_same_keys_is_the_first_while_that_runs(
        self, operator: FlaskClient, store: Store
    ) -> None:
        first = post(operator, HERE, {"pattern": "a*"}).location
        again = post(operator, HERE, {"pattern": "a*", "share": "1"}).location
        other = post(operator, HERE, {"pattern": "b*"}).location
        assert first == again != other
        assert len(jobs.newest(store, "main")) == 2

    @pytest.mark.parametrize(
        "form", [{"share": "0.9"}, {"share": ""}, {"next": "keys.index"}, {"ttl": "soon"}], ids=str
    )
    def test_nonsense_is_refused_with_a_sentence(
        self, operator: FlaskClient, store: Store, form: dict[str, str]
    ) -> None:
        answer = post(operator, HERE, form)
        assert answer.status_code == 400
        assert "Nothing was changed." in answer.text or "A TTL filter is" in answer.text
        assert jobs.newest(store, "main") == []

    def test_a_read_only_cache_may_be_analysed(
        self, settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server
    ) -> None:
        frozen = settings.model_validate({**settings.model_dump(), "caches": f"main={valkey.url}?read_only=yes"})
        app = make_app(frozen)
        assert post(signed_in_client(app, Role.OPERATOR), HERE).status_code == 303
        assert len(jobs.newest(deck_of(app).store, "main")) == 1

    def test_production_asks_for_nothing_to_be_typed(
        self, settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server
    ) -> None:
        live = settings.model_validate({**settings.model_dump(), "caches": f"main={valkey.url}?environment=production"})
        assert post(signed_in_client(make_app(live), Role.OPERATOR), HERE).status_code == 303

    def test_it_leaves_other_caches_alone(
        self, settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server
    ) -> None:
        two = settings.model_validate({**settings.model_dump(), "caches": f"main={valkey.url} other={valkey.url}/1"})
        app = make_app(two)
        client, store = signed_in_client(app, Role.OPERATOR), deck_of(app).store
        post(client, HERE)
        assert jobs.newest(store, "other") == []
        ours = keep(store, snapshot())
        assert client.get(f"/caches/other/expiry?job={ours.id}").status_code == 404
        assert "Not analysed yet" in client.get("/caches/other/expiry").text
        assert client.get(f"/caches/main/expiry?job={ours.id}").status_code == 200


class TestWhichOneIsDrawn:
    def test_the_newest_of_the_same_keys_that_has_something_to_show(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.2), state="cancelled")
        newest = keep(store, snapshot(0.5), state="cancelled")
        keep(store, None, state="failed", error="It broke.")
        keep(store, snapshot(0.9), SEARCH, state="cancelled")
        page = viewer.get("/caches/main/expiry").text
        assert "Estimated from 506 k of 1 M keys" in words(page).replace("\u202f", " ")
        assert f'job={newest.id}"' not in status(viewer)  # it is not among the earlier ones

    def test_the_one_of_the_address_with_its_own_keys(self, viewer: FlaskClient, store: Store) -> None:
        asked = keep(store, snapshot(0.2), SEARCH, state="cancelled")
        keep(store, snapshot())
        page = viewer.get(f"/caches/main/expiry?job={asked.id}").text
        assert 'name="pattern" type="text" value="api:search:*"' in page
        assert "202 k of 1 M" in words(page).replace("\u202f", " ")

    def test_one_that_runs_before_those_that_have_ended(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        keep(store, snapshot(0.1, ended=False), state="running")
        assert "101 k of 1 M keys examined" in words(status(viewer)).replace("\u202f", " ")

    def test_earlier_results_of_the_same_keys_are_listed(self, viewer: FlaskClient, store: Store) -> None:
        first, second = keep(store, snapshot()), keep(store, snapshot(0.5), state="cancelled")
        keep(store, None, state="failed", error="It broke.")
        keep(store, snapshot(), SEARCH)
        keep(store, snapshot())
        here = status(viewer)
        assert "2 earlier results" in here
        assert re.findall(r"/caches/main/expiry\?job=(\d+)", here) == [str(second.id), str(first.id)]

    @pytest.mark.parametrize("state", ["cancelled", "failed", "interrupted"])
    def test_a_broken_one_does_not_take_the_place_of_an_exact_one(
        self, viewer: FlaskClient, store: Store, state: str
    ) -> None:
        keep(store, snapshot())
        broken = keep(store, snapshot(0.07, ended=False), state=state, error="It broke.")
        said = words(status(viewer)).replace("\u202f", " ")
        assert "Exact, 1 012 400 keys." in said
        assert re.search(rf"A newer analysis, of [-\d]+ [\d:]+ UTC, (was )?{state} at 7 %: show it\.", said)
        assert f'job={broken.id}">show it' in status(viewer)
        assert "Estimated from" in words(status(viewer, f"?job={broken.id}"))

    def test_one_that_failed_before_its_first_figures_is_offered_too(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        keep(store, None, state="failed", error="It broke.")
        assert "failed before its first figures: show it." in words(status(viewer))

    def test_an_exact_one_of_the_day_before_yesterday_gives_way(self, viewer: FlaskClient, store: Store) -> None:
        aged(store, keep(store, snapshot()), 2 * 86_400)
        keep(store, snapshot(0.5, ended=False), state="cancelled")
        said = words(status(viewer)).replace("\u202f", " ")
        assert "Estimated from 506 k of 1 M keys" in said
        assert "A newer analysis" not in said

    def test_one_that_has_lost_a_primary_does_not_take_the_place_of_an_exact_one(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        keep(store, snapshot())
        keep(store, snapshot(0.8, ended=True, lost={"10.0.0.2:6379": "It cannot be reached."}))
        said = words(status(viewer)).replace("\u202f", " ")
        assert "Exact, 1 012 400 keys." in said
        assert "is without 1 of 1 primaries: show it" in said

    def test_earlier_results_say_how_far_they_have_come(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.07, ended=False), state="cancelled")
        keep(store, snapshot())
        keep(store, snapshot())
        said = words(status(viewer)).replace("\u202f", " ")
        assert re.search(r"2 earlier results .* by otto, exact .* by otto, cancelled at 7 %", said)

    def test_earlier_figures_stay_while_a_new_one_has_none(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time()))
        keep(store, snapshot(0.07, ended=False), state="cancelled")
        waits = keep(store, None, state="queued")
        page = operator.get(f"/caches/main/expiry?job={waits.id}").text
        assert "12 400 keys of api:search:* expire" in words(page)
        assert re.search(r"Until its first figures are there, those of .* stand below \(exact\)\.", words(page))
        memory = words(operator.get(f"/caches/main/memory?job={waits.id}").text)
        assert "54 % of 1.5 GB is api:search:*" in memory

    @pytest.mark.parametrize("number", ["999", "0", "99999999999999999999"])
    def test_a_job_that_there_is_not_is_not_found(self, viewer: FlaskClient, number: str) -> None:
        assert viewer.get(f"/caches/main/expiry?job={number}").status_code == 404

    def test_a_job_of_another_kind_is_not_found(self, viewer: FlaskClient, store: Store) -> None:
        other = jobs.create(store, "main", "retime", {}, "otto", "127.0.0.1")
        assert viewer.get(f"/caches/main/expiry?job={other.id}").status_code == 404


class TestStatus:
    def test_where_there_is_none_it_offers_to_analyse_so_many_keys(self, operator: FlaskClient, valkey: Server) -> None:
        with closing(valkey.client()) as client:
            client.mset({f"key:{number}": "x" for number in range(1_234)})
        assert "Analyse 1 234 keys" in words(status(operator)).replace("\u202f", " ")
        assert "Analyse these keys" in words(status(operator, "?pattern=key:*"))

    def test_a_viewer_is_told_who_may(self, viewer: FlaskClient) -> None:
        here = status(viewer)
        assert "An operator can start it." in here
        assert "<form" not in here

    def test_replicas_are_offered_only_where_there_are_some(self, operator: FlaskClient) -> None:
        assert "replica" not in status(operator)

    def test_a_replica_may_be_asked_in_place_of_its_primary(self, operator: FlaskClient, valkey: Server) -> None:
        with running("--replicaof", HOST, str(valkey.port)), closing(valkey.client()) as client:
            deadline = time.monotonic() + 120
            while not client.info("replication")["connected_slaves"] and time.monotonic() < deadline:
                time.sleep(0.05)
            assert 'name="replicas" value="1"> on the replica' in status(operator)

    def test_one_that_waits_says_so_and_asks_again(self, operator: FlaskClient, store: Store) -> None:
        job = keep(store, None, state="queued")
        here = status(operator)
        assert "The worker begins with it in a moment." in here
        assert 'hx-trigger="every 1s"' in here
        assert f'hx-get="/caches/main/expiry?job={job.id}"' in here

    def test_one_that_runs_says_how_far_how_fast_how_long_and_what_it_costs(
        self, operator: FlaskClient, store: Store
    ) -> None:
        job = keep(store, snapshot(0.05, ended=False), state="running")
        said = words(status(operator)).replace("\u202f", " ")
        assert "50 620 of 1 M keys examined, 422 k keys/s, about 3 s left" in said
        assert "Held the server for 55 ms of 120 ms (46 %), in 205 calls of at most 0.9 ms." in said
        assert f'action="/caches/main/jobs/{job.id}/cancellation"' in status(operator)

    @pytest.mark.parametrize("screen", ["expiry", "memory"])
    def test_one_that_nobody_takes_says_that_no_worker_is_running(
        self, operator: FlaskClient, store: Store, screen: str
    ) -> None:
        aged(store, keep(store, None, state="queued"), 60)
        page = operator.get(f"/caches/main/{screen}").text
        panel = page[page.index('id="analysis-status"') :].partition("</section>")[0]
        answer = page[page.index('id="answer"') :].partition("</p>")[0]
        assert "No worker is running." in panel
        assert "No worker is running." in answer

    def test_one_that_nobody_takes_says_so_behind_what_an_earlier_one_knows(
        self, operator: FlaskClient, store: Store
    ) -> None:
        keep(store, snapshot())
        aged(store, keep(store, None, state="queued"), 60)
        answer = words(operator.get("/caches/main/memory").text.partition('id="answer"')[2].partition("</p>")[0])
        assert re.search(r"is api:search:\*; .* never expires\. No worker is running\.", answer)

    def test_one_that_has_gone_silent_says_since_when_and_promises_no_end(
        self, operator: FlaskClient, store: Store
    ) -> None:
        job = keep(store, snapshot(0.05, ended=False), state="running")
        with store.write() as session:
            session.execute(update(JobRow).where(JobRow.id == job.id).values(started_at=time.time() - 9))
        said = words(status(operator)).replace("\u202f", " ")
        assert re.search(r"50 620 of 1 M keys examined, no news for (8|9|10) s", said)
        assert " left" not in said

    def test_polling_ends_with_the_job(self, operator: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot(0.05, ended=False), state="running")
        polled = f"/caches/main/expiry?job={job.id}"
        running = operator.get(polled, headers=by_htmx(operator)).text
        jobs.save(store, job.id, "worker", {"examined": 1}, "{}")
        jobs.end(store, job.id, "worker", "cancelled")
        ended = operator.get(polled, headers=by_htmx(operator)).text
        assert "<html" not in running
        assert ("every 1s" in running, "every 1s" in ended) == (True, False)

    def test_a_viewer_may_watch_and_not_cancel(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.05, ended=False), state="running")
        assert "every 1s" in status(viewer)
        assert "<form" not in status(viewer)

    def test_one_that_is_complete_is_exact(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        said = words(status(operator)).replace("\u202f", " ")
        assert "Exact, 1 012 400 keys." in said
        assert "All keys were examined, so the figures are counts of that moment." in said
        assert "A key that came or went meanwhile may be counted or not." in said
        assert "Analyse again" in said

    def test_one_that_lost_a_primary_is_never_exact(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.8, ended=True, lost={"10.0.0.2:6379": "10.0.0.2:6379 cannot be reached."}))
        said = words(status(operator))
        assert "Estimated from" in said
        assert "10.0.0.2:6379 is missing: 10.0.0.2:6379 cannot be reached. Its keys are in no figure." in said

    def test_what_the_server_does_not_tell_is_said(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot(memory=False, missing=("MEMORY is denied, so sizes are left out.",)))
        assert "1 thing is missing MEMORY is denied, so sizes are left out." in words(status(operator))

    def test_one_that_failed_says_why_and_can_be_started_again(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.3), state="failed", error="The server got slower.", advice="Take a smaller share.")
        said = words(status(operator))
        assert "The server got slower. Take a smaller share. What it had found until then stands below." in said
        assert "failed" in said
        assert "Start again" in said

    def test_one_that_was_interrupted_can_be_started_again(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.3), state="interrupted", error=jobs.INTERRUPTED)
        said = words(status(operator))
        assert "interrupted" in said
        assert jobs.INTERRUPTED in said
        assert "Start again" in said

    def test_one_that_was_cancelled_shows_what_it_had_found(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.3), state="cancelled")
        assert "It was cancelled: what it had found until then stands below." in words(status(operator))

    def test_a_snapshot_of_another_version_counts_as_none(self, operator: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot(), state="running")
        jobs.save(store, job.id, "worker", {"examined": 7}, '{"of": "another version"}')
        jobs.end(store, job.id, "worker", "finished")
        assert "There is no result." in words(status(operator))
        assert "Analyse again" in words(status(operator))

    def test_the_server_may_be_down_and_the_kept_result_is_shown(
        self, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> None:
        down = settings.model_validate({**settings.model_dump(), "caches": "main=redis://127.0.0.1:1?timeout=1"})
        app = make_app(down)
        keep(deck_of(app).store, snapshot())
        answer = signed_in_client(app, Role.VIEWER).get("/caches/main/expiry")
        assert answer.status_code == 200
        assert "Exact, 1 012 400 keys." in words(answer.text).replace("\u202f", " ")
