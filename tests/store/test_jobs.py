"""Jobs in the store: claimed once, alive while their worker says so, kept with what they found, dropped when old."""

from __future__ import annotations

import json
import threading
import time

import pytest
from sqlalchemy import select, update

from dashboard.store import invalidations, jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import DEAD_SECONDS, Job
from dashboard.store.schema import JobRow, JobSnapshotRow
from tests.store.processes import claim_all, together

OWNER, OTHER = "one", "two"


def create(store: Store, cache: str = "main", kind: str = "analysis", **arguments: object) -> Job:
    return jobs.create(store, cache, kind, arguments, "otto", "10.0.0.1", "curious")


def claim(store: Store, owner: str = OWNER) -> Job:
    job = jobs.claim(store, owner, ["main", "other"])
    assert job
    return job


def state(store: Store, job: Job) -> str:
    found = jobs.get(store, job.id)
    assert found
    return found.state


def aged(store: Store, job: Job, **columns: float) -> None:
    """Let something have happened so many seconds ago."""
    values = {name: time.time() - seconds for name, seconds in columns.items()}
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(**values))


class TestCreate:
    def test_it_comes_back_as_it_was_asked_for(self, store: Store) -> None:
        made = create(store, selection={"pattern": "a:*"}, share=0.5, replicas=False)
        assert jobs.get(store, made.id) == made
        assert made.arguments == {"selection": {"pattern": "a:*"}, "share": 0.5, "replicas": False}
        assert (made.state, made.actor, made.address, made.reason) == ("queued", "otto", "10.0.0.1", "curious")
        assert made.started_at is made.ended_at is made.progress is None
        assert jobs.result_text(store, made.id) is None

    def test_it_refuses_what_is_no_json(self, store: Store) -> None:
        with pytest.raises(TypeError):
            create(store, pattern=b"a")
        assert jobs.newest(store, "main") == []

    def test_it_keeps_a_name_that_a_database_cannot_hold(self, store: Store) -> None:
        made = jobs.create(store, "main", "analysis", {"pattern": "a\0b"}, "o\0tto", "local", "\ud800")
        found = jobs.get(store, made.id)
        assert found
        assert found.arguments == {"pattern": "a\0b"}

    def test_one_that_somebody_runs_already_is_taken_by_no_worker(self, store: Store) -> None:
        made = jobs.create(store, "main", "analysis", {}, "otto", "local", owner=OWNER)
        assert (made.state, made.started_at) == ("running", made.created_at)
        assert jobs.claim(store, OTHER, ["main"]) is None
        assert jobs.order(store, made.id, OWNER) == "go on"
        assert jobs.alive(store) == 1
        assert jobs.end(store, made.id, OWNER, "finished")

    @pytest.mark.parametrize("number", [-1, 0, 1, 2**63, 2**80])
    def test_a_number_that_nobody_has_is_none(self, store: Store, number: int) -> None:
        assert jobs.get(store, number) is None


class TestLists:
    def test_the_newest_come_first_by_kind_state_and_page(self, store: Store) -> None:
        first, second, third = create(store), create(store, kind="retime"), create(store)
        create(store, "other")
        assert jobs.newest(store, "main") == [third, second, first]
        assert jobs.newest(store, "main", "analysis") == [third, first]
        assert jobs.newest(store, "main", limit=1) == [third]
        assert jobs.newest(store, "main", before=second.id) == [first]
        claim(store)
        assert [job.id for job in jobs.newest(store, "main", state="running")] == [first.id]
        assert jobs.newest(store, "main", state="finished") == []

    def test_those_that_wait_or_run_are_running_the_oldest_first(self, store: Store) -> None:
        first, second = create(store), create(store)
        create(store, "other")
        claim(store)
        assert [job.id for job in jobs.running(store, "main")] == [first.id, second.id]
        jobs.end(store, first.id, OWNER, "finished")
        assert [job.id for job in jobs.running(store, "main")] == [second.id]
        assert [job.id for job in jobs.running(store, "main", time.time() - 60)] == [first.id, second.id]
        aged(store, first, ended_at=61)
        assert [job.id for job in jobs.running(store, "main", time.time() - 60)] == [second.id]

    def test_only_those_of_living_workers_are_alive(self, store: Store) -> None:
        create(store)
        assert jobs.alive(store) == 0
        job = claim(store)
        assert jobs.alive(store) == 1
        aged(store, job, heartbeat_at=DEAD_SECONDS + 1)
        assert jobs.alive(store) == 0


class TestClaim:
    def test_the_one_that_waited_longest_is_taken(self, store: Store) -> None:
        first, second = create(store), create(store)
        assert claim(store).id == first.id
        assert claim(store).id == second.id
        assert jobs.claim(store, OWNER, ["main"]) is None

    def test_it_takes_only_those_of_its_caches(self, store: Store) -> None:
        create(store, "unknown")
        assert jobs.claim(store, OWNER, ["main", "other"]) is None
        assert jobs.claim(store, OWNER, []) is None

    def test_of_several_processes_exactly_one_takes_each(self, url: str, store: Store) -> None:
        made = [create(store).id for _ in range(40)]
        taken = together(4, claim_all, url)
        assert sorted(number for of_one in taken for number in of_one) == made

    def test_of_several_threads_exactly_one_takes_it(self, store: Store) -> None:
        create(store)
        taken: list[Job] = []
        barrier = threading.Barrier(4)

        def take(owner: str) -> None:
            barrier.wait()
            job = jobs.claim(store, owner, ["main"])
            taken.extend([job] if job else [])

        threads = [threading.Thread(target=take, args=(str(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1

    def test_one_that_waited_for_an_hour_is_not_begun_any_more(self, store: Store) -> None:
        job = create(store)
        aged(store, job, queued_at=jobs.QUEUED_SECONDS + 1)
        assert jobs.claim(store, OWNER, ["main"]) is None
        assert jobs.bury(store) == 1
        found = jobs.get(store, job.id)
        assert found
        assert (found.state, found.error) == ("interrupted", jobs.NOT_TAKEN)


class TestSnapshots:
    def test_the_last_one_is_kept_compressed(self, store: Store) -> None:
        create(store)
        job = claim(store)
        text = json.dumps({"rows": ["naïve"] * 10_000})
        assert jobs.save(store, job.id, OWNER, {"examined": 1}, "{}") == "go on"
        assert jobs.save(store, job.id, OWNER, {"examined": 2}, text) == "go on"
        assert jobs.result_text(store, job.id) == text
        found = jobs.get(store, job.id)
        assert found
        assert found.progress == {"examined": 2}
        with store.read() as session:
            bodies = list(session.scalars(select(JobSnapshotRow.body)))
        assert len(bodies) == 1
        assert len(bodies[0]) < len(text) / 10

    def test_it_stays_when_the_job_has_ended(self, store: Store) -> None:
        create(store)
        job = claim(store)
        jobs.save(store, job.id, OWNER, {}, '{"a":1}')
        jobs.end(store, job.id, OWNER, "failed", "It broke.", "Mend it.")
        found = jobs.get(store, job.id)
        assert found
        assert (found.state, found.error, found.advice) == ("failed", "It broke.", "Mend it.")
        assert jobs.result_text(store, job.id) == '{"a":1}'


class TestEnd:
    @pytest.mark.parametrize("how", ["finished", "failed", "cancelled", "interrupted"])
    def test_it_ends_once(self, store: Store, how: jobs.Ended) -> None:
        create(store)
        job = claim(store)
        assert jobs.end(store, job.id, OWNER, how)
        assert not jobs.end(store, job.id, OWNER, "finished")
        assert state(store, job) == how

    def test_another_worker_cannot_end_or_change_it(self, store: Store) -> None:
        create(store)
        job = claim(store)
        assert not jobs.end(store, job.id, OTHER, "finished")
        assert jobs.save(store, job.id, OTHER, {}, "{}") == "lost"
        assert jobs.beat(store, job.id, OTHER) == "lost"
        assert state(store, job) == "running"
        assert jobs.result_text(store, job.id) is None


class TestCancel:
    def test_one_that_waits_ends_at_once(self, store: Store) -> None:
        job = create(store)
        asked = jobs.request_cancel(store, job.id)
        assert asked
        assert asked.state == "cancelled"
        assert asked.ended_at
        assert jobs.claim(store, OWNER, ["main"]) is None

    def test_the_worker_of_one_that_runs_is_told(self, store: Store) -> None:
        create(store)
        job = claim(store)
        assert jobs.order(store, job.id, OWNER) == "go on"
        asked = jobs.request_cancel(store, job.id)
        assert asked
        assert (asked.state, asked.cancelling) == ("running", True)
        assert jobs.order(store, job.id, OWNER) == "cancel"
        assert jobs.beat(store, job.id, OWNER) == "cancel"
        assert jobs.save(store, job.id, OWNER, {}, "{}") == "cancel"

    def test_one_that_has_ended_stays_as_it_is(self, store: Store) -> None:
        create(store)
        job = claim(store)
        jobs.end(store, job.id, OWNER, "finished")
        asked = jobs.request_cancel(store, job.id)
        assert asked
        assert (asked.state, asked.cancelling) == ("finished", False)

    def test_one_of_a_dead_worker_is_interrupted_and_not_cancelled(self, store: Store) -> None:
        create(store)
        job = claim(store)
        aged(store, job, heartbeat_at=DEAD_SECONDS + 1)
        asked = jobs.request_cancel(store, job.id)
        assert asked
        assert asked.state == "interrupted"

    def test_one_that_is_not_there_is_none(self, store: Store) -> None:
        assert jobs.request_cancel(store, 77) is None


class TestPause:
    def test_one_that_waits_stands_at_once_and_no_worker_takes_it(self, store: Store) -> None:
        job = create(store)
        paused = jobs.request_pause(store, job.id)
        assert paused
        assert (paused.state, paused.open, paused.resumable) == ("paused", False, True)
        assert paused.ended_at
        assert jobs.claim(store, OWNER, ["main"]) is None

    def test_the_worker_of_one_that_runs_is_told(self, store: Store) -> None:
        job = create(store)
        claim(store)
        asked = jobs.request_pause(store, job.id)
        assert asked
        assert (asked.state, asked.pausing) == ("running", True)
        assert jobs.order(store, job.id, OWNER) == jobs.beat(store, job.id, OWNER) == "pause"
        assert jobs.save(store, job.id, OWNER, {"examined": 1}, "{}") == "pause"
        assert jobs.end(store, job.id, OWNER, "paused")
        found = jobs.get(store, job.id)
        assert found
        assert (found.state, found.pausing) == ("paused", False)
        assert jobs.running(store, "main") == []
        assert jobs.newest(store, "main", state="paused") == [found]

    def test_a_cancellation_comes_before_it(self, store: Store) -> None:
        job = create(store)
        claim(store)
        jobs.request_pause(store, job.id)
        found = jobs.request_cancel(store, job.id)
        assert found
        assert (found.cancelling, found.pausing) == (True, False)
        jobs.request_pause(store, job.id)
        assert jobs.order(store, job.id, OWNER) == "cancel"

    def test_one_that_stands_can_be_cancelled(self, store: Store) -> None:
        job = create(store)
        jobs.request_pause(store, job.id)
        found = jobs.request_cancel(store, job.id)
        assert found
        assert found.state == "cancelled"
        assert not found.resumable

    @pytest.mark.parametrize("how", ["finished", "failed", "cancelled", "interrupted"])
    def test_one_that_has_ended_stays_as_it_is(self, store: Store, how: jobs.Ended) -> None:
        job = create(store)
        claim(store)
        jobs.end(store, job.id, OWNER, how)
        before = jobs.get(store, job.id)
        assert jobs.request_pause(store, job.id) == before

    def test_one_that_is_not_there_is_none(self, store: Store) -> None:
        assert jobs.request_pause(store, 7) is None
        assert jobs.resume(store, 7) is None


class TestResume:
    @pytest.mark.parametrize("how", ["paused", "interrupted", "failed"])
    def test_it_waits_again_as_the_same_job_with_what_it_found(self, store: Store, how: jobs.Stopped) -> None:
        job = create(store, share=0.5)
        claim(store)
        jobs.save(store, job.id, OWNER, {"examined": 7}, '{"seen":7}')
        jobs.end(store, job.id, OWNER, how, "It did not answer.", "Look.")
        aged(store, job, created_at=2 * jobs.QUEUED_SECONDS, queued_at=2 * jobs.QUEUED_SECONDS)
        resumed = jobs.resume(store, job.id)
        assert resumed
        assert (resumed.id, resumed.state, resumed.arguments) == (job.id, "queued", {"share": 0.5})
        assert (resumed.error, resumed.advice, resumed.ended_at, resumed.pausing) == ("", "", None, False)
        assert resumed.progress == {"examined": 7}
        assert jobs.result_text(store, job.id) == '{"seen":7}'
        assert time.time() - resumed.queued_at < 5
        assert jobs.bury(store) == 0
        again = claim(store, OTHER)
        assert again.id == job.id
        assert jobs.order(store, job.id, OTHER) == "go on"
        assert jobs.order(store, job.id, OWNER) == "lost"

    def test_one_whose_worker_was_killed_goes_on(self, store: Store) -> None:
        job = create(store)
        claim(store)
        aged(store, job, heartbeat_at=DEAD_SECONDS + 1)
        resumed = jobs.resume(store, job.id)
        assert resumed
        assert resumed.state == "queued"

    @pytest.mark.parametrize("how", ["finished", "cancelled"])
    def test_one_that_is_over_stays_as_it_is(self, store: Store, how: jobs.Ended) -> None:
        job = create(store)
        claim(store)
        jobs.end(store, job.id, OWNER, how)
        before = jobs.get(store, job.id)
        assert jobs.resume(store, job.id) == before

    def test_one_that_runs_keeps_its_worker(self, store: Store) -> None:
        job = create(store)
        claim(store)
        jobs.resume(store, job.id)
        assert jobs.order(store, job.id, OWNER) == "go on"

    def test_it_can_go_on_with_who_asks_for_it(self, store: Store) -> None:
        job = create(store)
        jobs.request_pause(store, job.id)
        resumed = jobs.resume(store, job.id, OWNER)
        assert resumed
        assert resumed.state == "running"
        assert jobs.claim(store, OTHER, ["main"]) is None
        assert jobs.order(store, job.id, OWNER) == "go on"

    def test_it_waits_behind_those_that_waited_meanwhile(self, store: Store) -> None:
        first = create(store)
        jobs.request_pause(store, first.id)
        second = create(store)
        jobs.resume(store, first.id)
        assert claim(store).id == second.id


class TestAbout:
    def test_the_jobs_of_an_invalidation_are_found_the_newest_first(self, store: Store) -> None:
        def about(number: int, kind: str) -> Job:
            return jobs.create(store, "main", kind, {}, "otto", "local", about=number)

        create(store)
        plan, run, other = about(7, "invalidate.plan"), about(7, "invalidate"), about(8, "invalidate")
        assert jobs.of(store, 7) == [run, plan]
        assert jobs.of(store, 7, "invalidate.plan") == [plan]
        assert jobs.of_several(store, [7, 8, 9]) == {7: [run, plan], 8: [other]}


class TestDeadWorkers:
    def test_a_job_is_interrupted_on_reading_before_anybody_wrote_it_down(self, store: Store) -> None:
        create(store)
        job = claim(store)
        aged(store, job, heartbeat_at=DEAD_SECONDS + 1)
        (found,) = jobs.newest(store, "main", state="interrupted")
        assert found == jobs.get(store, job.id)
        assert found.error == jobs.INTERRUPTED
        assert found.ended_at
        assert found.ended_at < time.time() - DEAD_SECONDS
        assert jobs.newest(store, "main", state="running") == []
        assert jobs.running(store, "main") == []

    def test_burying_writes_down_what_was_read(self, store: Store) -> None:
        create(store)
        job = claim(store)
        aged(store, job, heartbeat_at=DEAD_SECONDS + 1)
        before = jobs.get(store, job.id)
        assert jobs.bury(store) == 1
        assert jobs.get(store, job.id) == before
        assert jobs.bury(store) == 0

    def test_a_sign_of_life_keeps_it_running(self, store: Store) -> None:
        create(store)
        job = claim(store)
        aged(store, job, heartbeat_at=DEAD_SECONDS + 1)
        assert jobs.beat(store, job.id, OWNER) == "go on"
        assert state(store, job) == "running"
        assert jobs.bury(store) == 0

    def test_a_worker_that_comes_back_after_the_burial_has_lost_its_job(self, store: Store) -> None:
        create(store)
        job = claim(store)
        aged(store, job, heartbeat_at=DEAD_SECONDS + 1)
        jobs.bury(store)
        assert jobs.beat(store, job.id, OWNER) == "lost"
        assert jobs.save(store, job.id, OWNER, {}, "{}") == "lost"
        assert not jobs.end(store, job.id, OWNER, "finished")
        assert state(store, job) == "interrupted"


class TestDropOld:
    def test_the_newest_of_each_cache_and_kind_stay_with_and_without_a_result(self, store: Store) -> None:
        kept, dropped = [], []
        for cache in ("main", "other"):
            for kind in ("analysis", "retime"):
                for with_result in (True, False):
                    made = [self.ended(store, cache, kind, with_result) for _ in range(4)]
                    dropped += made[:2]
                    kept += made[2:]
        assert jobs.drop_old(store, kept=2) == len(dropped)
        assert [jobs.get(store, job.id) for job in dropped] == [None] * len(dropped)
        assert all(jobs.get(store, job.id) for job in kept)
        with store.read() as session:
            assert len(list(session.scalars(select(JobSnapshotRow.job_id)))) == len(kept) / 2
        assert jobs.drop_old(store, kept=2) == 0

    def test_one_that_stands_stays(self, store: Store) -> None:
        job = create(store)
        jobs.request_pause(store, job.id)
        assert jobs.drop_old(store, kept=0) == 0
        assert state(store, job) == "paused"

    def test_those_of_an_invalidation_stay_as_long_as_it_is_known(self, store: Store) -> None:
        asked = invalidations.Asked("otto", "local")
        made, job = invalidations.make(store, "main", {"pattern": "a"}, "analysis", asked, seconds=1, owner=OWNER)
        jobs.end(store, job.id, OWNER, "finished")
        others = [create(store) for _ in range(2)]
        for other in others:
            claim(store)
            jobs.end(store, other.id, OWNER, "finished")
        assert jobs.drop_old(store, kept=1) == 1
        assert jobs.get(store, job.id)
        assert jobs.get(store, others[1].id)
        assert invalidations.drop_old(store, kept=0, seconds=0) == 1
        assert invalidations.get(store, made.number) is None
        assert jobs.drop_old(store, kept=0) == 2

    def test_those_that_wait_or_run_stay(self, store: Store) -> None:
        create(store)
        create(store)
        running = claim(store)
        jobs.save(store, running.id, OWNER, {}, "{}")
        assert jobs.drop_old(store, kept=0) == 0
        aged(store, running, heartbeat_at=DEAD_SECONDS + 1)
        assert jobs.drop_old(store, kept=0) == 0

    def ended(self, store: Store, cache: str, kind: str, with_result: bool) -> Job:
        create(store, cache, kind)
        job = claim(store)
        if with_result:
            jobs.save(store, job.id, OWNER, {"examined": 1}, "{}")
        jobs.end(store, job.id, OWNER, "finished")
        return job
