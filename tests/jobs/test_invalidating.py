"""Invalidations as they are asked for: the rules, each against a real server, and what the audit trail says of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from dashboard.cache.analysis.report import Report
from dashboard.cache.errors import ReadOnlyCache
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.invalidation.mode import Gently, Paced
from dashboard.cache.invalidation.report import Counts, Done, Plan
from dashboard.cache.invalidation.task import Task, task_from_query
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.progress import Progress
from dashboard.jobs import invalidating, resuming
from dashboard.jobs.invalidating import Caller, Standing
from dashboard.jobs.kind import Work
from dashboard.jobs.kinds import KINDS as JOB_KINDS
from dashboard.jobs.pool import Pool
from dashboard.jobs.refused import Refused
from dashboard.jobs.run_here import new_owner, run_here
from dashboard.settings import Settings
from dashboard.store import audit, invalidations, jobs, samples
from dashboard.store.engine import Store, open_store
from dashboard.store.invalidations import Repeated
from dashboard.store.jobs import Job
from dashboard.store.samples import Sample
from dashboard.store.schema import InvalidationRow, JobRow, TokenRow
from dashboard.store.vault import vault_of
from tests.programs import wait_until
from tests.servers import Server

KEYS = 300
OTTO = Caller("otto", "10.1.1.1", "page")
ADA = Caller("ada", "10.2.2.2", "page")
USERS = Selection(b"user:*")


class Desk:
    """The service at one data folder and one cache, its jobs run in this thread."""

    def __init__(self, store: Store, cache: Cache, settings: Settings) -> None:
        self.store = store
        self.cache = cache
        self.settings = settings

    def run(self, job: Job) -> Job:
        owner = new_owner()
        with self.store.write() as session:
            values = {"state": "running", "owner": owner, "heartbeat_at": time.time(), "started_at": time.time()}
            session.execute(update(JobRow).where(JobRow.id == job.id).values(**values))
        return run_here(job, Work(self.cache, self.settings, self.store), owner)

    def plan(self, task: Task | None = None, caller: Caller = OTTO, reason: str = "bad deploy") -> int:
        """The number of a plan that is ready."""
        args = (self.store, self.settings, self.cache, task or Task(USERS), caller, reason)
        made, job = invalidating.make_plan(*args)
        assert self.run(job).state == "finished"
        return made.number

    def now(self, number: int) -> Standing:
        found = invalidating.current(self.store, self.settings, number)
        assert found
        return found

    def execute(self, number: int, caller: Caller = OTTO, reason: str = "", despite_overlap: bool = False) -> Job:
        args = (self.store, self.settings, self.cache, number, caller, reason, despite_overlap)
        return invalidating.execute(*args)

    def approve(self, number: int, caller: Caller, seen: Task | None = None) -> None:
        invalidating.approve(self.store, self.settings, self.cache, number, caller, seen)

    def restate(self, number: int, task: Task, caller: Caller = OTTO) -> None:
        invalidating.restate(self.store, self.settings, self.cache, number, task, caller)

    def undo(self, number: int, pattern: str = "*") -> Job:
        return invalidating.undo(self.store, self.settings, self.cache, number, OTTO, "", pattern)

    def at_once(self, *keys: bytes, **more: Any) -> tuple[int, Job]:
        task = Task(Selection(keys=keys))
        made, job = invalidating.at_once(self.store, self.settings, self.cache, task, OTTO, "odd", **more)
        return made.number, job

    def entry(self, action: str) -> audit.Entry:
        return audit.search(self.store, audit.Filters(action=action))[0]

    def acts(self) -> list[str]:
        return [entry.action for entry in reversed(audit.search(self.store, audit.Filters()))]


@pytest.fixture
def make(tmp_path: Path, valkey: Server) -> Iterator[Callable[..., Desk]]:
    with valkey.client() as client:
        client.mset({f"user:{number}": "v" * 20 for number in range(KEYS)} | {f"page:{n}": "p" for n in range(KEYS)})
    opened: list[Desk] = []

    def made(url: str = "", **settings: Any) -> Desk:
        store = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
        desk = Desk(store, Cache(parse_target(f"main={valkey.url}{url}")), Settings(data=tmp_path, **settings))
        opened.append(desk)
        return desk

    yield made
    for desk in opened:
        desk.cache.close()
        desk.store.close()


@pytest.fixture
def desk(make: Callable[..., Desk]) -> Desk:
    return make()


def size(valkey: Server) -> int:
    with valkey.client() as client:
        return int(client.dbsize())


class TestLongList:
    KEYS = tuple(b"user:%d" % number for number in range(2000))

    def test_it_is_planned_done_and_undone_as_any_other(self, desk: Desk, valkey: Server) -> None:
        number = desk.plan(Task(Selection(keys=self.KEYS)))
        assert desk.now(number).task.selection.keys == self.KEYS
        (row,) = invalidating.listed(desk.store, desk.settings, "main")
        assert row.outline
        assert row.outline.which == "2,000 listed keys (user:0 and others)"
        job = desk.execute(number)
        assert "user:1000" not in str(job.arguments)
        assert JOB_KINDS["invalidate"].subject(job.arguments) == f"plan {number}: {desk.now(number).task.in_words}"
        assert desk.run(job).state == "finished"
        assert size(valkey) == KEYS
        assert desk.run(desk.undo(number)).state == "finished"
        assert size(valkey) == 2 * KEYS

    def test_what_overlaps_is_still_told_exactly(self, desk: Desk) -> None:
        desk.execute(desk.plan(Task(Selection(keys=self.KEYS))))
        assert len(desk.now(desk.plan(Task(Selection(b"user:7")))).overlaps) == 1
        assert desk.now(desk.plan(Task(Selection(b"page:*")))).overlaps == ()

    @pytest.mark.parametrize("more", [{}, {"type": "string"}, {"pattern": "*"}])
    def test_without_its_list_it_is_no_selection(self, more: dict[str, str]) -> None:
        with pytest.raises(BadSelection, match="never means all keys"):
            task_from_query({"mode": "now", "keys": "", "listed": "2000", "first": "a", **more})


class TestNumber:
    def test_one_that_the_vault_knows_is_not_given_again_when_the_database_was_lost(
        self, make: Callable[..., Desk], valkey: Server, tmp_path: Path
    ) -> None:
        desk = make()
        assert desk.at_once(b"user:1")[0] == 1
        assert desk.at_once(b"user:2")[0] == 2
        desk.store.close()
        for file in tmp_path.glob("cachedeck.db*"):
            file.unlink()
        desk = make()
        number, job = desk.at_once(b"user:3")
        assert (number, job.state) == (3, "finished")
        done = desk.now(number).done
        assert done
        assert done.counts.removed == 1
        number = desk.plan()
        assert number == 4
        assert desk.now(number).entry is None


def test_what_stood_too_long_for_the_vault_does_not_go_on_with_wrong_counts(desk: Desk, valkey: Server) -> None:
    number = desk.plan(Task(USERS, Paced(100)))
    job, owner = desk.execute(number), new_owner()
    with desk.store.write() as session:
        values = {"state": "running", "owner": owner, "heartbeat_at": time.time()}
        session.execute(update(JobRow).where(JobRow.id == job.id).values(**values))
    work = Work(desk.cache, desk.settings, desk.store)

    def pause(done: Done) -> None:
        if done.counts.removed:
            jobs.request_pause(desk.store, job.id)

    assert run_here(job, work, owner, on_snapshot=pause).state == "paused"
    left = size(valkey)
    vault_of(desk.settings).drop(number)
    resumed = jobs.resume(desk.store, job.id)
    assert resumed
    ended = desk.run(resumed)
    assert (ended.state, ended.advice) == ("failed", "Make a new plan.")
    assert size(valkey) == left


class TestPlan:
    def test_it_says_what_would_be_done_and_changes_nothing(self, desk: Desk, valkey: Server) -> None:
        made, job = invalidating.make_plan(desk.store, desk.settings, desk.cache, Task(USERS), OTTO, "bad deploy")
        planning = desk.now(made.number)
        assert (planning.state, planning.plan, planning.job) == ("planning", None, job)
        assert planning.obstacle.startswith("The plan is not ready")
        desk.run(job)
        planned = desk.now(made.number)
        assert (planned.state, planned.obstacle, planned.needs, planned.overlaps) == ("planned", "", "", ())
        assert planned.plan
        assert planned.plan.report.keys == exactly(KEYS)
        assert planned.invalidation.keys == KEYS
        assert planned.task == Task(USERS)
        assert size(valkey) == 2 * KEYS
        assert (desk.entry("invalidate.plan.start").actor, desk.entry("invalidate.plan.start").reason) == (
            "otto",
            "bad deploy",
        )
        assert desk.entry("invalidate.plan.start").after == {"invalidation": made.number, "job": job.id}

    def test_reading_how_it_stands_writes_nothing(self, desk: Desk) -> None:
        number = desk.plan()
        before = invalidations.get(desk.store, number)
        desk.now(number)
        assert invalidations.get(desk.store, number) == before
        assert before
        assert before.planned_at is None

    def test_it_is_good_for_a_quarter_of_an_hour_from_when_it_was_ready(self, desk: Desk) -> None:
        number = desk.plan()
        standing = desk.now(number)
        assert standing.plan_job
        assert standing.invalidation.expires_at == (standing.plan_job.ended_at or 0) + 900

    def test_one_that_was_stopped_is_an_estimate_that_can_be_carried_out(
        self, make: Callable[..., Desk], valkey: Server
    ) -> None:
        with valkey.client() as client:
            client.mset({f"user:{number}": "v" for number in range(40_000)})
        desk = make(walk_hold_ms=0.1, walk_share=0.05)
        made, job = invalidating.make_plan(desk.store, desk.settings, desk.cache, Task(USERS), OTTO)
        stopper = threading.Thread(target=_cancel_once_begun, args=(desk.store, job))
        stopper.start()
        assert desk.run(job).state == "cancelled"
        stopper.join()
        standing = desk.now(made.number)
        assert standing.plan
        assert not standing.plan.report.keys.exact
        assert standing.state == "planned"
        assert desk.execute(made.number).state == "queued"

    def test_one_that_failed_on_its_way_says_how_there_can_be_another(self, desk: Desk) -> None:
        """As where the server got slower: then another fails as well, and its estimate is all that there can be."""
        number = desk.plan()
        with desk.store.write() as session:
            failed = {"state": "failed", "error": "Stopped by itself."}
            session.execute(update(JobRow).where(JobRow.about == number).values(**failed))
        with pytest.raises(invalidating.NotPlanned) as told:
            desk.execute(number)
        assert "one that you stop can be carried out" in told.value.sentence
        assert "not known" not in told.value.sentence

    def test_one_that_never_began_is_none(self, desk: Desk) -> None:
        made, job = invalidating.make_plan(desk.store, desk.settings, desk.cache, Task(USERS), OTTO)
        jobs.request_cancel(desk.store, job.id)
        assert desk.now(made.number).state == "cancelled"
        with pytest.raises(invalidating.NotPlanned, match="did not come to its end"):
            desk.execute(made.number)

    def test_a_number_that_nobody_has_is_none(self, desk: Desk) -> None:
        assert invalidating.current(desk.store, desk.settings, 99) is None
        with pytest.raises(invalidating.NoSuchInvalidation):
            desk.execute(99)

    def test_that_of_another_cache_is_not_carried_out_here(self, desk: Desk, valkey: Server) -> None:
        number = desk.plan()
        with closing(Cache(parse_target(f"other={valkey.url}"))) as other:
            elsewhere = Desk(desk.store, other, desk.settings)
            for act in (elsewhere.execute, elsewhere.undo):
                with pytest.raises(invalidating.NoSuchInvalidation):
                    act(number)


class TestExecute:
    def test_it_does_what_was_planned_and_reports_the_drift(self, desk: Desk, valkey: Server) -> None:
        number = desk.plan()
        with valkey.client() as client:
            client.mset({f"user:new:{n}": "v" for n in range(18)})
        job = desk.execute(number, ADA)
        assert (job.state, job.kind, job.actor, job.about) == ("queued", "invalidate", "ada", number)
        assert desk.run(job).state == "finished"
        standing = desk.now(number)
        assert standing.state == "done"
        assert standing.done
        assert standing.done.counts.removed == KEYS + 18
        assert standing.drift
        assert (standing.drift.more, standing.drift.within) == (18, False)
        assert size(valkey) == KEYS
        assert standing.entry
        assert standing.entry.keys == KEYS + 18
        assert desk.acts() == ["invalidate.plan.start", "invalidate.execute", "keys.invalidate"]
        assert desk.entry("invalidate.execute").after == {"job": job.id}
        assert desk.entry("invalidate.execute").reason == "bad deploy"
        assert desk.entry("keys.invalidate").actor == "ada"

    def test_it_does_it_once(self, desk: Desk) -> None:
        number = desk.plan()
        job = desk.execute(number)
        with pytest.raises(invalidating.AlreadyRun) as told:
            desk.execute(number, ADA)
        assert told.value.job == job
        assert str(job.id) in told.value.sentence

    def test_of_two_who_press_at_once_one_does_it_and_the_other_is_told(self, desk: Desk) -> None:
        number = desk.plan()
        results: list[object] = []
        gate = threading.Barrier(4)

        def press() -> None:
            gate.wait()
            try:
                results.append(desk.execute(number).id)
            except invalidating.AlreadyRun as error:
                results.append(error)

        threads = [threading.Thread(target=press) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([one for one in results if isinstance(one, int)]) == 1
        assert len(jobs.of(desk.store, number, "invalidate")) == 1

    def test_not_after_its_time(self, desk: Desk) -> None:
        number = desk.plan()
        desk.restate(number, Task(USERS, Paced(5)))
        with desk.store.write() as session:
            session.execute(update(InvalidationRow).values(expires_at=time.time() - 1))
        assert desk.now(number).state == "expired"
        assert "15 min" in desk.now(number).obstacle
        with pytest.raises(invalidating.Expired):
            desk.execute(number)
        assert jobs.of(desk.store, number, "invalidate") == []

    def test_not_where_there_is_nothing_to_do(self, desk: Desk) -> None:
        number = desk.plan(Task(Selection(b"nobody:*")))
        assert desk.now(number).obstacle == "There is no such key: nothing would be done."
        with pytest.raises(invalidating.NothingToDo):
            desk.execute(number)

    def test_not_on_a_cache_that_is_declared_read_only(self, make: Callable[..., Desk], valkey: Server) -> None:
        desk = make("?read_only=yes")
        number = desk.plan()
        for act in (desk.execute, desk.undo, lambda _: desk.at_once(b"user:1")):
            with pytest.raises(ReadOnlyCache):
                act(number)
        assert size(valkey) == 2 * KEYS

    def test_not_where_it_would_not_fit_into_the_vault_unless_it_is_to_go_without(
        self, make: Callable[..., Desk]
    ) -> None:
        desk = make(vault_mb=0)
        number = desk.plan()
        with pytest.raises(invalidating.VaultTooSmall, match="free") as told:
            desk.execute(number)
        assert told.value.wanted > told.value.free == 0
        desk.restate(number, Task(USERS, vault=False))
        assert desk.run(desk.execute(number)).state == "finished"

    def test_a_plan_that_another_version_wrote_is_refused(self, desk: Desk) -> None:
        number = desk.plan()
        with desk.store.write() as session:
            session.execute(update(InvalidationRow).values(task='{"pattern":"a","mode":"magic"}'))
        with pytest.raises(invalidating.Refused, match="Another version"):
            desk.execute(number)
        (row,) = invalidating.listed(desk.store, desk.settings, "main")
        assert row.outline is None


class TestRestate:
    def test_it_is_done_as_it_was_said_last(self, desk: Desk, valkey: Server) -> None:
        number = desk.plan()
        desk.restate(number, Task(USERS, Gently(60)))
        assert desk.entry("invalidate.restate").subject.startswith(f"plan {number}: keys of user:*, made to expire")
        desk.run(desk.execute(number))
        standing = desk.now(number)
        assert standing.done
        assert standing.done.counts.lowered == KEYS
        with valkey.client() as client:
            assert 0 < client.pttl("user:1") <= 60_000
            assert client.pttl("page:1") == -1

    def test_what_stays_as_it_is_leaves_no_entry(self, desk: Desk) -> None:
        desk.restate(desk.plan(), Task(USERS))
        assert desk.acts() == ["invalidate.plan.start"]

    @pytest.mark.parametrize(
        "selection", [Selection(b"*"), Selection(b"user:*", type="string"), Selection(keys=(b"user:1",))]
    )
    def test_its_keys_are_not_changed(self, desk: Desk, selection: Selection) -> None:
        number = desk.plan()
        with pytest.raises(invalidating.Altered):
            desk.restate(number, Task(selection))
        assert desk.now(number).task == Task(USERS)


class TestOverlaps:
    def test_a_job_on_the_same_keys_is_noticed_before_and_at_the_execution(self, desk: Desk) -> None:
        first, second, elsewhere = desk.plan(), desk.plan(Task(Selection(b"*:1*"))), desk.plan(Task(Selection(b"p*")))
        job = desk.execute(first)
        assert [one.id for one in desk.now(second).overlaps] == [job.id]
        assert desk.now(elsewhere).overlaps == ()
        with pytest.raises(invalidating.Overlaps) as told:
            desk.execute(second)
        assert [one.id for one in told.value.jobs] == [job.id]
        assert f"ob {job.id} works on keys that this one may select too." in told.value.sentence
        assert desk.execute(elsewhere).about == elsewhere
        assert desk.execute(second, despite_overlap=True).about == second

    def test_of_two_plans_on_the_same_keys_that_are_begun_at_once_one_is_told_of_the_other(self, desk: Desk) -> None:
        numbers, begun, gate = [desk.plan() for _ in range(3)], list[int](), threading.Barrier(3)

        def press(number: int) -> None:
            gate.wait()
            try:
                begun.append(desk.execute(number).id)
            except invalidating.Overlaps as error:
                assert error.jobs  # noqa: PT017  (in a thread of its own)

        threads = [threading.Thread(target=press, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(begun) == 1

    def test_one_that_has_ended_or_is_elsewhere_does_not_count(self, desk: Desk) -> None:
        desk.run(desk.execute(desk.plan()))
        jobs.create(desk.store, "other", "retime", {"selection": {"pattern": "*"}}, "otto", "local")
        number = desk.plan(Task(Selection(b"*")))
        assert desk.now(number).overlaps == ()
        assert desk.execute(number)


class TestApproval:
    def test_a_large_plan_waits_for_another_operator(self, make: Callable[..., Desk], valkey: Server) -> None:
        desk = make(approve_keys=KEYS)
        number = desk.plan()
        standing = desk.now(number)
        assert standing.state == "waits for approval"
        assert standing.obstacle == standing.needs
        assert standing.needs == f"{KEYS} keys: from {KEYS} keys on another operator has to approve it."
        for caller in (OTTO, ADA):
            with pytest.raises(invalidating.NeedsApproval) as told:
                desk.execute(number, caller)
            assert told.value.number == number
        with pytest.raises(invalidating.NotYours):
            desk.approve(number, OTTO)
        assert size(valkey) == 2 * KEYS
        desk.approve(number, ADA, Task(USERS))
        assert (desk.now(number).state, desk.now(number).invalidation.approved_by) == ("planned", "ada")
        entry = desk.entry("invalidate.approve")
        assert (entry.actor, entry.before, entry.status) == ("ada", {"asked_by": "otto"}, "done")
        job = desk.execute(number)
        assert "most" not in job.arguments
        desk.run(job)
        assert size(valkey) == KEYS

    def test_the_list_says_what_waits_for_it_before_anybody_has_looked_at_it(self, make: Callable[..., Desk]) -> None:
        desk = make(approve_keys=KEYS + 1)
        desk.plan()
        desk.plan(Task(Selection(b"*")))
        rows = invalidating.listed(desk.store, desk.settings, "main")
        assert [row.state for row in rows] == ["waits for approval", "planned"]

    def test_a_refused_approval_stands_in_the_audit_trail(self, make: Callable[..., Desk]) -> None:
        desk = make(approve_percent=1.0)
        number = desk.plan()
        with pytest.raises(invalidating.NotYours):
            desk.approve(number, OTTO)
        entry = desk.entry("invalidate.approve")
        assert (entry.status, entry.error) == ("failed", "Nobody approves what they have asked for themselves.")

    def test_what_is_approved_is_done_as_it_was_approved(self, make: Callable[..., Desk]) -> None:
        desk = make(approve_keys=1)
        number = desk.plan()
        with pytest.raises(invalidating.Altered):
            desk.restate(number, Task(USERS, vault=False), ADA)
        desk.restate(number, Task(USERS, Paced(1000)))
        with pytest.raises(invalidating.Altered):
            desk.approve(number, ADA, Task(USERS))
        desk.approve(number, ADA, Task(USERS, Paced(1000)))
        with pytest.raises(invalidating.Altered):
            desk.restate(number, Task(USERS, vault=False))
        assert desk.execute(number).arguments["task"] == Task(USERS, Paced(1000)).to_query()

    def test_a_small_plan_needs_nobody_and_stops_where_it_would_become_a_large_one(
        self, make: Callable[..., Desk], valkey: Server
    ) -> None:
        desk = make(approve_keys=KEYS + 100)
        number = desk.plan()
        assert desk.now(number).state == "planned"
        with pytest.raises(invalidating.Altered, match="needs no approval"):
            desk.approve(number, ADA)
        with valkey.client() as client:
            client.mset({f"user:new:{n}": "v" for n in range(5 * KEYS)})
        job = desk.execute(number)
        assert job.arguments["most"] == KEYS + 99
        ended = desk.run(job)
        assert ended.state == "failed"
        assert f"more than the {KEYS + 99} keys" in ended.error
        done = desk.now(number).done
        assert done
        assert done.counts.removed <= KEYS + 99
        assert size(valkey) == 7 * KEYS - done.counts.removed


class TestAtOnce:
    def test_listed_keys_are_gone_on_return_and_can_be_brought_back(self, desk: Desk, valkey: Server) -> None:
        number, job = desk.at_once(b"user:1", b"user:2", b"nobody")
        assert (job.state, job.about) == ("finished", number)
        standing = desk.now(number)
        assert (standing.state, standing.plan_job, standing.drift) == ("done", None, None)
        assert standing.done
        assert standing.done.counts.removed == 2
        assert size(valkey) == 2 * KEYS - 2
        undone, found = invalidating.undo_now(desk.store, desk.settings, desk.cache, number, OTTO)
        assert (undone.state, found.restored if found else None) == ("finished", 2)
        assert desk.now(number).state == "undone"
        with valkey.client() as client:
            assert client.get("user:1") == b"v" * 20
        assert desk.acts() == ["invalidate.execute", "keys.invalidate", "invalidate.undo.start", "keys.undo"]

    def test_a_large_list_is_for_the_worker(self, desk: Desk, valkey: Server) -> None:
        number, job = desk.at_once(*(b"user:%d" % n for n in range(invalidating.SMALL + 1)))
        assert job.state == "queued"
        assert desk.now(number).state == "running"
        assert size(valkey) == 2 * KEYS

    def test_a_pattern_is_not_done_without_a_plan(self, desk: Desk, valkey: Server) -> None:
        with pytest.raises(invalidating.Refused, match="named one by one"):
            invalidating.at_once(desk.store, desk.settings, desk.cache, Task(USERS), OTTO)
        assert size(valkey) == 2 * KEYS

    @pytest.mark.parametrize("threshold", [{"approve_keys": 3}, {"approve_mb": 1}, {"approve_percent": 0.5}])
    def test_it_goes_round_no_threshold(
        self, make: Callable[..., Desk], valkey: Server, threshold: dict[str, Any]
    ) -> None:
        desk = make(**threshold)
        with valkey.client() as client:
            client.set("large", "v" * 2_000_000)
        samples.save(desk.store, [Sample(time.time(), "main", "node", {"keys": 2 * KEYS + 1, "used_memory": 1e6})])
        number, job = desk.at_once(b"user:1", b"user:2")
        assert job.state == "finished"
        assert desk.now(number).plan
        keys = (b"user:3", b"user:4", b"user:5", b"large")
        with pytest.raises(invalidating.NeedsApproval) as told:
            desk.at_once(*keys)
        assert told.value.number
        assert desk.now(told.value.number).state == "waits for approval"
        assert size(valkey) == 2 * KEYS + 1 - 2

    def test_a_plan_of_it_that_somebody_carries_out_first_is_done_once(
        self, make: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk, theirs = make(approve_keys=5), []

        def planned(job: Job, *args: Any) -> Job:
            ended = run_here(job, *args)
            theirs.append(desk.execute(job.about or 0))
            return ended

        monkeypatch.setattr(invalidating, "run_here", planned)
        number, job = desk.at_once(b"user:1")
        assert [job.id, desk.now(number).run_job] == [theirs[0].id, theirs[0]]

    def test_a_token_s_second_request_does_it_no_second_time(self, desk: Desk, valkey: Server) -> None:
        with desk.store.write() as session:
            row = TokenRow(name="deploy", hash="h", beginning="c", role=2, cache="", patterns="[]", created_by="ada")
            row.created_at, row.revoked_by = 1.0, ""
            session.add(row)
            session.flush()
            caller = Caller("token deploy", "10.1.1.1", "api", row.id)
        task = Task(Selection(keys=(b"user:1",)))
        arguments = (desk.store, desk.settings, desk.cache, task, caller)
        made, _ = invalidating.at_once(*arguments, idempotency="d-17", fingerprint="f")
        with valkey.client() as client:
            client.set("user:1", "new")
        with pytest.raises(Repeated) as told:
            invalidating.at_once(*arguments, idempotency="d-17", fingerprint="f")
        assert told.value.invalidation.number == made.number
        with valkey.client() as client:
            assert client.get("user:1") == b"new"


class TestResume:
    def test_not_where_an_undo_was_asked_for_a_moment_before(self, desk: Desk) -> None:
        number = desk.plan()
        desk.run(desk.execute(number))
        with desk.store.write() as session:
            session.execute(update(JobRow).where(JobRow.kind == "invalidate").values(state="paused"))
        run = desk.now(number).run_job
        assert run
        assert resuming.why_not(desk.store, run) == ""
        undo = desk.undo(number)
        with pytest.raises(Refused, match="under way"):
            resuming.resume(desk.store, run)
        assert desk.run(undo).state == "finished"
        with pytest.raises(Refused, match="taken back"):
            resuming.resume(desk.store, run)
        assert desk.now(number).run_job == run

    def test_of_many_who_undo_and_resume_at_once_one_does(self, desk: Desk) -> None:
        number = desk.plan()
        desk.run(desk.execute(number))
        with desk.store.write() as session:
            session.execute(update(JobRow).where(JobRow.kind == "invalidate").values(state="paused"))
        run = desk.now(number).run_job
        assert run

        def press(at: int) -> bool:
            try:
                desk.undo(number) if at % 2 else resuming.resume(desk.store, run)
            except Refused:
                return False
            return True

        with ThreadPoolExecutor(10) as threads:
            pressed = list(threads.map(press, range(10)))
        open_jobs = [job.kind for job in jobs.of(desk.store, number) if job.open]
        assert len(open_jobs) == 1
        assert any(pressed)


class TestUndo:
    def test_it_brings_back_a_part_and_then_the_rest(self, desk: Desk, valkey: Server) -> None:
        number = desk.plan()
        desk.run(desk.execute(number))
        assert desk.run(desk.undo(number, "user:1*")).state == "finished"
        standing = desk.now(number)
        assert standing.state == "done"
        assert size(valkey) == KEYS + 111
        assert desk.entry("keys.undo").subject.endswith("keys of user:1* only")
        desk.run(desk.undo(number))
        assert (desk.now(number).state, size(valkey)) == ("undone", 2 * KEYS)
        assert [found.restored if found else None for _, found in desk.now(number).undos] == [KEYS - 111, 111]

    def test_not_of_what_the_vault_has_nothing_of(self, desk: Desk) -> None:
        number = desk.plan(Task(USERS, vault=False))
        with pytest.raises(invalidating.NothingKept):
            desk.undo(number)
        kept = desk.plan(Task(Selection(b"page:*")))
        desk.run(desk.execute(kept))
        assert vault_of(desk.settings).drop(kept)
        with pytest.raises(invalidating.NothingKept):
            desk.undo(kept)

    def test_not_while_it_runs_and_one_at_a_time(self, desk: Desk, make: Callable[..., Desk]) -> None:
        slow, number = make(walk_hold_ms=0.1, walk_share=0.05), desk.plan()
        desk.restate(number, Task(USERS, Paced(100)))
        pool = Pool(slow.store, {"main": slow.cache}, slow.settings)
        pool.start()
        job = desk.execute(number)
        wait_until(lambda: _kept(desk, number) > 0, "something is kept")
        with pytest.raises(invalidating.Busy, match="under way") as told:
            desk.undo(number)
        assert told.value.job.id == job.id
        jobs.request_pause(desk.store, job.id)
        wait_until(lambda: desk.now(number).state == "paused", "it stands")
        pool.finish(10)
        first = desk.undo(number)
        assert desk.now(number).state == "undoing"
        with pytest.raises(invalidating.Busy, match="being undone") as told:
            desk.undo(number)
        assert told.value.job.id == first.id


class TestTheList:
    def test_it_says_of_each_how_it_stands(self, desk: Desk) -> None:
        done, undone, waiting = desk.plan(), desk.at_once(b"page:1")[0], desk.plan(Task(Selection(b"page:*")))
        desk.run(desk.execute(done))
        invalidating.undo_now(desk.store, desk.settings, desk.cache, undone, OTTO)
        rows = invalidating.listed(desk.store, desk.settings, "main")
        assert [(row.invalidation.number, row.state, row.counts.get("done"), row.kept) for row in rows] == [
            (waiting, "planned", None, 0),
            (undone, "undone", 1, 1),
            (done, "done", KEYS, KEYS),
        ]
        assert rows[0].counts["found"] == KEYS - 1
        assert [row.invalidation.number for row in invalidating.listed(desk.store, desk.settings, "main", 1, done + 1)]
        assert invalidating.listed(desk.store, desk.settings, "other") == []


@pytest.mark.parametrize(
    ("planned", "found", "more", "within"),
    [(exactly(10), 10, 0, True), (exactly(10), 12, 2, False), (Estimate(10, 8, 12), 12, 2, True)],
)
def test_drift_is_what_was_found_beside_what_was_planned(
    planned: Estimate, found: int, more: int, within: bool
) -> None:
    plan = Plan(Progress(), Report(1.0, keys=planned))
    drift = invalidating.drift(plan, Done(Progress(), 1.0, Counts(found=found)))
    assert drift
    assert (drift.more, drift.within) == (more, within)
    assert invalidating.drift(None, None) is None


def _kept(desk: Desk, number: int) -> int:
    entry = vault_of(desk.settings).entry(number)
    return entry.keys if entry else 0


def _cancel_once_begun(store: Store, job: Job) -> None:
    wait_until(lambda: (jobs.get(store, job.id) or job).progress is not None, "it has begun")
    jobs.request_cancel(store, job.id)
