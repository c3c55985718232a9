"""A job that is let stand, and that goes on later as the same job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.jobs.invalidation_job import UNDO
from dashboard.settings import Settings
from dashboard.store import audit, invalidations, jobs
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from tests.servers import Server
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client
from tests.views.jobs.made import (
    OWNER,
    aged,
    begun,
    done,
    ended,
    invalidation,
    state_of,
    under_way,
)


class TestPause:
    def test_it_lets_one_that_waits_stand_and_says_so(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        answer = post(operator, f"/caches/main/jobs/{job.id}/pause", {"reason": "too busy"}, follow_redirects=True)
        assert f"Job {job.id} is paused." in answer.text
        assert state_of(store, job) == "paused"
        (entry,) = audit.search(store, audit.Filters(action="invalidate.pause"))
        assert (entry.actor, entry.reason, entry.status) == ("otto", "too busy", "done")
        assert (entry.before, entry.after) == ({"state": "queued"}, {"state": "paused"})
        assert entry.subject.startswith(f"job {job.id}: plan {job.about}: keys of api:*")

    def test_it_asks_one_that_runs_to_pause(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        under_way(store, job, done(12, 12))
        assert "Pause: job" in operator.get("/caches/main/jobs").text
        assert "Pause: job" in operator.get("/caches/main/jobs/strip", headers=by_htmx(operator)).text
        post(operator, f"/caches/main/jobs/{job.id}/pause")
        assert jobs.order(store, job.id, OWNER) == "pause"
        text = operator.get("/caches/main/jobs").text
        assert "pausing" in text
        assert "Pause: job" not in text
        assert "It pauses as soon as the server has answered." in text
        assert "Cancel: job" in text

    def test_from_the_strip_it_answers_with_the_strip(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        answer = post(operator, f"/caches/main/jobs/{job.id}/pause", headers=by_htmx(operator))
        assert answer.status_code == 200
        assert "paused" in answer.text
        assert "<html" not in answer.text

    def test_one_that_stands_says_what_was_done_by_then(self, viewer: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        under_way(store, job, done(14, 12, unsure=1))
        jobs.request_pause(store, job.id)
        jobs.end(store, job.id, OWNER, "paused")
        words = "12 keys removed in 2 s. 250 of 1 k keys examined. Of 1 key that is not known"
        for path in ("/caches/main/jobs", f"/caches/main/jobs/{job.id}"):
            assert words in viewer.get(path).text.replace("\u202f", " ")
        assert "is paused." in viewer.get("/caches/main/jobs").text
        assert "Stands since" in viewer.get(f"/caches/main/jobs/{job.id}").text
        assert 'id="jobs-count"><' in viewer.get("/caches/main/").text

    def test_a_kind_that_cannot_go_on_is_not_paused(self, operator: FlaskClient, store: Store) -> None:
        job = begun(store)
        assert "Pause" not in operator.get("/caches/main/jobs").text
        assert post(operator, f"/caches/main/jobs/{job.id}/pause").status_code == 409
        assert jobs.order(store, job.id, OWNER) == "go on"

    def test_it_leaves_one_that_has_ended(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        jobs.request_cancel(store, job.id)
        answer = post(operator, f"/caches/main/jobs/{job.id}/pause", follow_redirects=True)
        assert "does not run: it is cancelled" in answer.text
        assert audit.search(store, audit.Filters(action="invalidate.pause")) == []

    def test_it_refuses_a_viewer(self, viewer: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        assert post(viewer, f"/caches/main/jobs/{job.id}/pause").status_code == 403
        assert state_of(store, job) == "queued"
        assert "Pause" not in viewer.get("/caches/main/jobs").text

    def test_it_leaves_other_caches_alone(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store, "other")
        assert post(operator, f"/caches/main/jobs/{job.id}/pause").status_code == 404
        assert state_of(store, job) == "queued"

    def test_one_that_stands_can_be_cancelled(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        jobs.request_pause(store, job.id)
        assert "Cancel: job" in operator.get("/caches/main/jobs").text
        post(operator, f"/caches/main/jobs/{job.id}/cancellation")
        assert state_of(store, job) == "cancelled"
        assert "Resume" not in operator.get("/caches/main/jobs").text


class TestResume:
    @pytest.mark.parametrize("how", ["paused", "interrupted", "failed"])
    def test_it_goes_on_as_the_same_job(self, operator: FlaskClient, store: Store, how: jobs.Stopped) -> None:
        job = invalidation(store)
        under_way(store, job, done(12, 12))
        jobs.end(store, job.id, OWNER, how)
        assert f"Resume: job {job.id}" in operator.get("/caches/main/jobs").text
        answer = post(operator, f"/caches/main/jobs/{job.id}/resumption", {"reason": "quiet"}, follow_redirects=True)
        assert f"Job {job.id} goes on." in answer.text
        assert [one.state for one in jobs.newest(store, "main")] == ["queued"]
        (entry,) = audit.search(store, audit.Filters(action="invalidate.resume"))
        assert (entry.actor, entry.reason) == ("otto", "quiet")
        assert (entry.before, entry.after) == ({"state": how}, {"state": "queued"})

    def test_one_whose_worker_was_killed_goes_on(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        under_way(store, job, done(12, 12))
        aged(store, job, heartbeat_at=jobs.DEAD_SECONDS + 1)
        assert post(operator, f"/caches/main/jobs/{job.id}/resumption").status_code == 303
        assert state_of(store, job) == "queued"

    def test_it_says_which_other_jobs_work_on_the_same_keys(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        jobs.request_pause(store, job.id)
        other = invalidation(store, pattern="api:user:*")
        answer = post(operator, f"/caches/main/jobs/{job.id}/resumption", follow_redirects=True)
        assert f"goes on; job {other.id} works on keys that it may select too." in answer.text

    def test_not_what_has_been_taken_back(self, operator: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        jobs.request_pause(store, job.id)
        undo = invalidations.add_undo(store, job.about or 0, UNDO, "*", invalidations.Asked("otto", "local"))
        answer = post(operator, f"/caches/main/jobs/{job.id}/resumption")
        assert (answer.status_code, "is under way" in answer.text) == (409, True)
        jobs.request_cancel(store, undo.id)
        answer = post(operator, f"/caches/main/jobs/{job.id}/resumption")
        assert (answer.status_code, "has been taken back" in answer.text) == (409, True)
        assert state_of(store, job) == "paused"

    @pytest.mark.parametrize("how", ["finished", "cancelled"])
    def test_not_what_is_over(self, operator: FlaskClient, store: Store, how: jobs.Ended) -> None:
        job = invalidation(store)
        under_way(store, job, done(12, 12))
        jobs.end(store, job.id, OWNER, how)
        assert "Resume" not in operator.get("/caches/main/jobs").text
        assert post(operator, f"/caches/main/jobs/{job.id}/resumption").status_code == 409
        assert state_of(store, job) == how

    def test_not_a_kind_that_begins_anew(self, operator: FlaskClient, store: Store) -> None:
        job = ended(store, "interrupted")
        assert post(operator, f"/caches/main/jobs/{job.id}/resumption").status_code == 409
        assert state_of(store, job) == "interrupted"

    def test_it_refuses_a_viewer(self, viewer: FlaskClient, store: Store) -> None:
        job = invalidation(store)
        jobs.request_pause(store, job.id)
        assert post(viewer, f"/caches/main/jobs/{job.id}/resumption").status_code == 403
        assert state_of(store, job) == "paused"
        assert "Resume" not in viewer.get("/caches/main/jobs").text

    @pytest.mark.parametrize("option", ["environment=production", "read_only=yes"])
    def test_production_asks_for_its_name_and_a_read_only_cache_refuses(
        self, option: str, settings: Settings, valkey: Server, make_app: Callable[[Settings], Flask]
    ) -> None:
        caches = Settings(caches=f"main={valkey.url}?{option}").caches  # type: ignore[arg-type]
        app = make_app(settings.model_copy(update={"caches": caches}))
        store, client = deck_of(app).store, signed_in_client(app, Role.OPERATOR)
        job = invalidation(store)
        jobs.request_pause(store, job.id)
        assert post(client, f"/caches/main/jobs/{job.id}/resumption").status_code == (
            400 if "production" in option else 409
        )
        assert state_of(store, job) == "paused"
        if "production" in option:
            assert "Resume: job" not in client.get("/caches/main/jobs").text
            assert 'data-confirm="main"' in client.get(f"/caches/main/jobs/{job.id}").text
            assert post(client, f"/caches/main/jobs/{job.id}/resumption", {"typed": "main"}).status_code == 303
            assert state_of(store, job) == "queued"
