"""Invalidations in the store: numbered, planned once, approved by another, begun once and within their time."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import update

from dashboard.store import invalidations, jobs
from dashboard.store.engine import Store
from dashboard.store.invalidations import (
    AlreadyBegun,
    Altered,
    Asked,
    Figures,
    Guard,
    Invalidation,
    Late,
    OwnApproval,
    Repeated,
    Unapproved,
    Unknown,
)
from dashboard.store.jobs import Job
from dashboard.store.schema import InvalidationRow, TokenRow
from tests.store.processes import begin_it, together

OTTO = Asked("otto", "10.1.1.1", "bad deploy")
TASK = {"pattern": "api:*", "mode": "now"}
FIGURES = Figures(10_212, 10_000, 10_400, 41e6)
NEEDS = "From 10,000 keys on another operator has to approve it."


def made(store: Store, cache: str = "main", asked: Asked = OTTO) -> Invalidation:
    return invalidations.make(store, cache, TASK, "invalidate.plan", asked, seconds=900)[0]


def planned(store: Store, needs: str = "", asked: Asked = OTTO, seconds: float = 900) -> int:
    number = made(store, asked=asked).number
    invalidations.planned(store, number, FIGURES, needs, time.time() + seconds)
    return number


def begin(store: Store, number: int, actor: str = "otto", **more: object) -> Job:
    return invalidations.begin(store, number, "invalidate", Asked(actor, "local"), **more)  # type: ignore[arg-type]


def state(store: Store, number: int) -> Invalidation:
    found = invalidations.get(store, number)
    assert found
    return found


def test_a_plan_is_not_good_for_longer_because_the_clock_was_set_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, now = planned(store), time.time()
    monkeypatch.setattr("dashboard.store.invalidations.time.time", lambda: now - 86400)
    with pytest.raises(Late):
        begin(store, number)
    monkeypatch.setattr("dashboard.store.invalidations.time.time", lambda: now - 5)
    assert begin(store, number)


class TestMake:
    def test_it_comes_back_as_it_was_asked_for_with_the_job_that_plans_it(self, store: Store) -> None:
        found, job = invalidations.make(store, "main", TASK, "invalidate.plan", OTTO, seconds=900)
        assert state(store, found.number) == found
        assert (found.cache, found.task, found.actor, found.address) == ("main", TASK, "otto", "10.1.1.1")
        assert (found.reason, found.source, found.plan_job, found.run_job) == ("bad deploy", "page", job.id, None)
        assert found.planned_at is found.keys is found.approved_at is None
        assert job.about == found.number
        assert job.arguments == {"number": found.number, "task": TASK}
        assert (job.state, job.kind, job.actor, job.reason) == ("queued", "invalidate.plan", "otto", "bad deploy")

    def test_a_long_list_of_keys_is_kept_once_and_read_only_where_it_is_asked_for(self, store: Store) -> None:
        task = {"mode": "now", "keys": "\n".join(f"api:{number}" for number in range(50_000))}
        found, job = invalidations.make(store, "main", task, "invalidate.plan", OTTO, seconds=900)
        assert state(store, found.number).task == task
        invalidations.planned(store, found.number, FIGURES, "", time.time() + 900)
        assert invalidations.restate(store, found.number, "otto", {**task, "mode": "paced"}).number == found.number
        assert state(store, found.number).task == {**task, "mode": "paced"}
        run = begin(store, found.number)
        short = {"mode": "paced", "keys": "", "listed": "50000", "first": "api:0"}
        assert job.arguments["task"] == {**short, "mode": "now"}
        assert run.arguments["task"] == short
        (listed,) = invalidations.newest(store, "main")
        assert listed.task == short

    def test_a_number_is_never_given_twice(self, store: Store) -> None:
        first = made(store)
        jobs.request_cancel(store, first.plan_job or 0)
        assert invalidations.drop_old(store, kept=0, seconds=0) == 1
        assert made(store).number > first.number

    def test_a_token_s_second_request_with_the_same_key_is_told_of_the_first(self, store: Store) -> None:
        token = made_token(store)
        asked = replace(OTTO, token_id=token, idempotency="deploy-17", fingerprint="f" * 64)
        first = made(store, asked=asked)
        with pytest.raises(Repeated) as told:
            made(store, asked=asked)
        assert told.value.invalidation == first
        assert invalidations.asked_before(store, token, "deploy-17") == first
        assert invalidations.asked_before(store, token, "deploy-18") is None
        assert len(jobs.newest(store, "main")) == 1

    def test_without_a_plan_it_is_begun_at_once(self, store: Store) -> None:
        found, job = invalidations.make_begun(store, "main", TASK, "invalidate", OTTO, owner="o")
        assert (found.plan_job, found.run_job) == (None, job.id)
        assert (job.state, job.about) == ("running", found.number)

    @pytest.mark.parametrize("number", [-1, 0, 1, 2**63, 2**80])
    def test_a_number_that_nobody_has_is_none(self, store: Store, number: int) -> None:
        assert invalidations.get(store, number) is None
        with pytest.raises(Unknown):
            begin(store, number)


class TestLists:
    def test_the_newest_come_first_by_cache_and_page(self, store: Store) -> None:
        first, second = made(store), made(store)
        made(store, "other")
        assert invalidations.newest(store, "main") == [second, first]
        assert invalidations.newest(store, "main", before=second.number) == [first]
        assert invalidations.newest(store, "main", limit=1) == [second]
        assert invalidations.newest(store, "main", before=2**80) == [second, first]
        assert invalidations.several(store, [first.number, 99]) == {first.number: first}


class TestPlanned:
    def test_what_it_said_first_is_what_counts(self, store: Store) -> None:
        number = made(store).number
        first = invalidations.planned(store, number, FIGURES, NEEDS, 2e9)
        assert (first.keys, first.keys_low, first.keys_high, first.memory) == (10_212, 10_000, 10_400, 41e6)
        assert (first.needs, first.expires_at) == (NEEDS, 2e9)
        assert invalidations.planned(store, number, Figures(1, 1, 1, None), "", 3e9) == first


class TestBegin:
    def test_it_binds_one_job_with_the_task_as_it_stands(self, store: Store) -> None:
        number = planned(store)
        invalidations.restate(store, number, "otto", {**TASK, "mode": "paced", "rate": "5"})
        job = begin(store, number, "ada", owner="here")
        assert job.arguments == {"number": number, "task": {**TASK, "mode": "paced", "rate": "5"}}
        assert (job.actor, job.about, job.state) == ("ada", number, "running")
        assert state(store, number).run_job == job.id

    def test_the_second_is_told_of_the_first(self, store: Store) -> None:
        number = planned(store)
        job = begin(store, number)
        with pytest.raises(AlreadyBegun) as told:
            begin(store, number)
        assert told.value.job == job.id
        assert len(jobs.of(store, number, "invalidate")) == 1

    def test_of_several_processes_that_press_at_once_exactly_one_begins(self, url: str, store: Store) -> None:
        number = planned(store)
        begun = [job for job in together(4, begin_it, url) if job is not None]
        assert begun == [state(store, number).run_job]
        assert len(jobs.of(store, number, "invalidate")) == 1

    def test_not_before_its_plan_and_not_after_its_time(self, store: Store) -> None:
        with pytest.raises(Late):
            begin(store, made(store).number)
        with pytest.raises(Late):
            begin(store, planned(store, seconds=-1))

    def test_a_guard_is_asked_about_what_is_open_on_the_same_cache(self, store: Store) -> None:
        other = jobs.create(store, "main", "retime", {}, "ada", "local")
        jobs.create(store, "main", "analysis", {}, "ada", "local")
        jobs.create(store, "second", "retime", {}, "ada", "local")
        number, seen = planned(store), []

        def refuse(found: list[Job]) -> None:
            seen.extend(found)
            raise Altered("no")

        with pytest.raises(Altered):
            begin(store, number, guard=Guard(("retime", "invalidate"), refuse))
        assert seen == [other]
        assert state(store, number).run_job is None

    def test_an_undo_has_the_task_and_the_keys_that_are_to_come_back(self, store: Store) -> None:
        number = planned(store)
        begin(store, number)
        job = invalidations.add_undo(store, number, "invalidate.undo", "api:1*", OTTO)
        assert job.arguments == {"number": number, "task": TASK, "pattern": "api:1*"}
        assert [one.kind for one in jobs.of(store, number)] == ["invalidate.undo", "invalidate", "invalidate.plan"]


class TestApproval:
    def test_what_needs_it_is_not_begun_before(self, store: Store) -> None:
        number = planned(store, NEEDS)
        with pytest.raises(Unapproved, match="another operator"):
            begin(store, number)
        approved = invalidations.approve(store, number, "ada")
        assert approved.approved_by == "ada"
        assert approved.approved_at
        assert begin(store, number).about == number

    def test_nobody_approves_their_own(self, store: Store) -> None:
        number = planned(store, NEEDS)
        with pytest.raises(OwnApproval):
            invalidations.approve(store, number, "otto")
        assert state(store, number).approved_by == ""

    def test_nobody_approves_what_their_own_token_asked_for(self, store: Store) -> None:
        asked = Asked("token deploy", "10.1.1.1", source="api", token_id=made_token(store, created_by="ada"))
        number = planned(store, NEEDS, asked)
        with pytest.raises(OwnApproval):
            invalidations.approve(store, number, "ada")
        assert invalidations.approve(store, number, "otto").approved_by == "otto"

    def test_it_is_of_what_was_looked_at(self, store: Store) -> None:
        number = planned(store, NEEDS)
        invalidations.restate(store, number, "otto", {**TASK, "vault": "no"})
        with pytest.raises(Altered):
            invalidations.approve(store, number, "ada", TASK)
        assert invalidations.approve(store, number, "ada", {**TASK, "vault": "no"}).approved_by == "ada"

    def test_what_is_approved_is_altered_by_nobody(self, store: Store) -> None:
        number = planned(store, NEEDS)
        invalidations.approve(store, number, "ada")
        with pytest.raises(Altered):
            invalidations.restate(store, number, "otto", {**TASK, "vault": "no"})
        with pytest.raises(Altered, match="already"):
            invalidations.approve(store, number, "vera")

    def test_only_its_planner_alters_what_waits_for_approval(self, store: Store) -> None:
        with pytest.raises(Altered, match="only otto"):
            invalidations.restate(store, planned(store, NEEDS), "ada", {**TASK, "vault": "no"})
        assert invalidations.restate(store, planned(store), "ada", {**TASK, "vault": "no"}).task["vault"] == "no"

    @pytest.mark.parametrize("seconds", [-1, 900])
    def test_not_of_what_needs_none_is_late_or_begun(self, store: Store, seconds: float) -> None:
        number = planned(store, NEEDS if seconds < 0 else "", seconds=seconds)
        with pytest.raises(Late if seconds < 0 else Altered):
            invalidations.approve(store, number, "ada")
        if seconds > 0:
            begin(store, number)
            with pytest.raises(AlreadyBegun):
                invalidations.approve(store, number, "ada")
            with pytest.raises(AlreadyBegun):
                invalidations.restate(store, number, "otto", TASK)

    def test_an_unapproved_execution_is_told_where_to_stop_and_an_approved_one_is_not(self, store: Store) -> None:
        assert begin(store, planned(store), most=99).arguments["most"] == 99
        number = planned(store, NEEDS)
        invalidations.approve(store, number, "ada")
        assert "most" not in begin(store, number, most=99).arguments


class TestDropOld:
    def test_the_newest_and_the_young_and_the_kept_and_those_under_way_stay(self, store: Store) -> None:
        kept, idle, paused, waiting, newest = (made(store) for _ in range(5))
        for one in (kept, idle, newest):
            jobs.request_cancel(store, one.plan_job or 0)
        jobs.request_pause(store, paused.plan_job or 0)
        assert invalidations.drop_old(store, keep=[kept.number], kept=1) == 0
        with store.write() as session:
            session.execute(update(InvalidationRow).values(created_at=time.time() - 2 * invalidations.KEPT_SECONDS))
        assert invalidations.drop_old(store, keep=[kept.number], kept=1) == 1
        assert invalidations.get(store, idle.number) is None
        assert all(invalidations.get(store, one.number) for one in (kept, paused, waiting, newest))


def made_token(store: Store, created_by: str = "ada") -> int:
    row = TokenRow(
        name="deploy",
        hash="h" * 64,
        beginning="cdk_",
        role=2,
        cache="",
        patterns="[]",
        created_by=created_by,
        created_at=1.0,
        revoked_by="",
    )
    with store.write() as session:
        session.add(row)
        session.flush()
        return row.id


def test_what_somebody_has_changed_meanwhile_is_not_carried_out(store: Store) -> None:
    number = planned(store)
    invalidations.restate(store, number, "otto", {**TASK, "vault": "no"})
    with pytest.raises(Altered, match="changed while you looked"):
        begin(store, number, seen=TASK)
    assert begin(store, number, seen={**TASK, "vault": "no"}).about == number
