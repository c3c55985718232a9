"""The screen of jobs, the strip at the foot of every page, and what may be done with a job."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.analysis.report import Report, Snapshot
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.invalidation.report import Counts, Undone
from dashboard.cache.invalidation.report import Done as Invalidated
from dashboard.cache.invalidation.report import Plan as Planned
from dashboard.cache.retiming.tally import Done, Plan
from dashboard.cache.walking.progress import Progress
from dashboard.jobs import results
from dashboard.jobs.invalidation_job import PLAN as PLAN_OF
from dashboard.jobs.invalidation_job import UNDO
from dashboard.jobs.kind import Kind
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.results import progress_of, text_of, told_of
from dashboard.jobs.retime_job import PLAN, RETIME
from dashboard.jobs.start import until_first_snapshot
from dashboard.settings import Settings
from dashboard.store import audit, invalidations, jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job, State
from dashboard.store.operators import Role
from tests.servers import Server
from tests.views.conftest import NAMES, by_htmx, deck_of, post, signed_in_client
from tests.views.jobs.made import (
    OWNER,
    SELECTION,
    TASK,
    aged,
    begun,
    done,
    ended,
    invalidation,
    made,
    state_of,
    under_way,
)


class TestTheList:
    def test_it_says_that_no_job_has_run_yet(self, viewer: FlaskClient) -> None:
        text = viewer.get("/caches/main/jobs").text
        assert "No job has run on this cache yet." in text

    def test_it_says_that_none_matches(self, viewer: FlaskClient, store: Store) -> None:
        ended(store)
        text = viewer.get("/caches/main/jobs?state=failed").text
        assert "No job matches." in text
        assert "Show all jobs" in text

    def test_it_shows_what_by_whom_how_far_and_at_what_cost(self, viewer: FlaskClient, store: Store) -> None:
        begun(store)
        text = viewer.get("/caches/main/jobs").text
        assert "1 job runs." in text
        assert "<strong>Analysis</strong> of keys of api:*" in text
        assert "otto" in text
        assert "250 of 1\u202fk keys" in text
        assert 'value="0.2500"' in text
        assert "Held the server for 400\u202fms of 2\u202fs (20 %), in 10 calls of at most 0.9 ms" in text

    def test_it_says_why_a_job_failed_and_never_that_all_was_done(self, viewer: FlaskClient, store: Store) -> None:
        ended(store, "failed", "main cannot be reached.")
        text = viewer.get("/caches/main/jobs").text
        assert "main cannot be reached. 250 of 1\u202fk keys in 2\u202fs." in text
        assert "All 1" not in text
        assert 'value="1.0000"' not in text

    def test_it_claims_no_share_where_the_server_does_not_tell_how_many_keys_it_has(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        job = begun(store, examined=1000)
        text = viewer.get("/caches/main/jobs").text
        assert "<progress aria-label" in text
        assert "time left unknown" in text
        assert "of 1\u202fk keys" not in text
        jobs.end(store, job.id, OWNER, "cancelled")
        assert "1\u202fk keys in 2\u202fs." in viewer.get("/caches/main/jobs").text

    def test_it_tells_what_several_primaries_were_held_for(self, viewer: FlaskClient, store: Store) -> None:
        begun(store, primaries=3)
        text = viewer.get("/caches/main/jobs").text
        assert "Held each of 3 primaries for 133\u202fms of 2\u202fs (7 %), in 10 calls of at most 0.9 ms" in text

    def test_it_names_the_primary_that_is_missing(self, viewer: FlaskClient, store: Store) -> None:
        job = begun(store, lost={"a:1": "a:1 cannot be reached."}, primaries=3)
        jobs.end(store, job.id, OWNER, "finished")
        assert "a:1 is missing: a:1 cannot be reached." in viewer.get("/caches/main/jobs").text

    def test_it_shows_a_killed_worker_s_job_as_interrupted(self, operator: FlaskClient, store: Store) -> None:
        job = begun(store)
        aged(store, job, heartbeat_at=jobs.DEAD_SECONDS + 1)
        text = operator.get("/caches/main/jobs").text
        assert "The worker that ran this was killed" in text
        assert "Start again" in text
        assert operator.get("/caches/main/jobs?state=running").text.count("No job matches.") == 1

    def test_it_says_that_no_worker_runs_only_after_a_while(self, viewer: FlaskClient, store: Store) -> None:
        job = made(store)
        assert "No worker is running." not in viewer.get("/caches/main/jobs").text
        aged(store, job, queued_at=6)
        assert "No worker is running." in viewer.get("/caches/main/jobs").text

    def test_it_says_that_a_job_waits_for_another_one(self, viewer: FlaskClient, store: Store) -> None:
        begun(store, "other")
        aged(store, made(store), queued_at=6)
        text = viewer.get("/caches/main/jobs").text
        assert "It waits until another job has ended." in text
        assert "No worker is running." not in text

    def test_it_leaves_other_caches_out(self, viewer: FlaskClient, store: Store) -> None:
        ended(store, cache="other")
        assert "No job has run on this cache yet." in viewer.get("/caches/main/jobs").text

    def test_it_goes_to_older_ones(self, viewer: FlaskClient, store: Store) -> None:
        first = made(store)
        for _ in range(50):
            made(store)
        text = viewer.get("/caches/main/jobs").text
        assert f'id="job-{first.id}"' not in text
        assert f"/caches/main/jobs?before={first.id + 1}" in text
        assert f'id="job-{first.id}"' in viewer.get(f"/caches/main/jobs?before={first.id + 1}").text

    @pytest.mark.parametrize("query", ["before=0", f"before={2**63}", "before=x", "kind=nothing", "state=nonsense"])
    def test_it_takes_a_nonsensical_query(self, viewer: FlaskClient, query: str) -> None:
        assert viewer.get(f"/caches/main/jobs?{query}").status_code == 200

    def test_a_viewer_sees_no_buttons(self, viewer: FlaskClient, store: Store) -> None:
        begun(store)
        ended(store)
        text = viewer.get("/caches/main/jobs").text
        assert "cancellation" not in text
        assert "restart" not in text

    def test_it_polls_itself_as_a_fragment(self, viewer: FlaskClient, store: Store) -> None:
        begun(store)
        text = viewer.get("/caches/main/jobs", headers=by_htmx(viewer)).text
        assert "every 1s" in text
        assert "<html" not in text


def retimed(store: Store, kind: str, state: State, *, whole: bool = True, **change: str) -> Job:
    """A job of that kind that has ended after 12 of 300 keys, or 12 of those of 250 seen."""
    given = {"selection": SELECTION, "change": change or {"jitter": "300"}}
    job = jobs.create(store, "main", kind, given, "otto", "10.1.1.1")
    assert jobs.claim(store, OWNER, ["main"])
    seen = Progress(1000 if whole else 250, 1000, elapsed=2.0, ended=whole)
    if kind == RETIME:
        snapshot: Plan | Done = Done(seen, 1.0, found=300, changed=12)
    else:
        snapshot = Plan(seen, 1.0, found=exactly(300), changed=exactly(12))
    jobs.save(store, job.id, OWNER, told_of(KINDS[kind], snapshot), text_of(KINDS[kind], snapshot))
    assert jobs.end(store, job.id, OWNER, state)  # type: ignore[arg-type]
    return job


class TestWhatARetimingDid:
    @pytest.mark.parametrize(
        ("kind", "whole", "change", "words"),
        [
            (RETIME, True, {}, "12 of 300 keys moved in 2 s."),
            (RETIME, True, {"low": "60", "high": "90"}, "12 of 300 keys brought into the range in 2 s."),
            (PLAN, True, {}, "12 of 300 keys would be moved. Examined in 2 s."),
            (RETIME, False, {}, "12 keys moved. 250 of 1 k keys examined in 2 s."),
            (PLAN, False, {}, "250 of 1 k keys examined in 2 s."),
        ],
    )
    def test_it_says_how_many_were_changed_of_how_many_found(
        self, kind: str, whole: bool, change: dict[str, str], words: str, viewer: FlaskClient, store: Store
    ) -> None:
        job = retimed(store, kind, "finished" if whole else "cancelled", whole=whole, **change)
        for path in ("/caches/main/jobs", f"/caches/main/jobs/{job.id}", "/caches/main/jobs/strip"):
            text = viewer.get(path).text.replace("\u202f", " ")
            assert words in text
            assert "All 1" not in text

    def test_an_analysis_tells_what_it_counted_and_not_what_there_was_when_it_began(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        for arguments in ({}, {"selection": SELECTION}):
            job = jobs.create(store, "main", "analysis", arguments, "otto", "10.1.1.1")
            assert jobs.claim(store, OWNER, ["main"])
            found = Snapshot(Progress(1000, 1000, elapsed=2.0, ended=True), Report(1.0, keys=exactly(930)))
            jobs.save(store, job.id, OWNER, told_of(KINDS["analysis"], found), text_of(KINDS["analysis"], found))
            assert jobs.end(store, job.id, OWNER, "finished")
        text = viewer.get("/caches/main/jobs").text.replace("\u202f", " ")
        assert "All 930 keys in 2 s." in text
        assert "930 keys counted in 2 s." in text
        assert "there were 1 000 when it began" in viewer.get(f"/caches/main/jobs/{job.id}").text.replace("\u202f", " ")


class TestOneJob:
    def test_it_shows_who_asked_for_it_from_where_and_why(self, viewer: FlaskClient, store: Store) -> None:
        text = viewer.get(f"/caches/main/jobs/{ended(store).id}").text
        assert "otto" in text
        assert "10.1.1.1" in text
        assert "looking" in text
        assert "All 1\u202f000 keys in 2\u202fs." in text

    @pytest.mark.parametrize("number", [0, 99, 2**63, 2**80])
    def test_one_that_does_not_exist_is_not_found(self, viewer: FlaskClient, number: int) -> None:
        assert viewer.get(f"/caches/main/jobs/{number}").status_code == 404

    def test_one_of_another_cache_is_not_found(self, viewer: FlaskClient, store: Store) -> None:
        assert viewer.get(f"/caches/main/jobs/{ended(store, cache='other').id}").status_code == 404

    def test_one_of_a_kind_that_this_version_does_not_know_is_drawn(self, operator: FlaskClient, store: Store) -> None:
        job = jobs.create(store, "main", "dance", {}, "otto", "local")
        assert operator.get(f"/caches/main/jobs/{job.id}").status_code == 200
        assert operator.get("/caches/main/jobs").status_code == 200
        assert post(operator, f"/caches/main/jobs/{job.id}/restart").status_code == 409
        assert post(operator, f"/caches/main/jobs/{job.id}/cancellation").status_code == 303
        assert state_of(store, job) == "cancelled"


class TestTheStrip:
    def test_it_draws_nothing_while_nothing_runs_and_asks_seldom(self, viewer: FlaskClient) -> None:
        text = viewer.get("/caches/main/jobs/strip", headers=by_htmx(viewer)).text
        assert "strip-job-" not in text
        assert "every 5s" in text

    def test_it_is_on_every_page_of_the_cache_and_the_rail_counts(self, viewer: FlaskClient, store: Store) -> None:
        job = begun(store)
        made(store)
        for path in ("/caches/main/", "/caches/main/keys", "/caches/main/jobs"):
            text = viewer.get(path).text
            assert f'id="strip-job-{job.id}"' in text
            assert 'id="jobs-count">2<' in text
        assert "strip-job-" not in viewer.get("/caches/other/").text
        assert "strip-job-" not in viewer.get("/audit").text

    def test_it_tells_progress_rate_time_left_and_cancel(self, operator: FlaskClient, store: Store) -> None:
        begun(store)
        text = operator.get("/caches/main/jobs/strip", headers=by_htmx(operator)).text
        assert "every 1s" in text
        assert "250 of 1\u202fk keys" in text
        assert "125" in text
        assert "6\u202fs" in text
        assert "Cancel" in text
        assert 'hx-target="#jobs-count"' in text

    def test_it_shows_for_a_moment_how_a_job_ended(self, viewer: FlaskClient, store: Store) -> None:
        job = ended(store, "failed", "main cannot be reached.")
        assert "main cannot be reached." in viewer.get("/caches/main/jobs/strip").text
        aged(store, job, ended_at=60)
        assert "main cannot be reached." not in viewer.get("/caches/main/jobs/strip").text

    def test_asking_for_it_is_no_sign_of_life(self, app: Flask) -> None:
        from dashboard.views.access import access_of

        assert access_of(app, "jobs.strip").background


class TestCancel:
    def test_it_ends_one_that_waits(self, operator: FlaskClient, store: Store) -> None:
        job = made(store)
        answer = post(operator, f"/caches/main/jobs/{job.id}/cancellation")
        assert (answer.status_code, answer.location) == (303, "/caches/main/jobs")
        assert state_of(store, job) == "cancelled"

    def test_it_asks_for_the_end_of_one_that_runs(self, operator: FlaskClient, store: Store) -> None:
        job = begun(store)
        post(operator, f"/caches/main/jobs/{job.id}/cancellation")
        found = jobs.get(store, job.id)
        assert found
        assert (found.state, found.cancelling) == ("running", True)
        assert jobs.order(store, job.id, OWNER) == "cancel"
        text = operator.get("/caches/main/jobs").text
        assert "cancelling" in text
        assert f"Asked job {job.id} to stop." in text  # still true when it has stopped

    def test_it_is_audited(self, operator: FlaskClient, store: Store) -> None:
        job = made(store)
        post(operator, f"/caches/main/jobs/{job.id}/cancellation", {"reason": "wrong pattern"})
        (entry,) = audit.search(store, audit.Filters(action="analysis.cancel"))
        assert (entry.actor, entry.cache, entry.status, entry.reason) == ("otto", "main", "done", "wrong pattern")
        assert entry.subject == f"job {job.id}: keys of api:*"
        assert (entry.before, entry.after) == ({"state": "queued"}, {"state": "cancelled"})

    def test_it_leaves_one_that_has_ended(self, operator: FlaskClient, store: Store) -> None:
        job = ended(store)
        answer = post(operator, f"/caches/main/jobs/{job.id}/cancellation", follow_redirects=True)
        assert "had ended already: it is finished" in answer.text
        assert state_of(store, job) == "finished"
        assert audit.search(store, audit.Filters(action="analysis.cancel")) == []

    def test_it_refuses_a_viewer(self, viewer: FlaskClient, store: Store) -> None:
        job = made(store)
        assert post(viewer, f"/caches/main/jobs/{job.id}/cancellation").status_code == 403
        assert state_of(store, job) == "queued"

    def test_it_leaves_other_caches_alone(self, operator: FlaskClient, store: Store) -> None:
        job = made(store, "other")
        assert post(operator, f"/caches/main/jobs/{job.id}/cancellation").status_code == 404
        assert state_of(store, job) == "queued"

    def test_from_the_strip_it_answers_with_the_strip(self, operator: FlaskClient, store: Store) -> None:
        job = made(store)
        answer = post(operator, f"/caches/main/jobs/{job.id}/cancellation", headers=by_htmx(operator))
        assert answer.status_code == 200
        assert "cancelled" in answer.text
        assert "<html" not in answer.text

    def test_it_leads_back_to_where_it_was_asked_for(self, operator: FlaskClient, store: Store) -> None:
        job = made(store)
        path = f"/caches/main/keys?job={job.id}&pattern=a"
        answer = post(operator, f"/caches/main/jobs/{job.id}/cancellation", {"next": path})
        assert answer.location == f"/caches/main/keys?pattern=a&job={job.id}"
        job = made(store)
        answer = post(operator, f"/caches/main/jobs/{job.id}/cancellation", {"next": "//evil.example/"})
        assert answer.location == "/caches/main/jobs"


class TestRestart:
    def test_it_makes_a_new_job_with_the_same_arguments(self, app: Flask, store: Store) -> None:
        job = ended(store, "interrupted")
        admin = signed_in_client(app, Role.ADMIN)
        answer = post(admin, f"/caches/main/jobs/{job.id}/restart", {"reason": "once more"}, follow_redirects=True)
        (again, first) = jobs.newest(store, "main")
        assert f"Started again as job {again.id}." in answer.text
        assert first.state == "interrupted"
        assert (again.state, again.actor, again.arguments) == ("queued", NAMES[Role.ADMIN], job.arguments)
        (entry,) = audit.search(store, audit.Filters(action="analysis.restart"))
        assert (entry.subject, entry.reason, entry.after) == ("keys of api:*", "once more", {"job": again.id})

    def test_it_restarts_one_whose_worker_was_killed(self, operator: FlaskClient, store: Store) -> None:
        job = begun(store)
        aged(store, job, heartbeat_at=jobs.DEAD_SECONDS + 1)
        assert post(operator, f"/caches/main/jobs/{job.id}/restart").status_code == 303
        assert [one.state for one in jobs.newest(store, "main")] == ["queued", "interrupted"]

    def test_it_refuses_one_that_has_not_ended(self, operator: FlaskClient, store: Store) -> None:
        job = begun(store)
        assert post(operator, f"/caches/main/jobs/{job.id}/restart").status_code == 409
        assert len(jobs.newest(store, "main")) == 1

    def test_it_refuses_a_viewer(self, viewer: FlaskClient, store: Store) -> None:
        job = ended(store)
        assert post(viewer, f"/caches/main/jobs/{job.id}/restart").status_code == 403
        assert len(jobs.newest(store, "main")) == 1

    def test_it_leaves_other_caches_alone(self, operator: FlaskClient, store: Store) -> None:
        job = ended(store, cache="other")
        assert post(operator, f"/caches/main/jobs/{job.id}/restart").status_code == 404
        assert len(jobs.newest(store, "other")) == 1

    def test_it_leads_to_the_new_job_where_the_old_one_was_shown(self, operator: FlaskClient, store: Store) -> None:
        job = ended(store)
        path = f"/caches/main/keys?pattern=a&job={job.id}"
        answer = post(operator, f"/caches/main/jobs/{job.id}/restart", {"next": path})
        assert answer.location == f"/caches/main/keys?pattern=a&job={job.id + 1}"


class TestWhatAnInvalidationDid:
    @pytest.mark.parametrize(
        ("snapshot", "task", "words"),
        [
            (done(300, 300, whole=True), {}, "300 keys removed in 2 s."),
            (done(300, 299, whole=True, refused=1), {}, "299 of 300 keys removed in 2 s."),
            (
                Invalidated(Progress(9, 9, 2.0, ended=True), 1.0, Counts(found=9, lowered=9)),
                {"mode": "gently", "seconds": "60"},
                "9 keys given a shorter TTL in 2 s.",
            ),
        ],
    )
    def test_it_is_said_in_the_list_and_leads_to_its_page(
        self, snapshot: Invalidated, task: dict[str, str], words: str, viewer: FlaskClient, store: Store
    ) -> None:
        job = invalidation(store, **task)
        under_way(store, job, snapshot)
        jobs.end(store, job.id, OWNER, "finished")
        text = viewer.get("/caches/main/jobs").text
        assert words in text.replace("\u202f", " ")
        assert f'href="/caches/main/invalidations/{job.about}"' in text

    def test_a_plan_says_what_it_found_and_an_undo_what_is_back(self, viewer: FlaskClient, store: Store) -> None:
        asked = invalidations.Asked("otto", "local")
        _, plan = invalidations.make(store, "main", TASK, PLAN_OF, asked, seconds=1)
        report = Report(1.0, keys=Estimate(300, 250, 350))
        under_way(store, plan, Planned(Progress(250, 1000, 2.0), report))
        jobs.end(store, plan.id, OWNER, "cancelled")
        text = viewer.get("/caches/main/jobs").text.replace("\u202f", " ")
        assert "About 300 keys, estimated from 250 of 1 k keys in 2 s." in text
        job = invalidation(store)
        jobs.request_cancel(store, job.id)
        undo = invalidations.add_undo(store, job.about or 0, UNDO, "*", asked)
        under_way(store, undo, Undone(Progress(12, 12, 2.0, ended=True), restored=10, newer=2))
        jobs.end(store, undo.id, OWNER, "finished")
        text = viewer.get("/caches/main/jobs").text.replace("\u202f", " ")
        assert "10 keys back in 2 s. 2 keys written since, left as they are." in text


class TestAKindThatChangesTheCache:
    """No kind of ours that changes keys is started again with a click; should one be, it is asked for as a change."""

    @pytest.fixture
    def changing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kind = replace(KINDS["analysis"], name="change", title="Changing", audits="keys.change", role=Role.ADMIN)
        monkeypatch.setitem(cast("dict[str, Kind]", KINDS), "change", kind)

    def ended(self, store: Store, cache: str) -> Job:
        job = jobs.create(store, cache, "change", {"selection": SELECTION}, "otto", "local")
        jobs.claim(store, OWNER, [cache])
        jobs.end(store, job.id, OWNER, "interrupted")
        return job

    @pytest.mark.usefixtures("changing")
    def test_it_is_for_the_role_of_its_kind(self, operator: FlaskClient, admin: FlaskClient, store: Store) -> None:
        job = self.ended(store, "main")
        assert post(operator, f"/caches/main/jobs/{job.id}/restart").status_code == 403
        assert "Start again" not in operator.get("/caches/main/jobs").text
        assert "Start again…" in admin.get("/caches/main/jobs").text
        assert post(admin, f"/caches/main/jobs/{job.id}/restart").status_code == 303
        waiting = jobs.newest(store, "main")[0]
        assert post(operator, f"/caches/main/jobs/{waiting.id}/cancellation").status_code == 403
        assert state_of(store, waiting) == "queued"

    @pytest.mark.usefixtures("changing")
    def test_production_asks_for_its_name(
        self, settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server
    ) -> None:
        caches = Settings(caches=f"live={valkey.url}?environment=production").caches  # type: ignore[arg-type]
        app = make_app(settings.model_copy(update={"caches": caches}))
        store, admin = deck_of(app).store, signed_in_client(app, Role.ADMIN)
        path = f"/caches/live/jobs/{self.ended(store, 'live').id}"
        assert "Type live to go on" in admin.get(path).text
        assert post(admin, f"{path}/restart", {"typed": "lve"}).status_code == 400
        assert len(jobs.newest(store, "live")) == 1
        assert post(admin, f"{path}/restart", {"typed": "live"}).status_code == 303
        assert len(jobs.newest(store, "live")) == 2

    @pytest.mark.usefixtures("changing")
    def test_a_read_only_cache_refuses_it(
        self, settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server
    ) -> None:
        caches = Settings(caches=f"frozen={valkey.url}?read_only=yes").caches  # type: ignore[arg-type]
        app = make_app(settings.model_copy(update={"caches": caches}))
        store, admin = deck_of(app).store, signed_in_client(app, Role.ADMIN)
        job = self.ended(store, "frozen")
        assert post(admin, f"/caches/frozen/jobs/{job.id}/restart").status_code == 409
        analysis = ended(store, cache="frozen")
        assert post(admin, f"/caches/frozen/jobs/{analysis.id}/restart").status_code == 303


class TestStarting:
    def test_it_waits_a_moment_for_the_first_figures(self, app: Flask, store: Store) -> None:
        job = made(store)
        jobs.claim(store, OWNER, ["main"])
        seen = Progress(1, total=10)
        text = text_of(KINDS["analysis"], Snapshot(seen, Report(1.0)))
        timer = threading.Timer(0.1, jobs.save, (store, job.id, OWNER, progress_of(seen), text))
        timer.start()
        found = until_first_snapshot(store, job, 20)
        timer.join()
        assert found.progress

    def test_an_infinite_interval_comes_back(self, store: Store) -> None:
        report = Report(1.0, memory=Estimate(0.0, 0.0, math.inf))
        job = made(store)
        jobs.claim(store, OWNER, ["main"])
        jobs.save(store, job.id, OWNER, {}, text_of(KINDS["analysis"], Snapshot(Progress(), report)))
        found = results.snapshot(store, job)
        assert found == Snapshot(Progress(), report)
